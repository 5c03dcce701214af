"""Read the audio file of a clip: its samples at 16 kHz, and what the file says of itself."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from codecfake_builder.audio import RATE, Wave, decode, resample


@dataclass(frozen=True)
class Container:
    """What the audio file of a clip says of itself."""

    kind: str
    """Format and sample format: ``FLAC PCM_16``."""
    rate: int
    """Hz."""
    channels: int
    samples: int


def decoded(data: bytes) -> tuple[Wave, Container]:
    """Decode an audio file to 16 kHz, float32, full scale 1.

    Raises:
        RejectedError: it cannot be decoded, or is silent or empty.
    """
    wave, rate = decode(data)
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        container = Container(f"{file.format} {file.subtype}", rate, file.channels, len(wave))
    return resample(wave, rate, RATE), container


def pcm_of(wave: Wave) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return a waveform as 16-bit samples."""
    return np.clip(np.rint(wave.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
