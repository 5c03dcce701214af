"""Whether a codec keeps time: its delay must be the same from a clip's beginning to its end."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np

from codecfake_builder.audio import Wave
from codecfake_builder.signals.alignment import STEP_SECONDS, Envelopes, Shift, envelopes, measure_shift

SEGMENT_SECONDS = 2.0
REACH_SECONDS = 0.5


@dataclass(frozen=True)
class Drift:
    """How the delay changes within a clip."""

    seconds: float
    """Delay of the last third of the clip less that of the first third."""
    widest: float
    """Seconds by which the delay of a single part differs most from the median."""
    at: float
    """Where that part begins, seconds."""
    over: float
    """Seconds between the middles of those thirds."""

    def __str__(self) -> str:
        ends = f"delay changes by {1000 * self.seconds:+.1f} ms within {self.over:.1f} s"
        return f"{ends} ({abs(self.seconds) / self.over:.2%}), by at most {1000 * abs(self.widest):.1f} ms in any part"


def measure_drift(wave: Wave, out: Wave, rate: int, least_correlation: float) -> Drift | None:
    """Measure how the delay changes within a clip; ``None`` where too few of its parts can be followed.

    Args:
        wave: the source, float32 ``[samples]``, of several segments of :data:`SEGMENT_SECONDS`.
        out: the output for it, up to :data:`REACH_SECONDS` late.
        rate: Hz, of both.
        least_correlation: of the envelopes, from which a part counts.
    """
    source, made = envelopes(wave, rate), envelopes(out, rate)
    length = round(SEGMENT_SECONDS / STEP_SECONDS)
    places = range(0, source.shape[1] - length + 1, length // 2)
    shifts = [
        (place * STEP_SECONDS, _shift(source[:, place : place + length], made, place, length)) for place in places
    ]
    sure = [(place, shift.seconds) for place, shift in shifts if shift.correlation >= least_correlation]
    if len(sure) < 3 or 2 * len(sure) < len(shifts):
        return None
    third = max(1, len(sure) // 3)
    first, last = sure[:third], sure[-third:]
    over = median(place for place, _ in last) - median(place for place, _ in first)
    middle = median(seconds for _, seconds in sure)
    at, widest = max(((place, seconds - middle) for place, seconds in sure), key=lambda each: abs(each[1]))
    return Drift(median(s for _, s in last) - median(s for _, s in first), widest, at, over)


def _shift(segment: Envelopes, made: Envelopes, place: int, length: int) -> Shift:
    """Return the shift of one part: ``segment`` begins at step ``place`` of the source."""
    reach = round(REACH_SECONDS / STEP_SECONDS)
    low, high = max(0, place - reach), place + length + reach
    source = np.pad(segment, ((0, 0), (place - low, 0)))
    return measure_shift([(source, made[:, low:high])], REACH_SECONDS)
