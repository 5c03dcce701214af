"""Tell whether an audio file is whole, from its own structure: its promise is held against the bytes that are there.

Decoders read a cut file without a word, and some headers promise what nobody could know (a size written to a pipe). So
the promise is taken from where a format keeps it: the data chunk, the last page of Ogg. (Of MP3 it is the last frame,
and what was decoded of FLAC is held against its number of samples and their MD5, see ``decode``.)
"""

from __future__ import annotations

from codecfake_builder.decoding.chunks import MAGIC, find_samples
from codecfake_builder.decoding.id3 import id3_end
from codecfake_builder.decoding.ogg import check_ogg
from codecfake_builder.rejections import truncated


def check_whole(data: bytes) -> None:
    """Check that a file holds what its own structure promises; formats that are not known pass.

    Raises:
        RejectedError: ``truncated``, or ``unreadable`` for a page in the middle that is missing or damaged.
    """
    if data[:4] in MAGIC:
        found = find_samples(data)
        if found is not None and found.end is not None and found.end > len(data):
            raise truncated(f"{found.end - len(data)} bytes of the samples that its header promises are missing")
        return
    body = data[id3_end(data) :]
    if body[:4] == b"OggS":
        check_ogg(body)
