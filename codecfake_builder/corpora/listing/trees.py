"""Find the audio files of a folder tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.folders import files_below
from codecfake_builder.rejections import RejectionReason


@dataclass(frozen=True)
class FoundFile:
    """An audio file below a root, or a folder there that cannot be read."""

    path: str
    """Relative to the root, with forward slashes."""
    reason: RejectionReason | None = None
    """Why it cannot be used, where looking shows that."""
    detail: str | None = None
    """The reason in words."""


def audio_below(root: Path) -> list[FoundFile]:
    """Return the audio files below a root, see :func:`~codecfake_builder.folders.files_below`, sorted by path.

    Broken links and what is no file (a pipe) are among them with a reason, and so are folders that cannot be read.
    """
    closed: list[FoundFile] = []

    def keep(error: OSError) -> None:
        path = Path(error.filename).relative_to(root).as_posix()
        closed.append(FoundFile(path, RejectionReason.MISSING, f"the folder cannot be read ({error.strerror})"))

    paths = [path for path in files_below(root, keep) if path.suffix.lower() in AUDIO_SUFFIXES]
    return [_found(path, root) for path in paths] + closed


def _found(path: Path, root: Path) -> FoundFile:
    relative = path.relative_to(root).as_posix()
    if path.is_file():
        return FoundFile(relative)
    if path.exists():
        return FoundFile(relative, RejectionReason.UNREADABLE, "it is no file (a pipe, a socket or a device)")
    return FoundFile(relative, RejectionReason.MISSING, "a link to nothing")
