"""What a build refuses before it makes the first clip: to replace another dataset, and to fill the disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from codec_adapters.errors import CodecfakeError
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.records import load_record
from codecfake_builder.dataset.saved import load_plan_summary, saved_document
from codecfake_builder.dataset.versions import finished
from codecfake_builder.errors import BuilderError, DatasetError
from codecfake_builder.plan.summary import PlanSummary
from codecfake_builder.plan.table import BYTES_PER_SECOND
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.recipe.variants import ResolvedAlm
from codecfake_builder.shards.shard import Shard


def refuse_other_dataset(out: Path, recipe: Recipe, summary: PlanSummary | None = None) -> None:
    """Refuse to replace a finished dataset of another recipe or of other corpora, or most of one of another limit.

    Args:
        out: the dataset folder.
        recipe: what is to be built in it.
        summary: of its plan; without it, what only that can tell is not refused.

    Raises:
        DatasetError: the folder holds such a dataset; the message says what would be lost.
    """
    if not finished(out):
        return
    before = _recipe_of(out)
    if before is None:
        what = "a finished dataset whose recipe cannot be read"
    elif before.name != recipe.name:
        what = f"the finished dataset of recipe {before.name}"
    elif gone := _other_corpora(before, recipe, summary):
        what = f"a finished dataset with clips of {', '.join(gone)}, which this recipe does not have so"
    elif summary and (smaller := _smaller(out, summary)):
        what = f"a finished dataset {smaller}"
    else:
        return
    raise DatasetError(
        f"{out}: holds {what} ({_amounts(out)}), which building {recipe.name} there would replace; choose another "
        "--out, or add --replace"
    )


def refuse_full_disk(out: Path, shards: Iterable[Shard]) -> None:
    """Refuse to make shards that the disk has no room for. What an audio language model will say is not counted.

    Args:
        out: the dataset folder, which need not be there yet.
        shards: those that are to be made.

    Raises:
        BuilderError: there is too little space.
    """
    made = [shard for shard in shards if not isinstance(shard.made_by, ResolvedAlm)]
    seconds = sum(utterance.samples / utterance.sample_rate for shard in made for utterance in shard.utterances)
    needed = seconds * BYTES_PER_SECOND
    place = next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise BuilderError(
            f"{out}: needs about {needed / 1e9:.3f} GB for the shards to make, and {place} has {free / 1e9:.3f} GB "
            "free; make room or choose another --out"
        )


class _Before(NamedTuple):
    """The recipe of a dataset that is there."""

    name: object
    kinds: dict[str, object]
    """Of the corpora that it was made from, by name."""


def _recipe_of(out: Path) -> _Before | None:
    """Return what a dataset was made from, as its provenance or else its state says; ``None``: neither does."""
    try:
        provenance = json.loads((out / layout.PROVENANCE).read_text(encoding="utf-8"))
        recipe, used = provenance["recipe"], provenance["corpora"]
        return _Before(recipe["name"], {name: recipe["corpora"][name]["kind"] for name in used})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    try:
        recipe = saved_document(out)
        given = {name: own for name, own in recipe["corpora"].items() if own.get("root")}
        return _Before(recipe["name"], {name: own["kind"] for name, own in given.items()})
    except (OSError, KeyError, TypeError, AttributeError, CodecfakeError):
        return None


def _other_corpora(before: _Before, recipe: Recipe, summary: PlanSummary | None) -> list[str]:
    """Return the corpora of a dataset that would be gone, or of another kind."""
    there = recipe.corpora if summary is None else summary.corpora
    return [name for name, kind in before.kinds.items() if name not in there or recipe.corpora[name].kind != kind]


def _smaller(out: Path, summary: PlanSummary) -> str:
    """Return how a dataset was limited, where another limit would take most of its clips away; else nothing."""
    try:
        before = load_plan_summary(out)
    except DatasetError:
        return ""
    if before.limit == summary.limit:
        return ""
    old, new = _clips(before), _clips(summary)
    lost = sum(max(0, count - new.get(cell, 0)) for cell, count in old.items())
    made = f"with --limit {before.limit}" if before.limit else "without --limit"
    return (
        f"made {made}, of which {lost} of {sum(old.values())} planned clips would go"
        if lost > sum(old.values()) / 2
        else ""
    )


def _clips(summary: PlanSummary) -> dict[tuple[str, str], int]:
    """Return the number of planned clips of every split and variant."""
    counts = {(name, made): split.utterances for name, split in summary.splits.items() for made in split.variants}
    for name, split in summary.splits.items():
        counts |= {(name, made): members.utterances for made, members in split.imported.items()}
    return counts


def _amounts(out: Path) -> str:
    """Return how much a dataset holds, as far as its folder tells."""
    shards = layout.shard_files(out)
    records = (load_record(out, path.relative_to(out).as_posix()) for path in shards)
    clips = sum(record.clips for record in records if record)
    splits = len({path.parent for path in shards})
    size = sum(path.stat().st_size for path in shards)
    return f"{splits} splits, {clips} clips, {size / 1e6:.1f} MB"
