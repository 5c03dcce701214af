"""Decode an audio file: its samples, mixed down to mono. Waveforms are float32 ``[samples]`` with full scale at 1."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import soundfile

from codecfake_builder.decoding.chunks import with_known_size
from codecfake_builder.decoding.flac import FlacHeader, ends_in_frame, flac_header, with_unknown_total, without_tags
from codecfake_builder.decoding.mpeg import check_mpeg, is_mpeg, mpeg_frames, without_wrong_count
from codecfake_builder.decoding.ogg import pages_of
from codecfake_builder.decoding.whole import check_whole
from codecfake_builder.rejections import RejectedError, RejectionReason, truncated

Wave = np.ndarray[Any, np.dtype[np.float32]]
_Channels = np.ndarray[Any, np.dtype[np.float32]]

MOST_VALUES = 1 << 27
"""Samples of all channels together that are decoded of one file (46 minutes of mono at 48 kHz, 0.5 GB); a longer one is
no utterance. A header's promise alone never decides how much memory is taken."""
MOST_CHANNELS = 64
"""Channels of a file that is taken for a recording of speech."""
RATES = range(1000, 768001)
"""Sampling rates of files that are taken for audio, Hz."""
CANCELLED = 0.1
"""A mix below this share of the level that unrelated channels would mix to: the channels cancel each other (-20 dB)."""
_BLOCK = 1 << 18
"""Values that are decoded at a time."""
_DENSEST = 1 << 14
"""More values per byte than any kind of file holds: a header that promises them is wrong."""
_HASHED_BITS = (8, 16, 24)
"""Widths of a FLAC file's samples at which float32 holds them exactly, so that their MD5 can be checked."""


class _Stream(soundfile.SoundFile):  # type: ignore[misc] # the package has no types
    """A file that is read from front to end: libsndfile fails to seek in a FLAC of unknown length."""

    def seekable(self) -> bool:
        return False


class _Bytes(io.BytesIO):
    """A file's bytes; a place outside them, to which a damaged header sends the decoder, is not gone to."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):  # in a callback of the decoder, where nobody could catch it
            return self.tell()


def decode(data: bytes, most_values: int = MOST_VALUES) -> tuple[Wave, int]:
    """Decode the bytes of an audio file; return its samples, mixed down to mono, and its rate in Hz.

    Args:
        data: of the whole file; any kind that libsndfile decodes.
        most_values: samples of all channels together that are taken at most.

    Raises:
        RejectedError: ``unreadable``, ``truncated``, ``empty``, ``non_finite``, ``too_long``, or ``silent`` where
            the channels cancel each other.
    """
    check_whole(data)
    try:
        header = flac_header(data)
        if header is not None:
            return _decoded_flac(data, header, most_values)
        if is_mpeg(data):
            found = mpeg_frames(data)
            check_mpeg(data, found)
            return _decoded(without_wrong_count(data, found), most_values, piped=not found.exact)
        return _decoded(pages_of(data) or with_known_size(data), most_values)
    except soundfile.LibsndfileError as error:
        raise RejectedError(RejectionReason.UNREADABLE, error.error_string) from error
    except (RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise RejectedError(RejectionReason.UNREADABLE, str(error) or type(error).__name__) from error


def _decoded_flac(data: bytes, header: FlacHeader, most_values: int) -> tuple[Wave, int]:
    """Decode a FLAC file; what comes out has the number of samples and the MD5 that the header states, if it does."""
    bare = without_tags(data)
    try:
        found = _decoded(data if header.samples else bare, most_values, header)
    except soundfile.LibsndfileError:
        if ends_in_frame(bare):
            raise truncated("the file ends in a frame") from None
        raise
    if header.has_md5:
        return found
    if header.samples == 0:
        if ends_in_frame(bare):
            raise truncated("the file ends in a frame")
        return found
    try:
        return _decoded(with_unknown_total(bare), most_values)  # there may be more than the header says
    except soundfile.LibsndfileError:  # junk behind the last frame
        return found


@contextmanager
def _opened(data: bytes, piped: bool) -> Iterator[soundfile.SoundFile]:
    """Open a file's bytes. MPEG audio that does not say how many frames it has comes through a pipe, since libsndfile
    guesses their number otherwise and stops there."""
    if not piped:
        with _Stream(_Bytes(data)) as file:
            yield file
        return
    source, sink = os.pipe()
    writer = threading.Thread(target=_write_all, args=(sink, data), daemon=True)
    writer.start()
    try:
        with _Stream(source, closefd=False) as file:
            yield file
    finally:
        os.close(source)  # ends the writer, too
        writer.join()


def _write_all(sink: int, data: bytes) -> None:
    try:
        with open(sink, "wb") as pipe:
            pipe.write(data)
    except BrokenPipeError:
        pass


def _decoded(data: bytes, most_values: int, header: FlacHeader | None = None, piped: bool = False) -> tuple[Wave, int]:
    """Decode the bytes of a file to its end, or to the number of samples that a FLAC's header states."""
    limit = header.samples if header is not None else 0
    md5 = hashlib.md5(usedforsecurity=False)
    checked = header is not None and header.has_md5 and header.bits in _HASHED_BITS
    with _opened(data, piped) as file:
        _check_header(file, len(data), most_values)
        mixed: list[Wave] = []
        powers = np.zeros(file.channels + 1)  # of every channel, and of the mix
        frames = 0
        for channels in _blocks(file, limit):
            frames += len(channels)
            if frames * file.channels > most_values:
                raise _too_long(frames, file)
            if checked and header is not None:
                md5.update(_pcm(channels, header.bits))
            with np.errstate(over="ignore", invalid="ignore"):
                mono = channels[:, 0] if file.channels == 1 else channels.mean(axis=1, dtype=np.float32)
                mixed.append(np.array(mono))
                powers[:-1] += np.square(channels, dtype=np.float64).sum(axis=0)
                powers[-1] += np.square(mono, dtype=np.float64).sum()
        _check_samples(file, frames, powers)
        rate = int(file.samplerate)
    if checked and header is not None and md5.digest() != header.md5:
        cut = header.samples == 0 and ends_in_frame(data)
        reason = RejectionReason.TRUNCATED if cut else RejectionReason.UNREADABLE
        raise RejectedError(reason, "the samples have another MD5 than the header states")
    return np.concatenate(mixed), rate


def _blocks(file: soundfile.SoundFile, limit: int) -> Iterator[_Channels]:
    """Yield a file's samples in blocks, float32 ``[frames, channels]``, until the decoder has no more or, where there
    is a limit, so many frames."""
    size = max(1, _BLOCK // file.channels)
    done = 0
    while (wanted := min(size, limit - done) if limit else size) and len(
        block := file.read(wanted, dtype="float32", always_2d=True)
    ):
        done += len(block)
        yield block


def _pcm(channels: _Channels, bits: int) -> bytes:
    """Return decoded samples as the integers that they were in the file, little-endian, interleaved."""
    values = np.rint(channels.astype(np.float64) * (1 << (bits - 1))).astype("<i4")
    width = bits // 8
    return values.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()


def _check_header(file: soundfile.SoundFile, size: int, most_values: int) -> None:
    """Refuse what cannot be speech by its header: absurd rates and numbers of channels, and hours of it."""
    if file.samplerate not in RATES:
        raise RejectedError(RejectionReason.UNREADABLE, f"a sampling rate of {file.samplerate} Hz")
    if file.channels > MOST_CHANNELS:
        raise RejectedError(RejectionReason.UNREADABLE, f"{file.channels} channels")
    if most_values < file.frames * file.channels <= size * _DENSEST:
        raise _too_long(file.frames, file)


def _too_long(frames: int, file: soundfile.SoundFile) -> RejectedError:
    detail = f"at least {frames / file.samplerate:.0f} s of {file.channels} channels"
    return RejectedError(RejectionReason.TOO_LONG, detail)


def _check_samples(file: soundfile.SoundFile, frames: int, powers: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """Refuse what is cut, empty, not finite, or cancels itself in the mix."""
    promised = file.frames
    if frames < promised and promised < 1 << 62:
        raise truncated(f"{frames} samples of the {promised} that the header promises")
    if not frames:
        raise RejectedError(RejectionReason.EMPTY, "no samples")
    if not np.isfinite(powers).all():
        raise RejectedError(RejectionReason.NON_FINITE, "some of its samples are NaN, infinite or beyond float32")
    unrelated = float(np.sqrt(powers[:-1].sum())) / file.channels
    if file.channels > 1 and float(np.sqrt(powers[-1])) < CANCELLED * unrelated:
        loudest = np.sqrt(powers[:-1].max() / frames)
        raise RejectedError(
            RejectionReason.SILENT,
            f"its channels cancel each other: RMS {np.sqrt(powers[-1] / frames):.1e} mixed, {loudest:.1e} apart; "
            "give one channel as a mono file",
        )
