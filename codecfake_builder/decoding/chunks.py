"""Find the samples of a file of chunks: WAV (RIFF, Microsoft 1991), RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088),
Wave64, AIFF and AIFF-C (Apple, 1991), AU, CAF (Apple).

What the data chunk says of its size counts, never the size of the whole file, which is often wrong. Programs that write
to a pipe leave the size of the data chunk at 0 or near 7F000000, 7FFFF000 or FFFFFFFF; then the other fields are asked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

MAGIC = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"riff", b".snd", b"dns.", b"caff")
"""How such files begin."""
_MOST_CHUNKS = 10000
_UNKNOWN = ((0x7EFF0000, 0x7F000100), (0x7FFE0000, 0x80000100), (0xFFFE0000, 0xFFFFFFFF))
"""Sizes that stand for "not known", from and to: programs round them down to whole frames, or add a header's size."""
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_PLAIN = (b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")
"""Kinds of AIFF-C whose frames have the size that the bits per sample say."""


class SampleBytes(NamedTuple):
    """Where the samples of a file lie."""

    start: int
    """Where the content of the data chunk begins, bytes."""
    end: int | None
    """Where it ends by what the file says; ``None`` where it says nothing."""
    size_at: int
    """Where the size of the data chunk stands."""
    size_format: str
    """Of that size, for ``struct``."""
    sized: bool
    """Whether the data chunk states its own size."""


def find_samples(data: bytes) -> SampleBytes | None:
    """Find the samples of a file of chunks; ``None`` for another file, and for one without them."""
    kind, form = data[:4], data[8:12]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
        return _in_wave(data, ">" if kind == b"RIFX" else "<")
    if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        return _in_aiff(data)
    if kind == b"riff" and data[24:28] == b"wave":
        return _in_wave64(data)
    if kind in (b".snd", b"dns.") and len(data) >= 12:
        order = ">" if kind == b".snd" else "<"
        start, size = struct.unpack(f"{order}II", data[4:12])
        known = _is_known(size) or (size == 0 and len(data) <= start)
        return SampleBytes(start, start + size if known else None, 8, f"{order}I", known)
    if kind == b"caff":
        for name, start, size in _chunks(data, 8, ">q", padded=False):
            if name == b"data":
                return SampleBytes(start, start + size if size >= 0 else None, start - 8, ">q", size >= 0)
    return None


def with_known_size(data: bytes) -> bytes:
    """Return a file of chunks as decoders read it right: with the size of its samples filled in where it was not known,
    as plain WAV where it was WAV with long sizes, and a Wave64 file without what follows its samples."""
    found = find_samples(data)
    if found is None:
        return data
    if data[:4] == b"riff":
        return data[: found.end]
    long = data[:4] in (b"RF64", b"BW64")
    if found.sized and not long:
        return data
    filled = bytearray(data)
    end = len(data) if found.end is None else min(found.end, len(data))
    struct.pack_into(found.size_format, filled, found.size_at, end - found.start)
    if long:
        filled[:8] = b"RIFF" + struct.pack("<I", len(data) - 8)
    return bytes(filled)


def _is_known(size: int) -> bool:
    return size > 0 and not any(least <= size <= most for least, most in _UNKNOWN)


def _in_wave(data: bytes, order: str) -> SampleBytes | None:
    """Find the samples of a WAV file. One whose data chunk does not know its size may say it by its frames (``fact``),
    or by the size of the whole file."""
    long_size, frames, frame_size = 0, 0, 0
    for name, start, size in _chunks(data, 12, f"{order}I"):
        content = data[start : start + 16]
        if name == b"ds64" and len(content) == 16:
            long_size = struct.unpack(f"{order}Q", content[8:])[0]
        elif name == b"fmt " and len(content) == 16:
            tag, frame_size = struct.unpack(f"{order}H", content[:2])[0], struct.unpack(f"{order}H", content[12:14])[0]
            frame_size *= tag in (1, 3, 6, 7, 0xFFFE)
        elif name == b"fact" and len(content) >= 4:
            frames = struct.unpack(f"{order}I", content[:4])[0]
        elif name == b"data":
            at, size_format = start - 4, f"{order}I"
            if size == 0xFFFFFFFF and 0 < long_size < 1 << 62:
                return SampleBytes(start, start + long_size, at, size_format, sized=True)
            if _is_known(size) or (size == 0 and _ends_or_goes_on(data, start, size_format)):
                return SampleBytes(start, start + size, at, size_format, sized=True)
            whole = struct.unpack(size_format, data[4:8])[0]
            end = start + frames * frame_size if _is_known(frames) and frame_size else None
            if end is None and _is_known(whole) and whole + 7 > len(data):  # a missing pad byte is harmless
                end = whole + 8
            return SampleBytes(start, end, at, size_format, sized=False)
    return None


def _in_aiff(data: bytes) -> SampleBytes | None:
    """Find the samples of an AIFF file. One whose data chunk does not know its size may say it by its frames."""
    promised = 0
    for name, start, size in _chunks(data, 12, ">I"):
        if name == b"COMM" and len(data) >= start + 18:
            channels, frames, bits = struct.unpack(">HIH", data[start : start + 8])
            plain = data[8:12] == b"AIFF" or data[start + 18 : start + 22] in _PLAIN
            promised = frames * channels * (-(-bits // 8)) * (plain and frames < _UNKNOWN[0][0] >> 6)
        elif name == b"SSND":
            if _is_known(size) and size >= 8:
                return SampleBytes(start, start + max(size, 8 + promised), start - 4, ">I", sized=True)
            end = start + 8 + promised if promised else None
            return SampleBytes(start, end, start - 4, ">I", sized=_ends_or_goes_on(data, start + 8, ">I"))
    return None


def _in_wave64(data: bytes) -> SampleBytes | None:
    """Find the samples of a Sony Wave64 file."""
    position = 40
    for _ in range(_MOST_CHUNKS):
        if position + 24 > len(data):
            return None
        size = int.from_bytes(data[position + 16 : position + 24], "little")
        if data[position : position + 16] == _W64_DATA:
            end = position + size if 24 < size < 1 << 62 else None
            return SampleBytes(position + 24, end, position + 16, "<Q", end is not None)
        position += max(24, size + -size % 8)
    return None


def _ends_or_goes_on(data: bytes, position: int, size_format: str) -> bool:
    """Return whether the file ends at a position, or goes on with a whole chunk: what is before it has no samples."""
    name, size = data[position : position + 4], data[position + 4 : position + 8]
    if position >= len(data):
        return True
    return _is_name(name) and len(size) == 4 and position + 8 + struct.unpack(size_format, size)[0] <= len(data)


def _chunks(data: bytes, position: int, size_format: str, padded: bool = True) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and size of each chunk, at most a bounded number of them."""
    yield from islice(_all_chunks(data, position, size_format, padded), _MOST_CHUNKS)


def _all_chunks(data: bytes, position: int, size_format: str, padded: bool) -> Iterator[tuple[bytes, int, int]]:
    """Yield every chunk; after an odd size comes a byte, which some programs leave out."""
    width = struct.calcsize(size_format)
    while position + 4 + width <= len(data):
        name = data[position : position + 4]
        start = position + 4 + width
        size = struct.unpack(size_format, data[position + 4 : start])[0]
        yield name, start, size
        if size < 0:
            return
        position = start + size
        if padded and size % 2 and not _is_name(data[position : position + 4]):
            position += 1


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)
