"""How a re-synthesized clip follows the recorded clip of its utterance: when, how loud, how like it, and how wide."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d

from codecfake_builder.audio import RATE, Wave
from codecfake_builder.signals.alignment import (
    Spectra,
    band_envelopes,
    measure_shift,
    overlap,
    power_spectra,
    waveform_lag,
)

Spectrum = np.ndarray[Any, np.dtype[np.float64]]

REACH_SECONDS = 0.5
"""Lags are looked for up to this, either way."""
STEP_SECONDS = 0.005
"""From one window to the next."""
NEAR_SECONDS = 0.004
"""The waveform's lag is looked for so near to that of the envelopes: a pitch period further, waveforms fit again."""
TRUSTED_CORRELATION = 0.5
"""Of the waveforms: from here on their lag is exact, below it the one of the envelopes is taken."""
SHORTEST = RATE // 10
"""Samples: what clips must have in common to be compared."""
SOUNDING_DECIBEL = 30.0
"""Windows of the source sound that are at most so far below its loud ones (95 % of the windows are not as loud)."""
FLOOR_DECIBEL = 60.0
"""Spectra end so far below the mean of the sounding windows: what is below is rounding."""
LOWEST_CUT, HIGHEST_CUT, SPECTRUM_END = 1000, 7000, 7500
"""Hz: between the first two a low-pass is looked for; what is above the third, resamplers take away."""
TRANSITION = 200
"""Hz over which a low-pass may fall."""
CUT_DECIBEL = 10.0
"""A spectrum is cut off where, against the other one, everything above is so much lower than the octave below. The
codecs at hand, down to networks trained for minutes, reach 3 dB; low-passes 20 to 40."""


class Comparison(NamedTuple):
    """What a clip's comparison with its source found; all NaN where they have less than 0.1 s in common, or one of
    them is silent."""

    waveform_lag: float
    """Samples at 16 kHz by which the clip lags, where its waveform fits the source's best, near to the next lag."""
    waveform_correlation: float
    """Height of that fit, 0 to 1; the polarity does not count."""
    envelope_lag: float
    """Milliseconds by which the clip lags, where the envelopes of its frequency bands fit best."""
    envelope_correlation: float
    """Height of that fit, up to 1."""
    level_db: float
    """Level of the clip over that of the source, in the windows in which the source sounds."""
    si_sdr_db: float
    """Scale-invariant signal-to-distortion ratio."""
    lsd_db: float
    """Log-spectral distance in the windows in which the source sounds, levels made equal."""
    bandwidth: float
    """Hz: from here on the clip lacks what its source has; half the rate where it lacks nothing."""
    source_bandwidth: float
    """Hz: from here on the source lacks what the clip has."""


INCOMPARABLE = Comparison(*[float("nan")] * len(Comparison._fields))
COMPARISONS = np.dtype([(name, np.float32) for name in Comparison._fields])
"""Of an array with a comparison for each clip; NaN where a clip has no source."""


def compare(source: Wave, clip: Wave) -> Comparison:
    """Compare a clip with the clip it was made from.

    Args:
        source: float32 ``[samples]`` at 16 kHz.
        clip: float32 ``[samples]`` at 16 kHz, up to :data:`REACH_SECONDS` late or early.

    >>> wave = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
    >>> found = compare(wave, np.roll(wave, 160) / 2)
    >>> found.waveform_lag, round(found.level_db, 1)
    (160.0, -6.0)
    """
    if min(len(source), len(clip)) < SHORTEST:
        return INCOMPARABLE
    source, clip = source - source.mean(), clip - clip.mean()
    if not (source.any() and clip.any()):
        return INCOMPARABLE
    spectra, made = power_spectra(source, RATE, STEP_SECONDS), power_spectra(clip, RATE, STEP_SECONDS)
    envelopes = band_envelopes(spectra, RATE), band_envelopes(made, RATE)
    shift = measure_shift([envelopes], REACH_SECONDS, STEP_SECONDS)
    estimated = round(shift.seconds * RATE)
    samples, correlation = waveform_lag(source, clip, 0, estimated, round(NEAR_SECONDS * RATE))
    lag = samples if correlation >= TRUSTED_CORRELATION else estimated
    source, clip = overlap(source, clip, lag)
    if len(source) < SHORTEST:
        return INCOMPARABLE
    if lag:
        spectra, made = power_spectra(source, RATE, STEP_SECONDS), power_spectra(clip, RATE, STEP_SECONDS)
    spectra, made = _sounding(spectra, made)
    return Comparison(
        float(samples),
        correlation,
        1000 * shift.seconds,
        shift.correlation,
        float(10 * np.log10(max(float(made.sum()), 1e-20) / max(float(spectra.sum()), 1e-20))),
        si_sdr(source, clip),
        _log_spectral_distance(spectra[::2], made[::2]),
        *_bandwidths(spectra.mean(axis=0, dtype=np.float64), made.mean(axis=0, dtype=np.float64)),
    )


def _sounding(spectra: Spectra, made: Spectra) -> tuple[Spectra, Spectra]:
    """Return the spectra of the windows in which the source sounds, without what lies below the first bin."""
    spectra, made = spectra[: len(made), 1:], made[: len(spectra), 1:]
    powers = spectra.sum(axis=1)
    sounding = powers >= np.quantile(powers, 0.95) * 10 ** (-SOUNDING_DECIBEL / 10)
    return spectra[sounding], made[sounding]


def si_sdr(source: Wave, clip: Wave) -> float:
    """Return the scale-invariant signal-to-distortion ratio of a clip that is aligned with its source, dB.

    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019.
    """
    target = source * (np.dot(clip, source) / np.dot(source, source))
    noise = clip - target
    return float(10 * np.log10(max(np.dot(target, target), 1e-20) / max(np.dot(noise, noise), 1e-20)))


def _log_spectral_distance(spectra: Spectra, made: Spectra) -> float:
    """Return the mean over the windows of the root mean square over the bins of the levels' difference, dB."""
    logs = []
    for each in (spectra, made):
        mean = float(each.mean())
        logs.append(np.log10(np.maximum(each / mean, 10 ** (-FLOOR_DECIBEL / 10))))
    return float(10 * np.sqrt(np.square(logs[1] - logs[0]).mean(axis=1)).mean())


def _bandwidths(spectrum: Spectrum, made: Spectrum) -> tuple[float, float]:
    """Return where the long-term spectrum of the clip is cut off against its source's, Hz, and the other way round."""
    width = RATE / 2 / len(spectrum)
    floor = 10 ** (-FLOOR_DECIBEL / 10)
    own, other = (10 * np.log10(np.maximum(each / max(each.mean(), 1e-20), floor)) for each in (spectrum, made))
    return _cut_off(other, own, width), _cut_off(own, other, width)


def _cut_off(levels: Spectrum, reference: Spectrum, width: float) -> float:
    """Return from where on a spectrum lacks everything that another one has; half the rate where that is nowhere.

    Args:
        levels: dB over the spectrum's mean, of bins of ``width`` Hz, the first one above 0 Hz.
        reference: the same of the other one.
        width: Hz.
    """
    there = np.flatnonzero(reference[: round(SPECTRUM_END / width)] > CUT_DECIBEL - FLOOR_DECIBEL)
    fall = round(2 * TRANSITION / width)
    end = int(there[-1]) + 1 if len(there) else 0
    cuts = np.arange(round(LOWEST_CUT / width), min(round(HIGHEST_CUT / width), end - fall))
    if not len(cuts):
        return RATE / 2
    more = (levels - reference)[:end]
    sums = np.concatenate([[0.0], np.cumsum(more)])
    below = (sums[cuts] - sums[cuts // 2]) / (cuts - cuts // 2)
    above = np.maximum.accumulate(uniform_filter1d(more, fall, mode="nearest")[::-1])[::-1]
    falls = below - above[cuts + fall]
    best = int(np.argmax(falls))
    return float(cuts[best] * width) if falls[best] >= CUT_DECIBEL else RATE / 2
