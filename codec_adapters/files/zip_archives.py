"""Read a zip archive so that what is checked is what is used: every program that reads it must find the same members.

A zip file lists its members twice, before each one and at its end, and may hold two of one name; readers differ in
which they take (torch's own looks names up without regard to case). An archive that leaves such a choice is refused,
and what goes on to a loader is a new archive of the members that were read here.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from codec_adapters.errors import CheckpointError, first_line

MOST_EXPANSION = 50
"""Bytes that members may have for each byte of their archive; graphs and weights hardly shrink when they are packed."""
_FREE_BYTES = 1 << 26
"""That small archives may expand to in any case."""


def read_members(path: Path) -> dict[str, bytes]:
    """Read all members of an archive, by name.

    Raises:
        CheckpointError: no zip archive, a damaged one, one that expands to far more than it is, or one whose members
            are not plain: two of one name (case apart), names that lead elsewhere, or a list at the end that differs
            from what stands before the members.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            problem = _problem(entries, path.stat().st_size)
            if problem:
                raise CheckpointError(f"{path}: refused, since {problem}")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError, OSError) as error:
        reason = first_line(error)
        raise CheckpointError(f"{path}: no archive, or a damaged one ({reason})") from error


def packed(members: dict[str, bytes]) -> io.BytesIO:
    """Return a new archive of members, not compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    buffer.seek(0)
    return buffer


def _problem(entries: list[zipfile.ZipInfo], size: int) -> str | None:
    """Return what is not plain about the members of an archive of ``size`` bytes; ``None`` for nothing."""
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        if name.casefold() in seen:
            return f"{name!r} is in it twice"
        seen.add(name.casefold())
        path = PurePosixPath(name)
        if entry.orig_filename != name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            return f"a member has the odd name {entry.orig_filename!r}"
        if str(path) != name:
            return f"a member has the odd name {name!r}"
        if entry.flag_bits & 1:
            return f"{name!r} is encrypted"
    if sum(entry.file_size for entry in entries) > max(_FREE_BYTES, MOST_EXPANSION * size):
        return "it expands to far more than it is"
    return None
