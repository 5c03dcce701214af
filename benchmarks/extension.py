"""What adding a codec to a finished dataset costs beyond making the new clips, on the embedded edition.

    python -m codecfake_builder build mini --out st-codecfake-mini
    python -m benchmarks.extension --dataset st-codecfake-mini

Adds a codec to a copy of the dataset and takes it out again, several times, and writes a Markdown table. A run's own
work is what the records of the new shards say (``wall_seconds``); the rest is what this measures.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.report import machine, markdown_table
from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.changes.build import build
from codecfake_builder.changes.remove_codec import remove_codec
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.checksums import read_checksums
from codecfake_builder.progress import progress, say
from codecfake_builder.recipe.edit import with_codec
from codecfake_builder.recipe.edit_file import edited_text
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.resolve import Resolved

TABLE = Path(__file__).with_suffix(".md")
CODEC = "lyra_v2_3_2kbps"
SPLITS = ("train", "dev", "eval_id")
HEADER = ("step", "shards made", "shards kept", "wall (s)", "new shards' own (s)", "beyond it (s)")


@dataclass(frozen=True)
class Step:
    """One change of a dataset, measured."""

    name: str
    made: int
    kept: int
    wall: float
    """Seconds, of the call."""
    own: float
    """Seconds of it in which the new shards were made, as their records say."""

    @property
    def beyond(self) -> float:
        """Seconds of the call in which no shard was made."""
        return self.wall - self.own


def extension(dataset: Path, recipe: Resolved, name: str) -> Step:
    """Build a recipe onto a finished dataset of which it has all shards and more."""
    before = _shards(dataset)
    started = time.monotonic()
    result = build(recipe, dataset)
    wall = time.monotonic() - started
    after = _shards(dataset)
    if any(after.get(file) != sha256 for file, sha256 in before.items()):
        raise RuntimeError(f"{name}: shards that were there have changed")
    own = sum(_wall_seconds(dataset, file) for file in after.keys() - before.keys())
    return Step(name, result.shards_made, result.shards_kept, wall, own)


def removal(dataset: Path, name: str) -> Step:
    """Take :data:`CODEC` out of a dataset."""
    started = time.monotonic()
    result = remove_codec(dataset, CODEC)
    return Step(name, 0, result.shards_kept, time.monotonic() - started, 0.0)


def _shards(dataset: Path) -> dict[str, str]:
    return {file: sha256 for file, sha256 in read_checksums(dataset).items() if file.startswith("data/")}


def _wall_seconds(dataset: Path, file: str) -> float:
    record = dataset / ".build" / "records" / Path(file).relative_to("data").with_suffix(".json")
    return float(json.loads(record.read_text(encoding="utf-8"))["wall_seconds"])


def row(steps: Sequence[Step]) -> list[str]:
    """The table's row of the runs of one step: the run in the middle, by the time beyond."""
    middle = median(step.beyond for step in steps)
    chosen = min(steps, key=lambda step: abs(step.beyond - middle))
    span = f" ({min(s.beyond for s in steps):.2f} to {max(s.beyond for s in steps):.2f})" if len(steps) > 1 else ""
    figures = [f"{chosen.wall:.2f}", f"{chosen.own:.2f}", f"{chosen.beyond:.2f}{span}"]
    return [chosen.name, str(chosen.made), str(chosen.kept), *figures]


def document(rows: Sequence[Sequence[str]], runs: int) -> str:
    """The whole Markdown file."""
    text = f"""# Extending a finished dataset

Written by `python -m benchmarks.extension`; {machine()}. The embedded edition, to which `{CODEC}` is added
in {", ".join(SPLITS)}, on a warm index: once in a process that has done nothing before, as the command line does
it, and {runs} times more (the median), by which time every module is imported.

*Own*: what the new shards took, as their records say. *Beyond it*: the rest of the call, least and most in brackets:
planning, linking what stays, the card with the intelligibility (STOI) of the new clips, metadata, checksums, and the
exchange of the two versions. Every run checks that all shards that were there are the same after it.

"""
    return text + markdown_table(HEADER, rows)


def main(
    dataset: Annotated[Path, typer.Option(help="A finished embedded edition; a copy of it is extended.")],
    runs: Annotated[int, typer.Option(min=1, help="How often each step is measured after the first time.")] = 3,
    out: Annotated[Path, typer.Option(help="The table.")] = TABLE,
) -> None:
    """Measure what an extension costs and write the table."""
    with tempfile.TemporaryDirectory(prefix="extension-") as folder:
        work, larger = Path(folder) / "dataset", Path(folder) / "larger.yaml"
        shutil.copytree(dataset, work)
        text = (work / layout.RECIPE).read_text(encoding="utf-8")
        edited = edited_text(text, layout.RECIPE, lambda recipe: with_codec(recipe, CODEC, SPLITS, builtin_catalogue()))
        larger.write_text(edited, encoding="utf-8")
        added, removed = [], []
        with progress("measuring", runs + 1, "extensions") as advance:
            for _ in range(runs + 1):
                added.append(extension(work, load_recipe(str(larger)), "codec added"))
                removed.append(removal(work, "codec removed"))
                advance(1)
    first = replace(added[0], name="codec added, first time")
    rows = [row([first]), row(added[1:]), row(removed[1:])]
    out.write_text(document(rows, runs), encoding="utf-8")
    say(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
