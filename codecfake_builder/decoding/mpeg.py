"""Count the frames of MPEG audio (MP3; ISO 11172-3, 13818-3): a header's number of them is an estimate, or absent."""

from __future__ import annotations

from typing import NamedTuple

from codecfake_builder.decoding.chunks import MAGIC
from codecfake_builder.decoding.id3 import id3_end
from codecfake_builder.rejections import truncated

_BITRATES = {  # kbit/s by MPEG 1 or 2 (and 2.5) and layer
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Hz, by the version bits of a frame's header: MPEG 1, 2 and 2.5."""
_JUNK = 1 << 16
"""Bytes before the first frame, and between frames, that a decoder skips."""
_MOST_FRAMES = 1 << 19
"""Frames that are counted; a file with more is too long for a clip."""
_SAME = 0xFFFE0C00
"""The bits of a header that all frames of a stream have in common: sync, version, layer, rate."""


class MpegFrames(NamedTuple):
    """The frames of an MPEG audio file, counted."""

    frames: int
    """Frames that begin in the file, without one that only describes it (Xing, Info, VBRI)."""
    missing: int
    """Bytes that the last frame lacks."""
    promised: int | None
    """Frames that the file's description promises, where it has one."""
    start: int
    """Where the first frame begins, bytes."""
    described: int
    """Bytes of the frame there that only describes the file; 0 where there is none."""

    @property
    def exact(self) -> bool:
        """Whether the file describes itself with the number of frames that it has."""
        return self.promised is not None and self.promised == self.frames


def is_mpeg(data: bytes) -> bool:
    """Return whether a file is MPEG audio: near its start, a frame's header is followed by another one, where the frame
    ends. A file that begins like another kind of audio is not."""
    start = id3_end(data)
    if data[:4] in MAGIC or data[start : start + 4] in (b"OggS", b"fLaC"):
        return False
    return _first_frame(data, start) is not None


def without_wrong_count(data: bytes, found: MpegFrames) -> bytes:
    """Return a file of MPEG audio without its description where that has another number of frames than the file:
    decoders stop at that number."""
    if not found.described or found.exact:
        return data
    return data[: found.start] + data[found.start + found.described :]


def mpeg_frames(data: bytes) -> MpegFrames:
    """Count the frames of an MPEG audio file."""
    first = _first_frame(data, id3_end(data))
    if first is None:
        return MpegFrames(0, 0, None, len(data), 0)
    described = _frame_size(data, first) or 0
    promised = _description(data[first : first + described])
    frames, missing = 0, 0
    position: int | None = first if promised is None else first + described
    while position is not None and frames < _MOST_FRAMES:
        size = _frame_size(data, position, data[first : first + 4])
        if size is None:
            position = _first_frame(data, position, data[first : first + 4])  # past tags and junk between frames
            continue
        frames, missing = frames + 1, max(0, position + size - len(data))
        position += size
    return MpegFrames(frames, missing, promised, first, 0 if promised is None else described)


def _description(frame: bytes) -> int | None:
    """Return the number of frames that a describing frame states, 0 where it states none; ``None`` for audio."""
    for name in (b"Xing", b"Info"):
        start = frame.find(name, 4, 64)
        if start >= 0 and len(frame) >= start + 12:
            counted = frame[start + 7] & 1
            return int.from_bytes(frame[start + 8 : start + 12], "big") if counted else 0
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return int.from_bytes(frame[50:54], "big")
    return None


def _stated_bytes(frame: bytes) -> int:
    """Return the size of the whole stream that a describing frame states; 0 where it states none."""
    for name in (b"Xing", b"Info"):
        start = frame.find(name, 4, 64)
        flags = frame[start + 7] if start >= 0 and len(frame) >= start + 16 else 0
        if flags & 2:
            at = start + (12 if flags & 1 else 8)
            return int.from_bytes(frame[at : at + 4], "big")
    return 0


def _first_frame(data: bytes, position: int, like: bytes | None = None) -> int | None:
    """Return where the next frame begins that is followed by another one of its kind, or of the kind of ``like``, a
    header; ``None`` where junk goes on for long."""
    last = position + _JUNK
    while (position := data.find(b"\xff", position, last)) >= 0:
        size = _frame_size(data, position, like)
        if size is not None and _frame_size(data, position + size, data[position : position + 4]) is not None:
            return position
        position += 1
    return None


def _frame_size(data: bytes, position: int, like: bytes | None = None) -> int | None:
    """Return the size in bytes of the frame whose header is at a position; ``None`` where there is no header (of the
    kind of another one)."""
    if position + 4 > len(data):
        return None
    header = int.from_bytes(data[position : position + 4], "big")
    if like is not None and (header ^ int.from_bytes(like, "big")) & _SAME:
        return None
    version, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    bitrate, rate, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    bits = _BITRATES[1 if version == 3 else 2, layer][bitrate - 1] * 1000
    hertz = _RATES[version][rate]
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding


def check_mpeg(data: bytes, found: MpegFrames) -> None:
    """Check that the last frame is whole, and that there are as many frames as the file's description promises."""
    if found.missing:
        raise truncated(f"its last frame lacks {found.missing} bytes")
    if found.promised and found.frames + 1 < found.promised:
        raise truncated(f"{found.frames} frames of the {found.promised} that its header promises")
    # some programs count the describing frame too; where one is lacking, the size that the file states decides
    stated = _stated_bytes(data[found.start : found.start + found.described])
    there = len(data) - found.start
    if found.promised == found.frames + 1 and stated > there:
        raise truncated(f"{there} bytes of the {stated} that its header promises")
