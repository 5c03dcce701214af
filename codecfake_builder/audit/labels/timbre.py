"""Describe what tells codecs apart in a clip."""

from __future__ import annotations

from typing import Any

import numpy as np

from codecfake_builder.audio import Wave
from codecfake_builder.audit.leakage.copies import band_powers

_HOP = 256
TIMBRE = 120
"""Numbers that describe a clip."""


def timbre(wave: Wave) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return what tells codecs apart in a clip, float32 ``[120]``: mean and spread of the level of each of 40 bands,
    and of its change from frame to frame, dB.

    Args:
        wave: float32 ``[samples]`` at 16 kHz.
    """
    power = band_powers(wave, _HOP)
    level = 10 * np.log10(max(float(power.mean()), 1e-9))
    levels = np.maximum(10 * np.log10(power + 1e-9) - level, -60)
    changes = np.diff(levels, axis=0) if len(levels) > 1 else np.zeros_like(levels)
    return np.concatenate([levels.mean(axis=0), levels.std(axis=0), changes.std(axis=0)]).astype(np.float32)
