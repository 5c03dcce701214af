"""The audio chain: the same steps for the clips of every class, so that nothing but the codec tells classes apart.

decode -> mono -> resample to the codec's rate -> codec -> resample to 16 kHz -> take out the codec's delay -> cut or
zero-pad to the source's length -> scale down where a peak is over full scale -> FLAC, 16 bit, mono. Real clips pass the
same chain without the codec; the output of an audio language model passes it from the resampling to 16 kHz on and keeps
its own length. Waveforms are float32 arrays ``[samples]`` with full scale at 1; lengths are samples, rates Hz.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from codecfake_builder.folders import files_below
from codecfake_builder.rejections import RejectedError, RejectionReason

Wave = np.ndarray[Any, np.dtype[np.float32]]
Pcm = np.ndarray[Any, np.dtype[np.int16]]

CHAIN_VERSION = 1
"""Raised whenever this module would make other samples of the same codec output."""
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")
"""Suffixes, in lower case, of the files that are taken for audio: the kinds that libsndfile decodes."""
RATE = 16000
"""Rate of every clip of a dataset, Hz."""
FULL_SCALE = 32767 / 32768
"""The largest sample that 16-bit PCM can hold; a clip with a higher peak is scaled down to it."""
SPEECH_RMS = 1e-3
"""Level (-60 dB) above which a source is not silent; a codec whose output for it is silent has failed."""
SILENCE_RMS = 1e-5
"""Level (-100 dB) below which an output is silent at 16 bits."""


@dataclass(frozen=True)
class FinishedClip:
    """A clip as it goes into a shard."""

    flac: bytes
    """The whole FLAC file."""
    pcm: Pcm
    """Its samples, int16 ``[samples]`` at 16 kHz."""
    gain: float
    """Factor that the clip was multiplied by to bring its peak down to full scale; 1 where the peak was below."""


def samples_at(samples: int, rate: int, target_rate: int) -> int:
    """Return the length at ``target_rate`` of a clip of ``samples`` at ``rate``, rounded up in integer arithmetic."""
    return -(-samples * target_rate // rate)


def find_audio(folder: Path) -> list[Path]:
    """Return the audio files below a folder, at any depth, sorted by path; hidden ones are left out."""
    return [path for path in files_below(folder) if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()]


def decode(data: bytes) -> tuple[Wave, int]:
    """Decode the bytes of an audio file; return its samples, mixed down to mono, and its rate in Hz.

    Raises:
        RejectedError: ``unreadable``, ``truncated``, ``empty`` or ``non_finite``.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, promised = int(file.samplerate), int(file.frames)
            channels = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise RejectedError(RejectionReason.UNREADABLE, str(error).strip()) from error
    if len(channels) < promised or _wav_is_cut(data):
        raise RejectedError(
            RejectionReason.TRUNCATED, f"{len(channels)} samples of the {promised} that the header promises"
        )
    if not len(channels):
        raise RejectedError(RejectionReason.EMPTY, "no samples")
    mono = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise RejectedError(
            RejectionReason.NON_FINITE, f"{int((~np.isfinite(mono)).sum())} samples are NaN or infinite"
        )
    return np.ascontiguousarray(mono), rate


def _wav_is_cut(data: bytes) -> bool:
    """Return whether a WAV file ends before its own header says; libsndfile reads such files without an error."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return False
    promised = int.from_bytes(data[4:8], "little")
    streamed = promised in (0, 0xFFFFFFFF)  # written to a pipe, the size never filled in
    return not streamed and len(data) < promised + 8 - 1  # a missing pad byte at the end is harmless


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


def restore(wave: Wave, rate: int, delay: int, samples: int, slack: int) -> Wave:
    """Return a codec's output at 16 kHz, without the codec's delay and with the source's length.

    Args:
        wave: the output at ``rate`` for an input that was padded at its end.
        rate: of the codec, Hz.
        delay: samples at ``rate`` by which the output lags behind the input.
        samples: the source's length at 16 kHz.
        slack: how many samples at 16 kHz the output may lack at its end; they are filled with zeros.

    Raises:
        RejectedError: ``non_finite`` or ``length``.
    """
    if not np.isfinite(wave).all():
        raise RejectedError(
            RejectionReason.NON_FINITE, f"the codec's output has {int((~np.isfinite(wave)).sum())} such samples"
        )
    at_rate = resample(np.ascontiguousarray(wave), rate, RATE)[samples_at(delay, rate, RATE) :]
    if len(at_rate) < samples - slack:
        raise RejectedError(
            RejectionReason.LENGTH, f"the codec's output has {len(at_rate)} samples, the source {samples}"
        )
    return fit(at_rate, samples)


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


def finish(wave: Wave, source_rms: float | None) -> FinishedClip:
    """Scale a clip at 16 kHz down to full scale where its peak is above, and encode it as FLAC.

    Args:
        source_rms: level of the source (full scale 1); ``None`` where there is no source, and speech is expected.

    Raises:
        RejectedError: ``silent``, for silence where the source is not silent, or where speech is expected.
    """
    level = rms(wave)
    if level < SILENCE_RMS and (source_rms is None or source_rms > SPEECH_RMS):
        source = "" if source_rms is None else f" for a source of RMS {source_rms:.1e}"
        raise RejectedError(RejectionReason.SILENT, f"output RMS {level:.1e}{source}")
    peak = float(np.abs(wave).max())
    gain = FULL_SCALE / peak if peak > FULL_SCALE else 1.0
    pcm = np.rint(wave.astype(np.float64) * (gain * 32768)).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, RATE, format="FLAC", subtype="PCM_16")
    return FinishedClip(buffer.getvalue(), pcm, gain)


def rms(wave: Wave) -> float:
    """Return the root mean square of a waveform, where full scale is 1."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
