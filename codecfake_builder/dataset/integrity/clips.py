"""Check the audio of one row of a dataset: name, format, length and hash."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import soundfile

from codecfake_builder.audio import RATE

_BLOCK = 65_536
_LONGEST = 86_400.0
"""Seconds: a clip that says it lasts longer is not read on."""
_FORM = ("FLAC", "PCM_16", 1, RATE)


def clip_problems(row: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with one row's audio. It is read in blocks, and never further than the row says it lasts."""
    audio, duration = row["audio"], row["duration"]
    if not audio or not audio["bytes"]:
        yield "has no audio"
        return
    path = audio["path"]
    if not path or PurePath(path).name != path or not path.isprintable():
        yield f"audio path {path!r} is no bare file name"
    if duration is None or not 0 < duration < _LONGEST:
        yield f"duration is {duration!r}"
        return
    try:
        with soundfile.SoundFile(io.BytesIO(audio["bytes"])) as file:
            form = (file.format, file.subtype, file.channels, file.samplerate)
            if form != _FORM:
                yield (
                    f"is {form[0]} {form[1]}, {form[2]} channels, {form[3]} Hz; expected FLAC PCM_16, 1 channel, "
                    f"{RATE} Hz"
                )
                return
            samples, sha256 = _read(file, round(duration * RATE))
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, TypeError, MemoryError) as error:
        yield f"cannot be decoded ({' '.join(str(error).split())})"
        return
    if samples != round(duration * RATE):
        more = "more than " if samples > round(duration * RATE) else ""
        yield f"has {more}{samples} samples, duration says {round(duration * RATE)}"
    elif not math.isclose(samples / RATE, duration, abs_tol=1e-9):
        yield f"has {samples} samples, duration says {duration * RATE:g}"
    elif sha256 != row["audio_sha256"]:
        yield "its samples do not have the sha256 that audio_sha256 says"


def _read(file: soundfile.SoundFile, expected: int) -> tuple[int, str]:
    """Return how many samples a file has, counted to one block beyond what is expected, and their sha256."""
    digest = hashlib.sha256()
    samples = 0
    while samples <= expected:
        block = file.read(_BLOCK, dtype="int16")
        if not len(block):
            break
        digest.update(block.astype("<i2").tobytes())
        samples += len(block)
    return samples, digest.hexdigest()
