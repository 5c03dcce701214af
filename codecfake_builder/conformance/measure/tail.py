"""How far appended silence reaches back into a codec's output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codecfake_builder.audio import Wave
from codecfake_builder.conformance.measure.codec import Codec, run_codec
from codecfake_builder.conformance.speech import repeat_to_length

LAST_PART_SECONDS = 0.5
"""What may change before a clip's end when silence is appended. Convolutional codecs look ahead (DAC at 16 kHz 0.26 s);
with norms, attention and recurrent layers over the whole clip the change begins where the clip begins."""
TAIL_SECONDS = {1.5: (0.02, 1.0), 1.9: (1.0,)}
"""Length of a clip -> silence appended to it: less and more than builds pad by (``audio.tail_seconds``). Two lengths,
since a codec that works in chunks of a second changes its last chunk, however long that is."""
TOLERANCE = 2**-15
"""Difference up to which two outputs are equal, full scale being 1: a step of the 16-bit clips that are written.
Rounding stays far below it (7e-7 measured), another code does not."""


def measure_tail_reach(codec: Codec, waves: Sequence[Wave], delay: int = 0, tolerance: float = TOLERANCE) -> float:
    """Measure how many seconds before a clip's end its output begins to change when silence is appended; 0: none.

    Builds pad clips of a tail-local codec to common lengths (:class:`codecfake_builder.resynthesis.PaddingRule`), and
    rely on it that the appended silence changes nothing before the clip's last part.

    Args:
        waves: speech at the codec's rate.
        delay: samples by which the output lags: the clip ends so much later in it.
        tolerance: difference up to which two samples are equal.

    >>> from codecfake_builder.conformance.speech import bundled_speech
    >>> class Normalizing:
    ...     sample_rate = 16000
    ...     def resynthesize(self, wav, seeds=None):
    ...         return wav / wav.std()
    >>> is_tail_local(measure_tail_reach(Normalizing(), bundled_speech(16000, count=1)))
    False
    """
    reach = 0
    for seconds, appended in TAIL_SECONDS.items():
        wave = repeat_to_length(waves, round(seconds * codec.sample_rate))
        alone = run_codec(codec, wave)
        for silence in appended:
            longer = run_codec(codec, np.pad(wave, (0, round(silence * codec.sample_rate))))
            end = min(len(alone), len(longer), len(wave) + delay)
            changed = np.flatnonzero(~(np.abs(alone[:end] - longer[:end]) <= tolerance))
            reach = max(reach, len(wave) + delay - int(changed[0])) if len(changed) else reach
    return reach / codec.sample_rate


def is_tail_local(reach: float) -> bool:
    """Return whether a measured reach (seconds) lies within a clip's last part."""
    return reach <= LAST_PART_SECONDS
