"""The bundled speech that codecs are measured on: clips of the embedded edition, English and Mandarin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codecfake_builder.audio import Wave, decode, resample
from codecfake_builder.resources import resource_folder

CLIPS = ("e01_1", "z02_2", "e05_3", "z05_1", "e03_2", "z03_1")
"""Speakers of both languages, 2 to 3 s each."""


def bundled_speech(rate: int, count: int, seconds: float | None = None) -> list[Wave]:
    """Read speech clips at ``rate`` Hz, float32 ``[samples]``, full scale at 1.

    Args:
        rate: Hz.
        count: number of clips, at most ``len(CLIPS)``.
        seconds: at most so much of each, from its beginning.

    >>> [clip.shape for clip in bundled_speech(24000, count=2, seconds=1.5)]
    [(36000,), (36000,)]
    """
    folder = resource_folder("recipes") / "mini" / "recorded"
    waves = []
    for name in CLIPS[:count]:
        wave, own_rate = decode((folder / f"{name}.flac").read_bytes())
        waves.append(resample(wave, own_rate, rate)[: None if seconds is None else round(seconds * rate)])
    return waves


def repeat_to_length(waves: Sequence[Wave], samples: int) -> Wave:
    """Return exactly ``samples`` samples: the clips one after the other, repeated as often as needed."""
    return np.resize(np.concatenate(waves), samples)
