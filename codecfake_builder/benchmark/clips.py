"""Clips at the length a model takes: the publication's way, random crops, and augmentation that favours no codec."""

from __future__ import annotations

import numpy as np

from codecfake_builder.audio import Wave


def repeat_or_crop(wave: Wave, samples: int, start: int = 0) -> Wave:
    """``samples`` samples from ``start`` on, of the wave repeated as often as it takes.

    With ``start`` 0 this is the publication's data handling: the first samples of a long clip, a short one repeated.
    """
    if len(wave) - start >= samples:
        return wave[start : start + samples]
    return np.resize(np.roll(wave, -start), samples)
