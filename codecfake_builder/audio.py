"""The audio chain: the same steps for the clips of every class, so that nothing but the codec tells classes apart.

decode (whole, or rejected) -> mono -> scale down where a peak is over full scale -> resample to the codec's rate ->
context before and after -> codec -> resample to 16 kHz -> take out the codec's delay and the context -> cut or zero-pad
to the source's length -> what ``finished_clip.py`` does to every clip: trim, mean, fade, level of the source, peak,
dither -> FLAC, 16 bit, mono. Real clips pass the same chain without context and codec; the output of an audio language
model passes it from the resampling to 16 kHz on and keeps its own length and level. Waveforms are float32 arrays
``[samples]`` with full scale at 1; lengths are samples, rates Hz. ``AudioPolicy`` says what a recipe may change, and
the figures that its defaults were chosen by.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from codecfake_builder.decoding.decode import Wave as Wave
from codecfake_builder.decoding.decode import decode as decode
from codecfake_builder.folders import files_below
from codecfake_builder.rejections import RejectedError, RejectionReason

CHAIN_VERSION = 3
"""Raised whenever this module or ``finished_clip.py`` would make other samples of the same codec output."""
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")
"""Suffixes, in lower case, of the files that are taken for audio: the kinds that libsndfile decodes."""
RATE = 16000
"""Rate of every clip of a dataset, Hz."""
FULL_SCALE = 32767 / 32768
"""The largest sample that 16-bit PCM can hold; a clip with a higher peak is scaled down to it."""
SOURCE_SILENCE_RMS = 1e-4
"""Level (-80 dB) below which a part of a source holds no speech: it is within three steps of zero at 16 bits."""
PART_SECONDS = 0.02
"""Length of the parts of a source whose level is looked at, each around its own mean: an offset is no speech."""
LEAST_SPEECH_PARTS = 5
"""A source with fewer parts than these (0.1 s) above silence is silent: a click is no speech."""
SILENCE_RMS = 1e-5
"""Level (-100 dB) below which an output is silent at 16 bits."""


def samples_at(samples: int, rate: int, target_rate: int) -> int:
    """Return the length at ``target_rate`` of a clip of ``samples`` at ``rate``, rounded up in integer arithmetic."""
    return -(-samples * target_rate // rate)


def find_audio(folder: Path) -> list[Path]:
    """Return the audio files below a folder, at any depth, sorted by path; hidden ones are left out."""
    return [path for path in files_below(folder) if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()]


def make_fit(wave: Wave, rate: int) -> tuple[Wave, float]:
    """Return a source as every codec gets it, and the factor it was multiplied by: 1, or what brings a peak over full
    scale down to it (float files at integer scale, lossy ones that overshoot).

    That comes before the codec, and alike for real speech, so that level does not tell classes apart.

    Args:
        wave: the decoded source.
        rate: of it, Hz.

    Raises:
        RejectedError: ``silent``, for a source that is.
    """
    peak = float(np.abs(wave).max())
    gain = FULL_SCALE / peak if peak > 1 else 1.0
    levels = np.sort(part_levels(wave, round(PART_SECONDS * rate)))[::-1] * gain
    if levels[min(LEAST_SPEECH_PARTS, len(levels)) - 1] < SOURCE_SILENCE_RMS:
        heard = PART_SECONDS * int((levels >= SOURCE_SILENCE_RMS).sum())
        raise RejectedError(
            RejectionReason.SILENT,
            f"{heard:.2f} s of the source are above RMS {SOURCE_SILENCE_RMS:g} around their mean",
        )
    return (wave if gain == 1 else (wave.astype(np.float64) * gain).astype(np.float32)), gain


def part_levels(wave: Wave, samples: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the RMS of each part of a waveform around the part's own mean; an incomplete last part is left out.

    Args:
        wave: any waveform that is not empty; one shorter than a part is one part.
        samples: length of a part.
    """
    size = min(len(wave), max(1, samples))
    parts = wave[: len(wave) // size * size].reshape(-1, size)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(parts.std(axis=1, dtype=np.float64))


def resample(wave: Wave, rate: int, target_rate: int) -> Wave:
    """Resample with soxr VHQ to exactly ``samples_at(len(wave), rate, target_rate)`` samples."""
    if rate == target_rate:
        return wave
    return fit(soxr.resample(wave, rate, target_rate, quality="VHQ"), samples_at(len(wave), rate, target_rate))


def fit(wave: Wave, samples: int) -> Wave:
    """Cut or zero-pad a waveform at its end to ``samples``."""
    if len(wave) >= samples:
        return wave[:samples]
    return np.pad(wave, (0, samples - len(wave)))


def context_samples(seconds: float, rate: int) -> int:
    """Return the length at ``rate`` of the context of a clip: ``seconds``, rounded up to whole samples at 16 kHz too.

    >>> context_samples(0.32, 44100), context_samples(0.1, 11025)
    (14112, 1323)
    """
    step = rate // math.gcd(rate, RATE)
    return math.ceil(Fraction(str(seconds)) * rate / step) * step


def with_context(wave: Wave, samples: int) -> Wave:
    """Return a clip with itself mirrored before and after it, ``samples`` each, so that no codec begins or ends in it.

    A context that is longer than the clip goes to and fro in it.
    """
    return np.pad(wave, samples, mode="reflect") if samples else wave


def restore(wave: Wave, rate: int, delay: int, samples: int, slack: int, context: int = 0) -> Wave:
    """Return a codec's output at 16 kHz, without the codec's delay and the context, with the source's length.

    Args:
        wave: the output at ``rate`` for an input that was padded at its end.
        rate: of the codec, Hz.
        delay: samples at ``rate`` by which the output lags behind the input.
        samples: the source's length at 16 kHz.
        slack: how many samples at 16 kHz the output may lack at its end; they are filled with zeros where they are of
            the source and not of its context.
        context: samples at ``rate`` before and after the source, see :func:`context_samples`.

    Raises:
        RejectedError: ``non_finite`` or ``length``.
    """
    if not np.isfinite(wave).all():
        raise RejectedError(
            RejectionReason.NON_FINITE, f"the codec's output has {int((~np.isfinite(wave)).sum())} such samples"
        )
    at_rate = resample(np.ascontiguousarray(wave), rate, RATE)[samples_at(delay, rate, RATE) :]
    around = context * RATE // rate
    if len(at_rate) < samples + 2 * around - slack:
        what = "the source with its context" if context else "the source"
        raise RejectedError(
            RejectionReason.LENGTH, f"the codec's output has {len(at_rate)} samples, {what} {samples + 2 * around}"
        )
    return fit(at_rate[around:], samples)


def resample_generated(wave: Wave, rate: int, min_seconds: float, max_seconds: float) -> Wave:
    """Return an audio language model's output at 16 kHz. It keeps its own length, since there is no source to follow.

    Args:
        wave: the output at ``rate``.
        rate: of the model's codec, Hz.
        min_seconds: shorter output is rejected.
        max_seconds: longer output is rejected.

    Raises:
        RejectedError: ``nothing_generated``, ``non_finite``, ``too_short`` or ``too_long``.
    """
    if not len(wave):
        raise RejectedError(RejectionReason.NOTHING_GENERATED, "the model ended before its first frame of speech")
    if not np.isfinite(wave).all():
        raise RejectedError(
            RejectionReason.NON_FINITE, f"the model's output has {int((~np.isfinite(wave)).sum())} such samples"
        )
    seconds = len(wave) / rate
    if not min_seconds <= seconds <= max_seconds:
        reason = RejectionReason.TOO_SHORT if seconds < min_seconds else RejectionReason.TOO_LONG
        raise RejectedError(reason, f"{seconds:.3f} s generated, the recipe takes {min_seconds:g} to {max_seconds:g} s")
    return resample(np.ascontiguousarray(wave), rate, RATE)


def rms(wave: np.ndarray[Any, np.dtype[Any]]) -> float:
    """Return the root mean square of a waveform, where full scale is 1."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
