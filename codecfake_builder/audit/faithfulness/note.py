"""The note on how closely the clips follow their sources: figures of each codec, which cannot fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from codecfake_builder.audio import RATE
from codecfake_builder.audit.clips import Clips, Handle
from codecfake_builder.audit.faithfulness.cells import NOTHING_COMPARED, Cell, Floats, cells, deviations
from codecfake_builder.audit.faithfulness.lines import MOST_LAG
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status
from codecfake_builder.audit.measuring.audio_file import decoded
from codecfake_builder.audit.measuring.processes import spread
from codecfake_builder.dataset.quality import first_by_hash
from codecfake_builder.errors import DatasetError
from codecfake_builder.progress import progress
from codecfake_builder.rejections import RejectedError
from codecfake_builder.signals.alignment import overlap
from codecfake_builder.signals.fidelity import UNMEASURABLE, has_pesq, pesq, stoi

PAIRS = 16
"""Clips of a variant in a pool of splits whose STOI and PESQ are measured: each takes a tenth of a second."""
LEAST_FOR_PROCESSES = 64
"""Fewer pairs than this are measured in this process."""
FAR_DEVIATIONS = 7.0
"""A clip is far from the others of its variant at so many robust standard deviations."""
_UNITS = {"stoi": "STOI", "pesq": "PESQ", "si_sdr_db": "SI-SDR (dB)", "lsd_db": "log-spectral distance (dB)"}


@dataclass(frozen=True)
class _Pair:
    clip: Handle
    source: Handle
    lag: int
    """Samples by which the clip lags."""


def fidelity_finding(clips: Clips, comparisons: Any, workers: int, pairs: int = PAIRS) -> Finding:
    """Return the note: STOI, PESQ, SI-SDR, log-spectral distance, correlation of the envelopes, and the clips that are
    far from the others of their variant, to listen to.

    Args:
        clips: all of them.
        comparisons: ``[clips]``, see :func:`codecfake_builder.audit.faithfulness.cells.cells`.
        workers: processes.
        pairs: STOI and PESQ are measured of so many clips of a variant in a pool of splits, chosen by a hash of their
            ids; 0: of none.
    """
    compared = cells(clips, comparisons)
    if not compared:
        return Finding("faithfulness", "all", Status.SKIPPED, NOTHING_COMPARED)
    ids = clips.table["id"].astype(str).to_numpy()
    scores = _scores(clips, compared, ids, workers, pairs)
    distances = np.concatenate([_distances(cell) for cell in compared])
    rows = np.concatenate([cell.rows for cell in compared])
    order = np.argsort(-distances, kind="stable")
    examples = [str(ids[rows[place]]) for place in order[:EXAMPLES] if distances[place] > FAR_DEVIATIONS]
    values = [_values(cell, found, ids) for cell, found in zip(compared, scores, strict=True)]
    words = [words for name in _UNITS if (words := _range(name, values))]
    missing = "" if has_pesq() else "; no PESQ: the package pesq is not installed (extra quality)"
    far = int((distances > FAR_DEVIATIONS).sum())
    summary = f"medians per variant: {', '.join(words)}; {far} clips far from the others of their variant{missing}"
    return Finding("faithfulness", "all", Status.NOTE, summary, {"cells": values}, examples=tuple(examples))


def _distances(cell: Cell) -> Floats:
    """Return by how many robust standard deviations each clip follows its source worse than its variant does."""
    envelopes = -deviations(cell.found["envelope_correlation"].astype(np.float64), 0.02)
    return np.asarray(np.maximum(envelopes, deviations(cell.found["lsd_db"].astype(np.float64), 0.5)))


def _values(cell: Cell, scores: Sequence[tuple[float, float]], ids: Any) -> dict[str, Any]:
    distances = _distances(cell)
    far = np.argsort(-distances, kind="stable")[: int(min((distances > FAR_DEVIATIONS).sum(), EXAMPLES))]
    figures = {
        "stoi": [one for one, _ in scores if one > UNMEASURABLE],
        "pesq": [one for _, one in scores if np.isfinite(one)],
        **{name: cell.found[name].tolist() for name in ("si_sdr_db", "lsd_db", "envelope_correlation")},
    }
    return {
        "splits": cell.splits,
        "variant": cell.variant,
        "clips": len(cell.rows),
        **{name: round(median(own), 4) if own else None for name, own in figures.items()},
        "lowest_stoi": round(min(figures["stoi"]), 4) if figures["stoi"] else None,
        "scored": len(figures["stoi"]),
        "far": int((distances > FAR_DEVIATIONS).sum()),
        "listen_to": [str(ids[row]) for row in cell.rows[far]],
    }


def _range(name: str, values: Sequence[dict[str, Any]]) -> str:
    """Say between which variants a figure lies."""
    there = sorted((cell for cell in values if cell[name] is not None), key=lambda cell: float(cell[name]))
    if not there:
        return ""
    low, high = (
        f"{cell[name]:.{1 if name.endswith('db') else 2}f} ({cell['variant']})" for cell in (there[0], there[-1])
    )
    return f"{_UNITS[name]} {low} to {high}"


def _scores(
    clips: Clips, compared: Sequence[Cell], ids: Any, workers: int, count: int
) -> list[list[tuple[float, float]]]:
    """Return STOI and PESQ of some clips of each cell; NaN for what cannot be measured."""
    pairs, sizes = [], []
    for cell in compared:
        late = np.where(np.abs(cell.lags()) > MOST_LAG, cell.lags(), 0)  # less matters to neither measure
        lags = dict(zip(cell.rows.tolist(), np.round(late * RATE / 1000).astype(int).tolist(), strict=True))
        rows = first_by_hash(cell.rows.tolist(), lambda row: ids[row], count)
        pairs += [_Pair(clips.handle(row), clips.handle(int(clips.source[row])), lags[row]) for row in rows]
        sizes.append(len(rows))
    with progress("faithfulness", len(pairs), "clips") as advance:
        found = []
        for score in spread(_score, pairs, workers if len(pairs) >= LEAST_FOR_PROCESSES else 1):
            found.append(score)
            advance(1)
    ends = np.cumsum(sizes)
    return [found[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _score(pair: _Pair) -> tuple[float, float]:
    """Return STOI and PESQ of a clip, aligned with its source."""
    try:
        source, clip = decoded(pair.source.read())[0], decoded(pair.clip.read())[0]
    except (DatasetError, RejectedError):
        return float("nan"), float("nan")
    source, clip = overlap(source, clip, pair.lag)
    return stoi(source, clip), pesq(source, clip) if has_pesq() else float("nan")
