"""Skip ID3v2 tags, which programs put before any kind of audio."""

from __future__ import annotations


def id3_end(data: bytes) -> int:
    """Return where the ID3v2 tags at the start of a file end; 0 where there are none."""
    end = 0
    while data[end : end + 3] == b"ID3" and len(data) >= end + 10:
        size = 0
        for byte in data[end + 6 : end + 10]:
            size = size << 7 | byte & 0x7F
        end += 10 + size + (10 if data[end + 5] & 0x10 else 0)
    return min(end, len(data))
