"""Times adapters against their upstreams: same input, same weights, taking turns, one CPU thread, float32.

    python -m benchmarks.adapter_speed --upstream speechtokenizer=../SpeechTokenizer --upstream audiodec=../AudioDec

Each upstream is a checkout that the user made (:mod:`benchmarks.upstreams` has repositories and commits); its own
dependencies must be there too. Writes a Markdown table.
"""

from __future__ import annotations

import contextlib
import io
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import torch
import typer

import codec_adapters
from benchmarks.report import machine, markdown_table
from benchmarks.upstreams import UPSTREAMS, Resynthesis
from codecfake_builder.progress import progress, say

SIZES = ("1x1", "8x1", "1x3", "8x3")
"""Inputs: clips, and seconds of each."""
HEADER = (
    "upstream",
    "variant",
    "batch",
    "seconds",
    "ours (s)",
    "upstream's (s)",
    "ratio",
    "range",
    "pairs",
    "differ by",
)
ENOUGH_SECONDS, FEWEST_PAIRS = 10.0, 3
"""A size that has taken so long is not run more often, but so many times at least."""
TABLE = Path(__file__).with_suffix(".md")


@dataclass(frozen=True)
class Timing:
    """Runs of one size: seconds of ours and of the upstream's, in pairs, and how far the outputs lie apart."""

    batch: int
    seconds: float
    pairs: tuple[tuple[float, float], ...]
    difference: float
    """Largest, of the first item: some upstreams treat the others differently."""

    @property
    def ratios(self) -> list[float]:
        """Ours over theirs, of each pair, ascending."""
        return sorted(ours / theirs for ours, theirs in self.pairs)

    def cells(self) -> list[str]:
        """This timing as the cells of a table."""
        ours, theirs = (statistics.median(side) for side in zip(*self.pairs, strict=True))
        ratios = self.ratios
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        ratio = f"{statistics.median(ratios):.2f}"
        return [
            str(self.batch),
            f"{self.seconds:g}",
            f"{ours:.3f}",
            f"{theirs:.3f}",
            ratio,
            spread,
            str(len(self.pairs)),
            f"{self.difference:.0e}",
        ]


def parsed_upstreams(entries: Iterable[str]) -> dict[str, Path]:
    """``NAME=PATH`` entries by name.

    Raises:
        ValueError: none, not of that form, an unknown name, or no folder; one line.
    """
    found: dict[str, Path] = {}
    for entry in entries:
        name, separator, path = entry.partition("=")
        if not separator or name not in UPSTREAMS:
            raise ValueError(f"--upstream {entry}: expected NAME=PATH, NAME one of {', '.join(UPSTREAMS)}")
        if not Path(path).is_dir():
            raise ValueError(f"--upstream {entry}: {path} is no folder; clone {UPSTREAMS[name].repo} there")
        found[name] = Path(path).resolve()
    if not found:
        raise ValueError(f"give --upstream NAME=PATH, NAME one of {', '.join(UPSTREAMS)}")
    return found


def parsed_size(text: str) -> tuple[int, float]:
    """``BATCHxSECONDS``, e.g. ``8x1``.

    Raises:
        ValueError: not of that form; one line.
    """
    if not re.fullmatch(r"[1-9]\d*x\d+(\.\d+)?", text):
        raise ValueError(f"--size {text}: expected BATCHxSECONDS, e.g. 8x1")
    batch, _, seconds = text.partition("x")
    return int(batch), float(seconds)


def table(results: Mapping[str, Sequence[Timing] | str]) -> str:
    """All upstreams as Markdown; a text in place of timings says why there are none."""
    rows: list[list[str]] = []
    for name, upstream in UPSTREAMS.items():
        timings = results.get(name, "not measured: no checkout given")
        head = [f"{name} ({upstream.repo}@{upstream.commit[:7]}: {upstream.path})", _variant(name)]
        if isinstance(timings, str):
            rows.append([*head, timings])
        else:
            rows += [[*head, *timing.cells()] for timing in timings]
    return markdown_table(HEADER, rows)


def _variant(name: str) -> str:
    upstream = UPSTREAMS[name]
    options = ", ".join(f"{key} {str(value).lower()}" for key, value in upstream.options.items())
    return f"`{upstream.variant}`" + (f" ({options})" if options else "")


@torch.inference_mode()
def measured(name: str, checkout: Path, sizes: Sequence[tuple[int, float]], runs: int) -> list[Timing]:
    """Timings of one upstream in ``sizes`` (batch, seconds); meant for a process of its own.

    Raises:
        RuntimeError: the upstream cannot be imported or run; the message says why.
    """
    torch.set_num_threads(1)
    upstream = UPSTREAMS[name]
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                theirs = upstream.make(checkout, Path(scratch))
        except Exception as error:  # noqa: BLE001 - somebody else's code
            raise RuntimeError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
        adapter = codec_adapters.load(upstream.variant, scratch, options=dict(upstream.options))
        return [_timed(adapter.resynthesize, theirs, adapter.sample_rate, *size, runs) for size in sizes]


def _timed(ours: Resynthesis, theirs: Resynthesis, rate: int, batch: int, seconds: float, runs: int) -> Timing:
    wav = 0.1 * torch.randn(batch, int(seconds * rate), generator=torch.Generator().manual_seed(0))
    first, second = ours(wav)[0], theirs(wav)[0]  # also warms up
    length = min(len(first), len(second))
    difference = (first[:length] - second[:length]).abs().max().item()
    pairs: list[tuple[float, float]] = []
    for run in range(runs):
        if sum(map(sum, pairs)) > ENOUGH_SECONDS and run >= FEWEST_PAIRS:
            break
        if run % 2:  # whoever comes second finds other caches
            late = _seconds(theirs, wav)
            pairs.append((_seconds(ours, wav), late))
        else:
            pairs.append((_seconds(ours, wav), _seconds(theirs, wav)))
    return Timing(batch, seconds, tuple(pairs), difference)


def _seconds(function: Resynthesis, wav: torch.Tensor) -> float:
    """CPU time: on one thread that of the clock, without the time that other processes had the core."""
    started = time.process_time()
    function(wav)
    return time.process_time() - started


def document(results: Mapping[str, Sequence[Timing] | str], runs: int) -> str:
    """The whole Markdown file."""
    return f"""# Speed of the adapters against their upstreams

Written by `python -m benchmarks.adapter_speed`; {machine()}, one thread, float32. Weights are random, of the official
size, and shared by both through a checkpoint in the official layout; the input is noise. Both take turns, up to {runs}
times, and seconds are CPU time, since the machine may be busy with other things. *Ratio* is ours over the upstream's,
the median of the pairs (below 1: ours is faster), *range* their smallest and largest; *differ by* is the largest
difference of the two outputs' first item.

{table(results)}"""


def main(
    upstream: Annotated[list[str] | None, typer.Option(metavar="NAME=PATH", help="Checkout; repeatable.")] = None,
    size: Annotated[list[str] | None, typer.Option(metavar="BATCHxSECONDS", help="Input; repeatable.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Pairs of runs per size.")] = 7,
    out: Annotated[Path, typer.Option(help="The table.")] = TABLE,
) -> None:
    """Time adapters against their upstreams and write the table."""
    try:
        checkouts = parsed_upstreams(upstream or [])
        sizes = [parsed_size(text) for text in size or SIZES]
    except ValueError as error:
        say(f"error: {error}")
        raise typer.Exit(2) from None
    results: dict[str, Sequence[Timing] | str] = {}
    with progress("timing", len(checkouts), "upstreams") as advance:
        for name, checkout in checkouts.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                try:
                    results[name] = pool.submit(measured, name, checkout, sizes, runs).result()
                except RuntimeError as error:
                    results[name] = f"not measured: {error}"
                    say(f"{name}: {error}")
            out.write_text(document(results, runs), encoding="utf-8")
            advance(1)
    say(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
