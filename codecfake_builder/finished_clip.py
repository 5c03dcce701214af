"""The end of the audio chain, alike for every class: trim, mean, fade, level, peak, dither, FLAC.

What is done to a clip depends on its source, never on what made it: where it is cut, which level it gets, and the noise
that it is quantized with are those of the real clip of the same utterance. Clips without a source (those of audio
language models, and imported ones) are their own.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from codecfake_builder.audio import FULL_SCALE, RATE, SILENCE_RMS, Wave, part_levels, rms
from codecfake_builder.rejections import RejectedError, RejectionReason

if TYPE_CHECKING:
    from codecfake_builder.audio_policy import AudioPolicy

Pcm = np.ndarray[Any, np.dtype[np.int16]]
_Samples = np.ndarray[Any, np.dtype[np.float64]]

TRIM_PART_SECONDS = 0.01
"""Length of the parts whose level decides where a clip is cut."""
_STEPS = 32768
"""Steps of 16-bit PCM up to full scale."""


@dataclass(frozen=True)
class FinishedClip:
    """A clip as it goes into a shard."""

    flac: bytes
    """The whole FLAC file."""
    pcm: Pcm
    """Its samples, int16 ``[samples]`` at 16 kHz."""
    gain: float
    """Factor that brought peaks down to full scale: of the source before the codec, times of the clip; else 1."""
    level_gain: float
    """Factor that gave a codec's output the level of its source; 1 elsewhere."""


@dataclass(frozen=True)
class Reference:
    """What the clips of an utterance are held to: the source at 16 kHz."""

    wave: Wave
    """The whole of it, ``[samples]``."""
    seed: int
    """Of the dither."""
    kept: slice
    """What of it clips keep."""

    @classmethod
    def of(cls, wave: Wave, seed: int, policy: AudioPolicy) -> Reference:
        """Return the reference that a source is.

        Args:
            wave: at 16 kHz.
            seed: see :func:`content_seed`.
            policy: says whether and where clips are cut, and how short they may then be.

        Raises:
            RejectedError: ``too_short``: what is left of the source is.
        """
        kept = slice(0, len(wave)) if policy.trim_db is None else loud_part(wave, policy.trim_db)
        seconds = (kept.stop - kept.start) / RATE
        if policy.trim_db is not None and seconds < policy.min_seconds:
            raise RejectedError(
                RejectionReason.TOO_SHORT,
                f"{seconds:.3f} s within {policy.trim_db:g} dB of the loudest part (audio.trim_db), the recipe takes "
                f"{policy.min_seconds:g} s",
            )
        return cls(wave, seed, kept)


def content_seed(wave: Wave) -> int:
    """Return a seed that depends on the samples alone, so that the same audio under two names stays the same audio."""
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(wave, dtype="<f4").tobytes()).digest()[:8], "big")


def loud_part(wave: Wave, decibels: float) -> slice:
    """Return the part of a waveform at 16 kHz from the first to the last 10 ms within ``decibels`` of the loudest."""
    size = round(TRIM_PART_SECONDS * RATE)
    levels = part_levels(wave, size)
    loud = np.flatnonzero(levels >= levels.max() * 10 ** (-decibels / 20))
    return slice(int(loud[0]) * size, min(len(wave), (int(loud[-1]) + 1) * size))


def fade_window(samples: int, seconds: float) -> _Samples:
    """Return what a clip of ``samples`` at 16 kHz is multiplied by: raised cosines of ``seconds`` at both ends.

    A clip that is shorter than two fades has two that meet in its middle.
    """
    window = np.ones(samples)
    length = min(round(seconds * RATE), samples // 2)
    rise = np.sin(np.pi / 2 * (np.arange(length) + 0.5) / max(1, length)) ** 2
    window[:length] = rise
    window[samples - length :] = rise[::-1]
    return window


def finish(wave: Wave, reference: Reference, policy: AudioPolicy, source_gain: float = 1.0) -> FinishedClip:
    """Cut, fade, level and quantize a clip, and encode it as FLAC.

    Args:
        wave: ``[samples]`` at 16 kHz, as long as the reference.
        reference: its source; for a clip without one, itself.
        policy: of the recipe.
        source_gain: what the source was multiplied by, see :func:`codecfake_builder.audio.make_fit`; the clip's gain
            counts it in.

    Raises:
        RejectedError: ``silent``: speech was expected, since silent sources are rejected before.
    """
    window = fade_window(reference.kept.stop - reference.kept.start, policy.fade_seconds)
    faded, source = (_faded(whole[reference.kept], window) for whole in (wave, reference.wave))
    level, wanted = rms(faded), rms(source)
    if min(level, wanted) < SILENCE_RMS:
        raise RejectedError(
            RejectionReason.SILENT, f"output RMS {level:.1e} around its mean, of the source {wanted:.1e}"
        )
    level_gain = wanted / level if policy.level == "source" else 1.0
    peak = float(np.abs(faded).max()) * level_gain
    gain = FULL_SCALE / peak if peak > FULL_SCALE else 1.0
    steps = faded * (level_gain * gain * _STEPS) + dither(len(faded), reference.seed)
    pcm = np.clip(np.rint(steps), -_STEPS, _STEPS - 1).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, RATE, format="FLAC", subtype="PCM_16")
    return FinishedClip(buffer.getvalue(), pcm, gain * source_gain, level_gain)


def _faded(wave: Wave, window: _Samples) -> _Samples:
    """Return a waveform under a window, moved so that its mean is 0 then and its ends are at rest."""
    exact = wave.astype(np.float64)
    faded: _Samples = (exact - (exact * window).sum() / window.sum()) * window
    return faded


def dither(samples: int, seed: int) -> _Samples:
    """Return the noise that a clip is quantized with, in 16-bit steps: the difference of two uniform numbers.

    So no class has digital silence, or zeros where a codec is silent, of its own. The stream of numbers is one that
    NumPy promises to keep.
    """
    raw = np.random.PCG64(seed).random_raw(samples)
    high, low = raw >> np.uint64(32), raw & np.uint64(0xFFFFFFFF)
    noise: _Samples = (high.astype(np.float64) - low.astype(np.float64)) / 2.0**32
    return noise
