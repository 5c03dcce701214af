"""The lines that fail where clips do not follow their sources: in time, at their level, as wide, of their utterance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecfake_builder.audio import RATE
from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.faithfulness.cells import NOTHING_COMPARED, Cell, Floats, Rows, cells, deviations
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status

EXACT_CORRELATION = 0.7
"""Where the waveforms of half the clips correlate so well, their lag is known to the sample."""
MOST_EXACT_LAG = 1.0
"""ms; official codecs that keep the waveform reach 0.5 (DAC), Lyra V2 0."""
MOST_LAG = 3.5
"""ms, where only envelopes tell it: networks trained for minutes reach 2.0, official AudioDec 8.5."""
LATE_SHARE, LATE_LAG, LATE_CLIPS = 0.1, 6.0, 3
"""A variant is late by parts where so many of its clips lag by more than this many ms: a share, and at least a number;
single clips of networks trained for minutes seem to lag by up to 4.3 ms."""
MOST_LEVEL_CHANGE = 0.5
"""dB; the chain gives each clip the level of its source."""
BANDWIDTH_MARGIN = 600.0
"""Hz by which a variant may be narrower than half its codec's rate: what resamplers need; 450 are measured at 8 kHz."""
FOLLOWED_CORRELATION = 0.45
"""Of the envelopes: clips of another utterance reach 0.43, networks trained for minutes 0.54 and more."""
FOREIGN_DEVIATIONS, LEAST_DEVIATION = 7.0, 0.02
"""A clip that does not follow its source differs from its variant's median by so many robust standard deviations, each
at least so large; 8.5 at least are measured, and 6.6 at most of clips that do follow."""
FOREIGN_SHARE, FOREIGN_CLIPS = 0.01, 2
"""So many clips of a variant may not be of other utterances: a share, and at least a number."""


def faithfulness_findings(clips: Clips, comparisons: Any) -> list[Finding]:
    """Return the lines ``lag``, ``level``, ``bandwidth`` and ``outliers``.

    Args:
        clips: all of them.
        comparisons: ``[clips]``, see :func:`cells`.
    """
    compared = cells(clips, comparisons)
    if not compared:
        return [
            Finding(line, "all", Status.SKIPPED, NOTHING_COMPARED) for line in ("lag", "level", "bandwidth", "outliers")
        ]
    foreign, sources = _foreign(clips, compared)
    followed = [kept for cell in compared if (kept := cell.without(foreign)) is not None]
    bandwidth = _bandwidth(clips, followed)
    # a low-pass takes level away, too
    wide = [cell for cell in followed if cell.variant not in bandwidth.classes]
    return [
        _lag(clips, followed),
        _level(clips, wide),
        bandwidth,
        _outliers(clips, compared, foreign, sources),
    ]


@dataclass(frozen=True)
class _Measured:
    """What a line measured of a cell."""

    cell: Cell
    value: float
    """The figure that decides."""
    values: dict[str, Any]
    words: str
    failed: bool
    worst: Rows
    """Rows of clips to listen to, the worst first."""


def _lag(clips: Clips, compared: Sequence[Cell]) -> Finding:
    found = []
    for cell in compared:
        lags = cell.lags()
        middle = float(np.median(lags))
        exact = float(np.median(cell.found["waveform_correlation"])) >= EXACT_CORRELATION
        sure = cell.found["envelope_correlation"] >= FOLLOWED_CORRELATION
        late = sure & (np.abs(lags) > LATE_LAG)
        by_parts = late.sum() >= LATE_CLIPS and float(late.mean()) > LATE_SHARE
        failed = abs(middle) > (MOST_EXACT_LAG if exact else MOST_LAG) or by_parts
        values = {"median_ms": _rounded(middle), **_spread(lags, "ms"), "by": "waveform" if exact else "envelopes"}
        values["late_share"] = _rounded(late.mean())
        words = f"{middle:+.1f} ms" + (
            f", {late.mean():.0%} of the clips by more than {LATE_LAG:g} ms" * bool(by_parts)
        )
        found.append(_Measured(cell, abs(middle), values, words, bool(failed), _order(cell, -np.abs(lags))))
    limit = f"at most {MOST_LAG:g} ms, or {MOST_EXACT_LAG:g} ms where the waveform tells"
    return _line("lag", clips, found, "clips lag behind their sources", "the median lag of every variant", limit)


def _level(clips: Clips, compared: Sequence[Cell]) -> Finding:
    found = []
    for cell in compared:
        levels = cell.found["level_db"].astype(np.float64)
        middle = float(np.median(levels))
        values = {"median_db": _rounded(middle), **_spread(levels, "db")}
        failed = abs(middle) > MOST_LEVEL_CHANGE
        worst = _order(cell, -np.abs(levels))
        found.append(_Measured(cell, abs(middle), values, f"{middle:+.1f} dB", failed, worst))
    limit = f"at most {MOST_LEVEL_CHANGE:g} dB"
    return _line("level", clips, found, "clips differ in level from their sources", "the median change of level", limit)


def _bandwidth(clips: Clips, compared: Sequence[Cell]) -> Finding:
    found = [_cut(cell, cell.found["bandwidth"], cell.width) for cell in compared]
    found += [_cut(cell, cell.found["source_bandwidth"], cell.width) for cell in _recorded(clips, compared)]
    words = "clips are cut off below what the codec's rate explains, and their sources are not"
    return _line("bandwidth", clips, found, words, "the share of clips cut off below their source", "at most half")


def _cut(cell: Cell, widths: Floats, explained: float) -> _Measured:
    """Return how many clips of a cell are cut off, and where."""
    cut = widths < explained - BANDWIDTH_MARGIN
    share = float(cut.mean())
    middle = float(np.median(widths[cut])) if cut.any() else RATE / 2
    values = {"share_cut_off": _rounded(share), "median_hz": round(middle), "explained_hz": round(explained)}
    words = f"{share:.0%} of the clips at {middle / 1000:.1f} kHz"
    return _Measured(cell, share, values, words, share > 0.5, _order(cell, widths))


def _recorded(clips: Clips, compared: Sequence[Cell]) -> Iterable[Cell]:
    """Return the recorded clips of each pool as a cell, with the comparisons of the variants that they are narrower
    than, where most of them say so.
    """
    names = clips.table["variant"].astype(str).to_numpy()
    for splits in dict.fromkeys(cell.splits for cell in compared):
        own = [cell for cell in compared if cell.splits == splits]
        saying = [cell for cell in own if _cut(cell, cell.found["source_bandwidth"], RATE / 2).failed]
        if 2 * len(saying) > len(own):
            sources = clips.source[np.concatenate([cell.rows for cell in saying])]
            found = np.concatenate([cell.found for cell in saying])
            yield Cell(splits, str(names[sources[0]]), sources, found, RATE / 2)


def _foreign(clips: Clips, compared: Sequence[Cell]) -> tuple[AbstractSet[int], AbstractSet[int]]:
    """Return the clips that are not of their source's utterance; and the sources that no clip of several follows, so
    that it is the recorded clip that is not of the utterance.
    """
    foreign = {int(row) for cell in compared for row in cell.rows[_is_foreign(cell)]}
    by_source: dict[int, list[bool]] = {}
    for row in (int(row) for cell in compared for row in cell.rows):
        by_source.setdefault(int(clips.source[row]), []).append(row in foreign)
    return foreign, {source for source, clips_of_it in by_source.items() if len(clips_of_it) > 1 and all(clips_of_it)}


def _outliers(clips: Clips, compared: Sequence[Cell], foreign: AbstractSet[int], sources: AbstractSet[int]) -> Finding:
    wrong = {row for row in foreign if clips.source[row] not in sources} | sources
    found = []
    for cell in [*compared, *_all_recorded(clips, compared)]:
        rows = cell.rows[[row in wrong for row in cell.rows]]
        share = len(rows) / len(cell.rows)
        values = {"clips": len(rows), "share": _rounded(share)}
        failed = len(rows) >= FOREIGN_CLIPS and share >= FOREIGN_SHARE
        found.append(_Measured(cell, share, values, f"{len(rows)} of {len(cell.rows)} clips", failed, rows))
    limit = f"less than {FOREIGN_SHARE:.0%}, or a single clip"
    words = "clips are not of their utterance"
    return _line("outliers", clips, found, words, "the share of clips that do not follow their source", limit)


def _is_foreign(cell: Cell) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for each clip whether it is of another utterance, as its envelopes and those of its variant tell."""
    heights = cell.found["envelope_correlation"].astype(np.float64)
    apart = -deviations(heights, LEAST_DEVIATION) > FOREIGN_DEVIATIONS
    return np.asarray((heights < FOLLOWED_CORRELATION) & (apart | (np.median(heights) < FOLLOWED_CORRELATION)))


def _all_recorded(clips: Clips, compared: Sequence[Cell]) -> Iterable[Cell]:
    """Return the recorded clips of each pool as a cell."""
    names = clips.table["variant"].astype(str).to_numpy()
    for splits in dict.fromkeys(cell.splits for cell in compared):
        rows = np.concatenate([cell.rows for cell in compared if cell.splits == splits])
        sources = np.unique(clips.source[rows])
        yield Cell(splits, str(names[sources[0]]), sources, None, RATE / 2)


def _line(line: str, clips: Clips, found: Sequence[_Measured], fault: str, measured: str, limit: str) -> Finding:
    """Return a line: it fails where a cell does."""
    if not found:
        return Finding(
            line, "all", Status.SKIPPED, "no class is left beside those that failed in bandwidth or outliers"
        )
    bad = sorted((one for one in found if one.failed), key=lambda one: -one.value)
    cells_ = [{"splits": one.cell.splits, "variant": one.cell.variant, **one.values} for one in found]
    values = {"limit": limit, "cells": cells_}
    if not bad:
        worst = max(found, key=lambda one: one.value)
        furthest = f"; furthest: {worst.cell}, {worst.words}" if worst.value else ""
        return Finding(line, "all", Status.PASS, f"{measured} is {limit}{furthest}", values)
    named = "; ".join(f"{one.cell}: {one.words}" for one in bad[:EXAMPLES])
    more = f"; and {len(bad) - EXAMPLES} more" if len(bad) > EXAMPLES else ""
    classes = tuple(dict.fromkeys(one.cell.variant for one in bad))
    ids = clips.table["id"].to_numpy()
    examples = [str(ids[row]) for place in range(EXAMPLES) for one in bad for row in one.worst[place : place + 1]]
    return Finding(
        line, "all", Status.FAIL, f"{fault}: {named}{more}", values, classes, tuple(dict.fromkeys(examples))[:EXAMPLES]
    )


def _order(cell: Cell, keys: Floats) -> Rows:
    return cell.rows[np.argsort(keys, kind="stable")[:EXAMPLES]]


def _spread(values: Floats, unit: str) -> dict[str, float]:
    """Return the quartiles."""
    low, high = np.quantile(values, [0.25, 0.75])
    return {f"quarter_{unit}": _rounded(low), f"three_quarters_{unit}": _rounded(high)}


def _rounded(value: Any) -> float:
    return round(float(value), 4)
