"""Read audio files that another program wrote; everything about them is checked."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import soundfile

from codec_adapters.errors import CodecError


def read_mono(path: Path, rate: int, who: str, refusal: type[CodecError], longest: float | None = None) -> np.ndarray:
    """Read a mono file at ``rate`` Hz as float32 ``[samples]``, which may be empty.

    Args:
        who: the program that wrote it; the message begins with it.
        refusal: the class of the error to raise.
        longest: most seconds that it may last.

    Raises:
        CodecError: of class ``refusal``: no regular file, no audio, another rate or number of channels, or too long.
    """
    try:  # neither a link is followed nor a pipe waited for, whatever the path becomes meanwhile
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise refusal(f"{who} answered, but wrote no output") from error
    except OSError as error:
        raise refusal(f"{who} wrote something that is no file ({error.strerror})") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise refusal(f"{who} wrote something that is no file")
        with soundfile.SoundFile(descriptor, closefd=False) as file:
            if file.samplerate != rate or file.channels != 1:
                raise refusal(
                    f"{who} wrote {file.frames} samples, {file.channels} channels, {file.samplerate} Hz; expected one "
                    f"channel, {rate} Hz"
                )
            if longest is not None and file.frames > round(longest * rate):
                raise refusal(f"{who} wrote {file.frames / rate:.2f} s, over the limit of {longest:g} s")
            return np.asarray(file.read(dtype="float32"))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        if isinstance(error, CodecError):
            raise
        raise refusal(f"{who} wrote no audio: {getattr(error, 'error_string', error)}") from error
    finally:
        os.close(descriptor)
