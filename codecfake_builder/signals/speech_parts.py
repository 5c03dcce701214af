"""Where speech is in a clip, and what its speech and its pauses sound like, each by itself.

Speech is found by WebRTC's voice activity detector (``webrtcvad-wheels``).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import webrtcvad

from codecfake_builder.audio import RATE, Wave, rms
from codecfake_builder.signals.alignment import power_spectra

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

FRAME_SECONDS = 0.01
FRAME = round(FRAME_SECONDS * RATE)
"""Samples."""
AGGRESSIVENESS, LEVEL, SHORTEST = 1, 0.02, 12
"""Of the detector, 0 to 3: the more, the fewer frames are speech; RMS at which it hears every clip; and frames that
speech lasts at least. Against Silero's network, on recordings and official outputs, 0.2 % of the speech is
missed and 7 % of the pauses are taken for speech."""
BESIDE_SPEECH = 3
"""Frames beside speech that count for neither part: a codec smears speech into them."""
LEAST_FRAMES = 10
"""A part with fewer frames than this (0.1 s) is not measured."""
BANDS = 20
_LOWEST = 50.0
_FLOOR_DECIBEL = 80.0

NAMES = (*(f"band_{band}" for band in range(BANDS)), "flatness", "flatness_spread", "level_spread", "centroid")
"""What :func:`describe` measures of a part: the level of each mel band, the spectrum's flatness and how much that and
the level vary, and the spectrum's centre."""


class Parts(NamedTuple):
    """What the parts of a clip sound like, float64 ``[features]`` each, see :data:`NAMES`; NaN for a part that is
    shorter than 0.1 s."""

    pauses: Floats
    speech: Floats


NO_PARTS = Parts(*[np.full(len(NAMES), np.nan)] * 2)
"""Of a clip that has neither."""


def speech_mask(wave: Wave) -> Mask:
    """Return which frames of 10 ms are speech, ``[frames]``; an incomplete last frame is left out.

    Args:
        wave: float32 ``[samples]`` at 16 kHz.
    """
    centred = wave - wave.mean() if len(wave) else wave
    level = rms(centred) if len(wave) else 0.0
    if level < 1e-7:
        return np.zeros(len(wave) // FRAME, dtype=bool)
    pcm = np.clip(centred * (LEVEL / level * 32768), -32768, 32767).astype("<i2")
    detector = webrtcvad.Vad(AGGRESSIVENESS)
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)
    mask = np.array([detector.is_speech(frame.tobytes(), RATE) for frame in frames], dtype=bool)
    changes = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    for start, end in changes.reshape(-1, 2):
        mask[start:end] = end - start >= SHORTEST
    return mask


def split_speech(wave: Wave, mask: Mask) -> Parts:
    """Return what the pauses and the speech of a clip sound like.

    Args:
        wave: float32 ``[samples]`` at 16 kHz.
        mask: :func:`speech_mask` of the clip, or of the recorded clip that it was made from, so that where the parts
            are says nothing of what made the clip.
    """
    spectra = power_spectra(wave - wave.mean() if len(wave) else wave, RATE, FRAME_SECONDS)[:, 1:]
    count = min(len(mask), len(spectra))
    spectra, mask = spectra[:count], mask[:count]
    near = np.convolve(mask, np.ones(2 * BESIDE_SPEECH + 1), mode="same") > 0 if count else mask
    return Parts(describe(spectra[~near[:count]]), describe(spectra[mask]))


def describe(spectra: Any) -> Floats:
    """Return what frames sound like, relative to their own level: see :data:`NAMES`.

    Args:
        spectra: powers, ``[frames, bins]``.
    """
    if len(spectra) < LEAST_FRAMES:
        return np.full(len(NAMES), np.nan)
    powers = spectra.astype(np.float64)
    mean = max(float(powers.mean()), 1e-20)
    powers = np.maximum(powers / mean, 10 ** (-_FLOOR_DECIBEL / 10))
    spectrum = powers.mean(axis=0)
    width = RATE / 2 / len(spectrum)
    frequencies = width * np.arange(1, len(spectrum) + 1)
    edges = np.searchsorted(frequencies, _mel_edges(BANDS))
    bands = [10 * np.log10(spectrum[low : max(high, low + 1)].mean()) for low, high in pairwise(edges)]
    logs = 10 * np.log10(powers)
    levels = 10 * np.log10(powers.mean(axis=1))
    flatness = logs.mean(axis=1) - levels
    centroid = float((frequencies * spectrum).sum() / spectrum.sum())
    return np.array([*bands, flatness.mean(), flatness.std(), levels.std(), centroid])


def _mel_edges(bands: int) -> Floats:
    lowest, highest = np.log1p(_LOWEST / 700), np.log1p(RATE / 2 / 700)
    return np.asarray(700 * np.expm1(np.linspace(lowest, highest, bands + 1)))
