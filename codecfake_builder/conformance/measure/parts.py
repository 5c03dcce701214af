"""What a clip's parts tell of a codec's output: levels against the source's, a constant offset, and clicks.

All of them take a source and the output that is aligned with it, float32 ``[samples]`` each, at one rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter1d

from codecfake_builder.audio import Wave, rms

Levels = np.ndarray[Any, np.dtype[np.float64]]

ACTIVE_DECIBEL = 10.0
"""Parts of the source are speech where they are at most so far below the clip's level."""
SILENT = 1e-14
"""Power below which nothing is there."""
CLICK_NEAR_SECONDS, CLICK_AROUND_SECONDS = 0.0005, 0.025
"""A click stands out of what is so far from it: more than its own ringing, and more than a pitch period."""
CLICK_RULES = ((6.0, 0.45), (2.5, 2.5))
"""A click is so many times as sharp as all around it, and so many times as sharp as the source is at its sharpest.
Networks trained for minutes reach (5, 1.1) and (4, 1.6), vocoders with noise excitation (5, 1.6)."""


@dataclass(frozen=True)
class QuietPart:
    """The part of an output that is quietest against the source's."""

    decibel: float
    """Its gain."""
    start: float
    """Seconds from the clip's beginning."""
    seconds: float
    """Its length."""


def part_levels(wave: Wave, samples: int) -> tuple[Levels, Levels]:
    """Return the beginnings of a clip's parts, samples, and their levels around their mean, dB.

    Parts overlap by half; the last one ends with the clip.

    Args:
        samples: length of a part, at most that of the clip.
    """
    last = len(wave) - samples
    starts = np.unique(np.append(np.arange(0, last + 1, max(1, samples // 2)), last))
    sums, squares = (np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** power)]) for power in (1, 2))
    mean = (sums[starts + samples] - sums[starts]) / samples
    power = (squares[starts + samples] - squares[starts]) / samples - mean**2
    return starts, 10 * np.log10(np.maximum(power, SILENT))


def quietest_part(source: Wave, out: Wave, rate: int, seconds: float) -> QuietPart:
    """Return the part of the output with the least gain, among those in which the source is speech.

    Args:
        seconds: length of a part; the whole clip where that is shorter.
    """
    samples = min(round(seconds * rate), len(source))
    starts, levels = part_levels(source, samples)
    gains = part_levels(out, samples)[1] - levels
    gains[levels < 20 * np.log10(max(rms(source), 1e-7)) - ACTIVE_DECIBEL] = np.inf
    least = int(np.argmin(gains))
    return QuietPart(float(gains[least]), float(starts[least]) / rate, samples / rate)


def relative_offset(source: Wave, out: Wave) -> float:
    """Return the output's mean over its RMS, less what the source has of that."""
    means = [float(wave.mean(dtype=np.float64)) / max(rms(wave), 1e-9) for wave in (source, out)]
    return abs(means[1]) - abs(means[0])


def find_clicks(source: Wave, out: Wave, rate: int) -> list[float]:
    """Return where the output clicks, seconds: single edges that are far sharper than all around and than the source's.

    Sharpness is the second difference between samples. Pulses of a voice stand among others as sharp as they are.
    """
    sharpness, around = _sharpness(out, rate)
    reference = float(np.quantile(_sharpness(source, rate)[0], 0.9999)) * rms(out) / max(rms(source), 1e-9)
    alone, absolute = sharpness / np.maximum(around, 1e-9), sharpness / max(reference, 1e-9)
    found = np.zeros(len(sharpness), dtype=bool)
    for least_alone, least_absolute in CLICK_RULES:
        found |= (alone > least_alone) & (absolute > least_absolute)
    places = np.flatnonzero(found)
    first = np.diff(places, prepend=-rate) > CLICK_AROUND_SECONDS * rate
    return [float(place) / rate for place in places[first]]


def _sharpness(wave: Wave, rate: int) -> tuple[Levels, Levels]:
    """Return the second difference at each sample, and the greatest of those a little before and after it."""
    sharpness = np.abs(np.diff(wave.astype(np.float64), n=2))
    near, far = round(CLICK_NEAR_SECONDS * rate), round(CLICK_AROUND_SECONDS * rate)
    width = far - near
    greatest = maximum_filter1d(sharpness, width, mode="constant")
    shift = near + width // 2
    padded = np.pad(greatest, (shift, shift))
    return sharpness, np.maximum(padded[: len(greatest)], padded[2 * shift :])
