"""Compare two clips: is one a copy of the other, how late, and how much louder?

Both are aligned by the lag at which they correlate best, over at least half of the shorter one: as waveforms, and,
since a codec may keep no phase, by how the levels of 40 bands change from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import fft

from codecfake_builder.audio import RATE, Wave
from codecfake_builder.signals.alignment import overlap

Floats = np.ndarray[Any, np.dtype[np.float64]]

SAME_BANDS = 0.65
"""Correlation of the changes of levels that makes two clips copies. Copies through official codecs (45 of
``speech/official_codec_outputs``) have 0.81 to 0.99, through MP3, Ogg and µ-law, shifted, cut, or with noise of -20 dB
0.88 and more; different sentences of one speaker 0.38 at most (45 real parts of 2 s, and all sentences of the embedded
edition), the worst candidate of the embedded edition, whose small codecs stammer alike, 0.46."""
SAME_WAVE = 0.8
"""Correlation of waveforms that does so, where that of the bands at the same lag is at least :data:`LEAST_BANDS`.
Copies with noise of -10 dB have 0.95, where that of the bands is 0.61; different sentences of one speaker 0.52 at
most."""
LEAST_BANDS = 0.4
"""Two clips with the same long tone correlate as waveforms, too."""
_WINDOW, _HOP, _BANDS = 512, RATE // 100, 40
_LOWEST, _HIGHEST = 100.0, 7000.0
"""Hz."""
_FLOOR = 1e-3
"""What is so much weaker (-30 dB) than a band of a loud frame counts no more."""
_LEAST_ENERGY = 0.3
"""Share of the energy of at least one clip that has to lie in the overlap."""


@dataclass(frozen=True)
class Copy:
    """How a clip differs from the one that it is a copy of."""

    lag_ms: float
    """How late the second clip is."""
    level_db: float
    """How much louder it is."""
    wave: float
    """Correlation of the waveforms."""
    bands: float
    """Correlation of the changes of levels."""


@dataclass(frozen=True)
class _Aligned:
    value: float
    lag: int
    energies: float
    """Energy of the second over that of the first in the overlap."""


def compare(first: Wave, second: Wave) -> Copy | None:
    """Return how a clip differs from another that it is a copy of; ``None`` where it is none.

    Args:
        first: float32 ``[samples]`` at 16 kHz.
        second: the other.
    """
    if min(len(first), len(second)) < 2 * _WINDOW:
        return None
    changes = _changes(first), _changes(second)
    bands = _align(*changes)
    wave = _align(first[:, None], second[:, None])
    if wave.value >= SAME_WAVE:
        here = _align(*changes, around=round(wave.lag / _HOP))
        if max(here.value, bands.value) >= SAME_BANDS or here.value >= LEAST_BANDS:
            return _copy(wave.lag, wave, here if here.value >= LEAST_BANDS else bands, wave.energies)
    if bands.value < SAME_BANDS:
        return None
    lag = bands.lag * _HOP
    return _copy(lag, wave, bands, _energy_ratio(first, second, lag))


def _copy(lag: int, wave: _Aligned, bands: _Aligned, energies: float) -> Copy:
    level = 10 * float(np.log10(max(energies, 1e-12)))
    return Copy(round(1000 * lag / RATE, 2), round(level, 2), round(wave.value, 3), round(bands.value, 3))


def _energy_ratio(first: Wave, second: Wave, lag: int) -> float:
    power = [float(np.square(wave, dtype=np.float64).sum()) for wave in overlap(first, second, lag)]
    return power[1] / max(power[0], 1e-12)


def _align(first: Any, second: Any, around: int | None = None) -> _Aligned:
    """Return the lag of the second behind the first, ``[steps, channels]`` both, at which they correlate best.

    Args:
        first: values whose means are about zero.
        second: the other.
        around: look only one step from this lag.
    """
    least = min(len(first), len(second)) // 2
    lags = np.arange(least - len(first), len(second) - least + 1)
    if around is not None:
        lags = lags[np.abs(lags - around) <= 1]
        if not len(lags):
            return _Aligned(0.0, around, 1.0)
    size = fft.next_fast_len(len(first) + len(second) - 1, real=True)
    spectra = [fft.rfft(values, size, axis=0) for values in (first, second)]
    products = fft.irfft((spectra[0].conj() * spectra[1]).sum(axis=1), size)[lags]  # lags below 0 are at the end
    energies = [np.r_[0.0, np.cumsum(np.square(values, dtype=np.float64).sum(axis=1))] for values in (first, second)]
    starts, ends = np.maximum(0, -lags), np.minimum(len(first), len(second) - lags)
    here = energies[0][ends] - energies[0][starts]
    there = energies[1][ends + lags] - energies[1][starts + lags]
    whole = [max(values[-1], 1e-12) for values in energies]
    enough = (here >= _LEAST_ENERGY * whole[0]) | (there >= _LEAST_ENERGY * whole[1])
    values = np.where(enough, products / np.sqrt(np.maximum(here * there, 1e-12)), 0.0)
    best = int(np.argmax(values))
    return _Aligned(float(values[best]), int(lags[best]), float(there[best] / max(here[best], 1e-12)))


def _changes(wave: Wave) -> Floats:
    """Return how the level of each band changes over 20 ms, dB ``[frames, bands]``."""
    power = band_powers(wave, _HOP)
    floor = _FLOOR * float(np.quantile(power.sum(axis=1), 0.95)) / _BANDS
    levels = 10 * np.log10(power + max(floor, 1e-12))
    return np.asarray(levels[2:] - levels[:-2])


def band_powers(wave: Wave, hop: int) -> Any:
    """Return the power of 40 bands of a clip, frame by frame, float32 ``[frames, bands]``.

    Args:
        wave: float32 ``[samples]`` at 16 kHz; a shorter one than a frame of 32 ms is filled with zeros.
        hop: samples from frame to frame.
    """
    whole = np.pad(wave, (0, max(0, _WINDOW - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(whole, _WINDOW)[::hop]
    return np.abs(fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1)) ** 2 @ _filters()


@cache
def _filters() -> Any:
    """Return 40 triangular filters, equally wide in mel from 100 Hz to 7 kHz, ``[bins, bands]``."""
    mel = np.linspace(2595 * np.log10(1 + _LOWEST / 700), 2595 * np.log10(1 + _HIGHEST / 700), _BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)[:, None]
    bins = fft.rfftfreq(_WINDOW, 1 / RATE)[None]
    rising, falling = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).T.astype(np.float32)
