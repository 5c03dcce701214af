"""Waveforms that came back as files from somebody else's program; nothing of them is believed."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import soundfile

from codec_adapters.errors import CodecError


def read_mono(path: Path, rate: int, who: str, refusal: type[CodecError]) -> np.ndarray:
    """A mono file at ``rate`` Hz, float32 ``[samples]``, at least one.

    Args:
        who: wrote it, in words, to begin the message with.
        refusal: the kind of error to raise.

    Raises:
        CodecError: of kind ``refusal``: no file, no audio, or another rate or number of channels.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise refusal(f"{who} wrote something that is no file: {path.name}")
        samples, found = soundfile.read(path, dtype="float32", always_2d=True)
    except FileNotFoundError as error:
        raise refusal(f"{who} answered, but wrote no {path.name}") from error
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise refusal(f"{who} wrote no audio: {str(error).strip()}") from error
    if found != rate or samples.shape[1] != 1 or not len(samples):
        raise refusal(
            f"{who} wrote {len(samples)} samples, {samples.shape[1]} channels, {found} Hz; "
            f"expected one channel, {rate} Hz"
        )
    return samples[:, 0]
