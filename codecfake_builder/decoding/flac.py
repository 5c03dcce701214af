"""Read the header of a FLAC file (RFC 9639), find tags behind its frames, and check that its last frame is whole."""

from __future__ import annotations

from typing import NamedTuple

from codecfake_builder.decoding.id3 import id3_end

_FLAC_FRAME = 1 << 20
"""No frame of a FLAC file is larger, bytes."""
_MOST_CHECKED = 1 << 22
"""Bytes over which checksums are computed in search of the last frame's beginning: one that is seldom wrong is found
among a few."""


class FlacHeader(NamedTuple):
    """What ``STREAMINFO`` says of a FLAC file."""

    bits: int
    """Per sample."""
    samples: int
    """Per channel; 0: unknown."""
    md5: bytes
    """Of all samples, interleaved; 16 zeros: unknown."""

    @property
    def has_md5(self) -> bool:
        """Return whether the hash is known."""
        return self.md5 != bytes(16)


def flac_header(data: bytes) -> FlacHeader | None:
    """Read the header of a FLAC file; ``None`` for anything else."""
    start = id3_end(data)
    if data[start : start + 4] != b"fLaC" or len(data) < start + 42:
        return None
    packed = int.from_bytes(data[start + 18 : start + 26], "big")
    return FlacHeader((packed >> 36 & 31) + 1, packed & (1 << 36) - 1, data[start + 26 : start + 42])


def without_tags(data: bytes) -> bytes:
    """Return a FLAC file without the tags of other formats that programs put behind its last frame."""
    while True:
        if data[-128:-125] == b"TAG":  # ID3v1
            data = data[:-128]
        elif data[-32:-24] == b"APETAGEX":
            size = int.from_bytes(data[-20:-16], "little") + (32 if data[-9] & 0x80 else 0)
            if not 32 <= size <= len(data):
                return data
            data = data[:-size]
        else:
            return data


def with_unknown_total(data: bytes) -> bytes:
    """Return a FLAC file that does not say how many samples it has: decoders stop at that number."""
    at = id3_end(data) + 18
    packed = int.from_bytes(data[at : at + 8], "big") >> 36 << 36
    return data[:at] + packed.to_bytes(8, "big") + data[at + 8 :]


def ends_in_frame(data: bytes) -> bool:
    """Return whether a FLAC file without tags ends within a frame, and not with one whose CRC-16 is its last two
    bytes."""
    first = max(0, len(data) - _FLAC_FRAME)
    position, budget = len(data), _MOST_CHECKED
    while budget > 0 and (position := data.rfind(b"\xff", first, position)) >= 0:
        if position + 8 < len(data) and data[position + 1] & 0xFE == 0xF8:
            if _crc16(data[position:]) == 0:
                return False
            budget -= len(data) - position
    return True


def _crc16(data: bytes) -> int:
    """Return the CRC-16 of FLAC (polynomial 8005); over data with its own checksum behind it, it is 0."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
    return crc


def _crc16_entry(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


_CRC16 = tuple(_crc16_entry(byte) for byte in range(256))
