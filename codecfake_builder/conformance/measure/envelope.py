"""Time shifts between a source and what a codec made of it, by the envelopes of frequency bands.

Vocoders keep these and not the waveform. A shift found so is an estimate, to :data:`PRECISION_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.signal import correlate

from codecfake_builder.audio import Wave

Envelopes = np.ndarray[Any, np.dtype[np.float64]]

PRECISION_SECONDS = 0.01
"""Synthetic vocoders of known delays are found within this, whatever their excitation."""
STEP_SECONDS = 0.0025
WINDOW_SECONDS = 0.02
LOWEST, HIGHEST, BANDS = 100.0, 3800.0, 16
"""Edges of the bands, Hz, evenly spaced on the mel scale: what narrow-band vocoders keep, too."""
DYNAMIC_DECIBEL = 40.0
"""Envelopes end so far below their band's loudest step: what is below is noise."""


@dataclass(frozen=True)
class Shift:
    """By how much an output lags, as the envelopes tell."""

    seconds: float
    correlation: float
    """Height of the peak of the normalized correlation, up to 1."""


def envelopes(wave: Wave, rate: int) -> Envelopes:
    """Return the levels of frequency bands over time, dB around each band's mean, ``[bands, steps]``."""
    size, step = round(WINDOW_SECONDS * rate), STEP_SECONDS * rate
    starts = np.round(np.arange(0, max(1, len(wave)), step)).astype(int)
    padded = np.pad(wave.astype(np.float64), (size // 2, size + size // 2))
    spectra = np.abs(np.fft.rfft(padded[starts[:, None] + np.arange(size)] * np.hanning(size), axis=1)) ** 2
    lowest, highest = np.log1p(LOWEST / 700), np.log1p(min(HIGHEST, 0.45 * rate) / 700)
    edges = 700 * np.expm1(np.linspace(lowest, highest, BANDS + 1))
    bins = np.round(edges * size / rate).astype(int)
    powers = np.stack([spectra[:, low : max(high, low + 1)].mean(axis=1) for low, high in pairwise(bins)])
    loudest = powers.max(axis=1, keepdims=True)
    floor = np.maximum(loudest * 10 ** (-DYNAMIC_DECIBEL / 10), 1e-12)
    levels = 10 * np.log10(np.maximum(powers, floor))
    return np.asarray(levels - levels.mean(axis=1, keepdims=True))


def measure_shift(pairs: Sequence[tuple[Envelopes, Envelopes]], reach: float) -> Shift:
    """Return the shift at which outputs fit their sources best, over all pairs together.

    Args:
        pairs: envelopes of source and output; steps of a source that are zero do not count.
        reach: longest shift either way, seconds.
    """
    steps = round(reach / STEP_SECONDS)
    products, own, others = (np.zeros(2 * steps + 1) for _ in range(3))
    for source, out in pairs:
        length = source.shape[1]
        window = np.zeros((source.shape[0], length + 2 * steps))
        inside = out[:, : length + steps]
        window[:, steps : steps + inside.shape[1]] = inside
        there = np.zeros(window.shape[1])
        there[steps : steps + inside.shape[1]] = 1
        products += sum(
            correlate(one, two, mode="valid", method="fft") for one, two in zip(window, source, strict=True)
        )
        own += correlate(there, (source**2).sum(axis=0), mode="valid", method="fft")
        counted = (source != 0).any(axis=0).astype(np.float64)
        others += correlate((window**2).sum(axis=0), counted, mode="valid", method="fft")
    norms = np.sqrt(np.maximum(own, 0) * np.maximum(others, 0))
    enough = (own > 0.25 * own.max()) & (norms > 1e-9)
    heights = np.divide(products, norms, out=np.full_like(products, -1.0), where=enough)
    best = int(np.argmax(heights))
    more = 0.0
    if 0 < best < 2 * steps:
        left, middle, right = heights[best - 1 : best + 2]
        bend = left - 2 * middle + right
        more = 0.5 * (left - right) / bend if bend < -1e-12 else 0.0
    return Shift((best - steps + float(np.clip(more, -0.5, 0.5))) * STEP_SECONDS, float(heights[best]))
