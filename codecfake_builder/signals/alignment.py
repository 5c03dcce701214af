"""Time shifts between a source and what a codec made of it: by their waveforms, or by the envelopes of frequency bands.

Vocoders keep the envelopes and not the waveform. A shift that envelopes tell is an estimate, to
:data:`PRECISION_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, next_fast_len, rfft

from codecfake_builder.audio import Wave

Envelopes = np.ndarray[Any, np.dtype[np.float64]]
Spectra = np.ndarray[Any, np.dtype[np.float32]]

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


def power_spectra(wave: Wave, rate: int, step_seconds: float = STEP_SECONDS) -> Spectra:
    """Return the power spectra of windows of :data:`WINDOW_SECONDS`, float32 ``[steps, bins]``.

    The window of step ``i`` has its middle at sample ``i * step_seconds * rate``.
    """
    size, step = round(WINDOW_SECONDS * rate), step_seconds * rate
    starts = np.round(np.arange(0, max(1, len(wave)), step)).astype(int)
    padded = np.pad(wave.astype(np.float32, copy=False), (size // 2, size + size // 2))
    spectra = rfft(sliding_window_view(padded, size)[starts] * np.hanning(size).astype(np.float32), axis=1)
    return np.asarray(spectra.real**2 + spectra.imag**2)


def band_envelopes(spectra: Spectra, rate: int) -> Envelopes:
    """Return the levels of frequency bands over time, dB around each band's mean, ``[bands, steps]``."""
    size = round(WINDOW_SECONDS * rate)
    lowest, highest = np.log1p(LOWEST / 700), np.log1p(min(HIGHEST, 0.45 * rate) / 700)
    edges = 700 * np.expm1(np.linspace(lowest, highest, BANDS + 1))
    bins = np.round(edges * size / rate).astype(int)
    powers = np.stack([spectra[:, low : max(high, low + 1)].mean(axis=1) for low, high in pairwise(bins)])
    loudest = powers.max(axis=1, keepdims=True)
    floor = np.maximum(loudest * 10 ** (-DYNAMIC_DECIBEL / 10), 1e-12)
    levels = 10 * np.log10(np.maximum(powers, floor).astype(np.float64))
    return np.asarray(levels - levels.mean(axis=1, keepdims=True))


def envelopes(wave: Wave, rate: int) -> Envelopes:
    """Return the levels of frequency bands of a waveform, one every :data:`STEP_SECONDS`, as
    :func:`band_envelopes` has them.
    """
    return band_envelopes(power_spectra(wave, rate), rate)


def measure_shift(
    pairs: Sequence[tuple[Envelopes, Envelopes]], reach: float, step_seconds: float = STEP_SECONDS
) -> Shift:
    """Return the shift at which outputs fit their sources best, over all pairs together.

    Args:
        pairs: envelopes of source and output; steps of a source that are zero do not count.
        reach: longest shift either way, seconds.
        step_seconds: from one step of the envelopes to the next.
    """
    steps = round(reach / step_seconds)
    products, own, others = (np.zeros(2 * steps + 1) for _ in range(3))
    for source, out in pairs:
        length = source.shape[1]
        window = np.zeros((source.shape[0], length + 2 * steps))
        inside = out[:, : length + steps]
        window[:, steps : steps + inside.shape[1]] = inside
        there = np.zeros((1, window.shape[1]))
        there[:, steps : steps + inside.shape[1]] = 1
        counted = (source != 0).any(axis=0, keepdims=True).astype(np.float64)
        products += correlate_inside(window, source)
        own += correlate_inside(there, (source**2).sum(axis=0, keepdims=True))
        others += correlate_inside((window**2).sum(axis=0, keepdims=True), counted)
    norms = np.sqrt(np.maximum(own, 0) * np.maximum(others, 0))
    enough = (own > 0.25 * own.max()) & (norms > 1e-9)
    heights = np.divide(products, norms, out=np.full_like(products, -1.0), where=enough)
    # what little two clips have in common at a long shift, a room's noise, may fit well: the evidence counts
    evidence = np.arctanh(np.clip(heights, -1 + 1e-9, 1 - 1e-9)) * np.sqrt(np.maximum(own, 0) / max(own.max(), 1e-12))
    best = int(np.argmax(evidence))
    more = 0.0
    if 0 < best < 2 * steps:
        left, middle, right = heights[best - 1 : best + 2]
        bend = left - 2 * middle + right
        more = 0.5 * (left - right) / bend if bend < -1e-12 else 0.0
    return Shift((best - steps + float(np.clip(more, -0.5, 0.5))) * step_seconds, float(heights[best]))


def correlate_inside(
    windows: np.ndarray[Any, np.dtype[Any]], parts: np.ndarray[Any, np.dtype[Any]]
) -> np.ndarray[Any, np.dtype[Any]]:
    """Return the products of ``parts`` with ``windows`` at each place where they lie inside, summed over the rows.

    Args:
        windows: ``[rows, window]``.
        parts: ``[rows, part]``, at most as long.

    Returns:
        ``[window - part + 1]``.
    """
    places = windows.shape[1] - parts.shape[1] + 1
    size = next_fast_len(windows.shape[1], real=True)  # what wraps around lies behind those places
    spectra = (rfft(windows, size, axis=1) * np.conj(rfft(parts, size, axis=1))).sum(axis=0)
    return np.asarray(irfft(spectra, size)[:places])


def waveform_lag(segment: Wave, out: Wave, start: int, center: int, reach: int) -> tuple[int, float]:
    """Return the lag of ``segment``, which begins at ``start`` of the input, in the output, and the peak's height.

    A codec may invert the polarity, so that the sign of the height does not count.

    Args:
        segment: of the source, float32 ``[samples]``.
        out: the whole output, float32 ``[samples]``.
        start: where the segment begins in the source, samples.
        center: lag around which is looked, samples.
        reach: how far from it, samples.
    """
    margin = abs(center) + reach
    first = start + margin + center - reach
    window = np.pad(out, (margin, len(segment) + margin))[first : first + len(segment) + 2 * reach]
    window = np.pad(window, (0, len(segment) + 2 * reach - len(window)))
    segment = segment - segment.mean()
    products = np.abs(correlate_inside(window[None], segment[None]))
    energies = np.cumsum(np.concatenate([[0.0], window.astype(np.float64) ** 2]))
    energy = float(np.square(segment, dtype=np.float64).sum())
    norms = np.sqrt(np.maximum(energies[len(segment) :] - energies[: -len(segment)], 0) * energy)
    heights = np.divide(products, norms, out=np.zeros(len(norms)), where=norms > 1e-9)
    best = int(np.argmax(heights))
    return center + best - reach, float(heights[best])


def overlap(source: Wave, clip: Wave, lag: int) -> tuple[Wave, Wave]:
    """Return what a source and a clip that lags behind it have in common, aligned and of one length.

    Args:
        source: ``[samples]``.
        clip: of the same rate.
        lag: samples by which the clip is late; below 0, by which it is early.
    """
    source, clip = source[max(0, -lag) :], clip[max(0, lag) :]
    common = min(len(source), len(clip))
    return source[:common], clip[:common]
