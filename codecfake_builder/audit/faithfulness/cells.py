"""The clips that are compared with their sources, by pool of splits and variant."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from codecfake_builder.audio import RATE
from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.measuring.comparison import TRUSTED_CORRELATION

Floats = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]
NOTHING_COMPARED = "no clip has the recorded clip of its utterance beside it"


@dataclass(frozen=True)
class Cell:
    """The compared clips of a variant in a pool of splits."""

    splits: str
    variant: str
    rows: Rows
    found: Any
    """Their comparisons, :data:`codecfake_builder.audit.measuring.comparison.COMPARISONS`."""
    width: float
    """Hz: half of the codec's rate, at most of the clips'."""

    def lags(self) -> Floats:
        """Return by how much each clip lags, ms: as the waveform tells, or else the envelopes."""
        exact = self.found["waveform_correlation"] >= TRUSTED_CORRELATION
        lags = np.where(exact, self.found["waveform_lag"] * 1000 / RATE, self.found["envelope_lag"])
        return lags.astype(np.float64)

    def without(self, rows: AbstractSet[int]) -> Cell | None:
        """Return the cell without some rows; ``None`` where none remains."""
        kept = np.array([row not in rows for row in self.rows])
        return Cell(self.splits, self.variant, self.rows[kept], self.found[kept], self.width) if kept.any() else None

    def __str__(self) -> str:
        return f"{self.variant} ({self.splits})"


def cells(clips: Clips, comparisons: Any) -> list[Cell]:
    """Return the compared clips by pool and variant, in the order of the table.

    Args:
        clips: all of them.
        comparisons: ``[clips]``, of type :data:`~codecfake_builder.audit.measuring.comparison.COMPARISONS`; NaN for a
            clip that is not compared.
    """
    rows = np.flatnonzero(~np.isnan(comparisons["envelope_correlation"]))
    table = clips.table
    names, splits = table["variant"].astype(str).to_numpy(), table["split"].astype(str).to_numpy()
    rates = table["native_sample_rate"].to_numpy(dtype=np.float64)
    by_cell: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        by_cell.setdefault((int(clips.pool[row]), names[row]), []).append(int(row))
    found = []
    for (_, variant), own in by_cell.items():
        numbers = np.array(own, dtype=np.int64)
        rate = rates[own[0]] if rates[own[0]] > 0 else RATE  # NaN: nothing is known of it
        width = min(rate, RATE) / 2
        found.append(Cell(", ".join(dict.fromkeys(splits[numbers])), variant, numbers, comparisons[numbers], width))
    return found


def deviations(values: Floats, least: float) -> Floats:
    """Return by how many robust standard deviations values differ from their median.

    Args:
        values: any.
        least: a standard deviation is at least this.

    >>> deviations(np.array([1.0, 1.1, 0.9, 1.0, 3.0]), 0.1).round(1).tolist()
    [0.0, 0.7, -0.7, 0.0, 13.5]
    """
    middle = np.median(values)
    return np.asarray((values - middle) / max(1.4826 * float(np.median(np.abs(values - middle))), least))
