"""Check that an Ogg file (RFC 3533) has all its pages: decoders leave out damaged ones and end early without a word."""

from __future__ import annotations

import zlib

from codecfake_builder.decoding.id3 import id3_end
from codecfake_builder.rejections import RejectedError, RejectionReason, truncated

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_ogg(data: bytes) -> None:
    """Check that every logical stream of an Ogg file has all its pages, undamaged, to its last."""
    position, number = 0, 0
    following: dict[bytes, int] = {}
    open_streams: set[bytes] = set()
    while data[position : position + 4] == b"OggS":
        segments = data[position + 27 : position + 27 + data[position + 26]] if position + 27 <= len(data) else b""
        end = position + 27 + len(segments) + sum(segments)
        if position + 27 > len(data) or len(segments) < data[position + 26] or end > len(data):
            raise truncated(f"the file ends in its page {number}")
        page = data[position:end]
        serial, sequence = page[14:18], int.from_bytes(page[18:22], "little")
        if _ogg_crc(page) != int.from_bytes(page[22:26], "little"):
            raise RejectedError(RejectionReason.UNREADABLE, f"page {number} is damaged")
        if sequence != following.get(serial, sequence):
            raise RejectedError(RejectionReason.UNREADABLE, f"pages before page {number} are missing")
        following[serial] = sequence + 1
        open_streams.add(serial)
        if page[5] & 4:  # the last page of its stream
            open_streams.discard(serial)
            del following[serial]
        position, number = end, number + 1
    if open_streams:
        raise truncated("the stream's last page is missing")


def pages_of(data: bytes) -> bytes:
    """Return the pages of an Ogg file, without tags and junk before and behind them, at which some decoders stumble."""
    start = position = id3_end(data)
    while data[position : position + 4] == b"OggS" and position + 27 <= len(data):
        segments = data[position + 27 : position + 27 + data[position + 26]]
        position += 27 + len(segments) + sum(segments)
    return data[start:position]


def _ogg_crc(page: bytes) -> int:
    """Return the checksum of a page: CRC-32 with the bits of every byte in the other order than ``zlib`` takes them."""
    blanked = page[:22] + bytes(4) + page[26:]
    crc = zlib.crc32(blanked.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)
