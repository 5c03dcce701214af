"""How long an audit takes and how much memory, for 1,000 and 10,000 clips.

    python -m benchmarks.audit_speed

The clips are made from the embedded edition's speech: cut at random places, each class with a filter and a noise of its
own, so that they can be told apart by their sound and by nothing else. Each audit runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer

from benchmarks.report import machine, markdown_table
from codecfake_builder.audio import RATE, Wave, resample
from codecfake_builder.dataset import layout
from codecfake_builder.decoding.decode import decode
from codecfake_builder.finished_clip import Reference, content_seed, finish
from codecfake_builder.recipe.load import load_recipe
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.resources import resource_folder
from codecfake_builder.shards.shard import Shard, Utterance
from codecfake_builder.shards.shard_file import clip_row, write_shard

TABLE = Path(__file__).with_suffix(".md")
SECONDS = 3.5
"""Of speech in each clip; about the mean of VCTK and AISHELL-3."""
CLASSES = 7
PER_SHARD = 1000
HEADER = ("clips", "hours of speech", "seconds", "clips a second", "peak memory, all processes (MB)")


def make_dataset(folder: Path, clips: int, recipe: Recipe) -> None:
    """Write a dataset of ``clips`` clips in train and eval_id, a quarter of the utterances in the latter."""
    speech = [resample(*decode(path.read_bytes()), RATE) for path in sorted(_recorded().glob("*.flac"))]
    utterances = clips // CLASSES
    for split, numbers in (("train", range(utterances * 3 // 4)), ("eval_id", range(utterances * 3 // 4, utterances))):
        for chunk, start in enumerate(range(numbers.start, numbers.stop, PER_SHARD)):
            part = range(start, min(start + PER_SHARD, numbers.stop))
            for variant in range(CLASSES):
                _write(folder, split, variant, chunk, part, speech, recipe)
    document = {"recipe": {"assignment": {"method": "speaker_disjoint"}}}
    (folder / layout.PROVENANCE).write_text(json.dumps(document), encoding="utf-8")


def _recorded() -> Path:
    return resource_folder("recipes") / "mini" / "recorded"


def _write(
    folder: Path, split: str, variant: int, chunk: int, numbers: range, speech: list[Wave], recipe: Recipe
) -> None:
    name = "real" if variant == 0 else f"class_{variant}"
    shard = Shard(split, name, chunk, (), None, recipe.audio)
    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(lambda number: _row(shard, number, variant, split, speech), numbers))
    path = folder / shard.file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, rows)


def _row(shard: Shard, number: int, variant: int, split: str, speech: list[Wave]) -> dict[str, Any]:
    generator = np.random.default_rng(number)
    wave = np.concatenate([speech[place] for place in generator.integers(len(speech), size=3)])
    start = int(generator.integers(len(wave) - round(SECONDS * RATE)))
    source = wave[start : start + round(SECONDS * RATE)] * np.float32(generator.uniform(0.3, 1.0))
    source += (1e-3 * generator.standard_normal(len(source))).astype(np.float32)
    wave = source
    if variant:
        taps = np.r_[1.0, 0.1 * np.random.default_rng(variant).standard_normal(24)]
        wave = np.convolve(source, taps)[: len(source)].astype(np.float32)
    clip = finish(wave, Reference.of(source, content_seed(source), shard.policy), shard.policy)
    speaker = f"{split}_{number % 40}"
    utterance = Utterance("speech", f"u{number}", "", speaker, "en", f"sentence {number}", RATE, len(wave), "0" * 64)
    row = clip_row(shard, utterance, clip, None)
    row |= {"origin": "resynthesized", "is_fake": True, "codec": shard.variant, "label": variant} if variant else {}
    return row


def measure(dataset: Path, workers: int) -> tuple[float, float]:
    """Audit a dataset in a new process; return how long it took in seconds, and its peak memory in MB."""
    code = (
        "import sys; from pathlib import Path; from codecfake_builder.audit.audit import audit_dataset\n"
        "if __name__ == '__main__': audit_dataset(Path(sys.argv[1]), 'benchmark', int(sys.argv[2]))"
    )
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code, str(dataset), str(workers)])  # noqa: S603
    peaks = [0.0]
    watcher = threading.Thread(target=lambda: peaks.extend(_memory(process)), daemon=True)
    watcher.start()
    if process.wait() != 0:
        raise typer.Exit(1)
    seconds = time.monotonic() - started
    watcher.join()
    return seconds, max(peaks)


def _memory(process: subprocess.Popen[bytes]) -> Iterator[float]:
    """Yield the memory of a process and its children, each page counted once where it is shared (PSS), in MB."""
    while process.poll() is None:
        total = 0
        try:
            own = psutil.Process(process.pid)
            for part in (own, *own.children(recursive=True)):
                total += part.memory_full_info().pss
        except psutil.Error:
            continue  # one has just ended
        yield total / 1e6
        time.sleep(0.5)


def main(
    clips: Annotated[list[int] | None, typer.Option(help="Number of clips; repeatable.")] = None,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    table: Annotated[Path, typer.Option(help="Markdown file to write.")] = TABLE,
) -> None:
    """Measure audits of datasets of several sizes, and write the table."""
    recipe = load_recipe("mini").recipe
    rows = []
    for number in clips or [1000, 10_000]:
        with tempfile.TemporaryDirectory() as scratch:
            make_dataset(Path(scratch), number, recipe)
            seconds, memory = measure(Path(scratch), workers)
        count = number // CLASSES * CLASSES
        rows.append(
            [f"{count:,}", f"{count * SECONDS / 3600:.1f}", f"{seconds:.0f}", f"{count / seconds:.0f}", f"{memory:.0f}"]
        )
    text = f"""# How long an audit takes

Written by `python -m benchmarks.audit_speed`; {machine()}, {workers} processes. Clips of {SECONDS} s in {CLASSES}
classes, two splits; the whole command with all lines, imports too.

{markdown_table(HEADER, rows)}"""
    table.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    typer.run(main)
