"""The bundled speech that codecs are measured on: clips of the embedded edition, English and Mandarin."""

from __future__ import annotations

import numpy as np

from codecfake_builder.audio import Wave, decode, resample
from codecfake_builder.resources import resource_folder

CLIPS = ("e01_1", "z02_2", "e05_3", "z05_1", "e03_2", "z03_1")
"""Speakers of both languages, 2 to 3 s each."""


def bundled_speech(rate: int, count: int, seconds: float | None = None) -> list[Wave]:
    """Speech clips at ``rate`` Hz, float32 ``[samples]``, full scale at 1.

    Args:
        rate: Hz.
        count: how many, at most ``len(CLIPS)``.
        seconds: at most so much of each, from its beginning.
    """
    folder = resource_folder("recipes") / "mini" / "recorded"
    waves = []
    for name in CLIPS[:count]:
        wave, own_rate = decode((folder / f"{name}.flac").read_bytes())
        waves.append(resample(wave, own_rate, rate)[: None if seconds is None else round(seconds * rate)])
    return waves


def lasting(waves: list[Wave], samples: int) -> Wave:
    """Exactly ``samples`` of speech: the clips one after the other, again and again."""
    return np.resize(np.concatenate(waves), samples)
