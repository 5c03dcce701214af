"""Paths as a list has them: below the corpus root or refused, and found where the list spells them otherwise."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from pathlib import Path

from codecfake_builder.errors import CorpusError


def safe_path(root: Path, path: str) -> bool:
    """Return whether ``path``, as a list has it, is relative and stays below ``root`` after links are followed."""
    try:
        return not Path(path).is_absolute() and (root / path).resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):  # a NUL in it, or links in a circle
        return False


def is_file(path: Path) -> bool:
    """Return whether there is a file, without an error for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def home_expanded(name: str) -> Path:
    """Return a path with ``~`` replaced, where there is such a user."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def listed_path(root: Path, path: str, place: str) -> tuple[str, bool]:
    r"""Return a listed path in its shortest form, relative to the root, and whether a file is there.

    Where there is none, ``\`` is taken for ``/``, and the characters are looked for as another system composes them
    (``é`` as one character or as two).

    Args:
        root: of the corpus.
        path: as the list has it.
        place: file and row, for messages.

    Raises:
        CorpusError: the path is an address, or leads out of the root.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        raise CorpusError(f"{place}: path {path!r:.80} is an address; give the path relative to the corpus root {root}")
    slashes = path.replace("\\", "/")
    spellings = [path, slashes, *(unicodedata.normalize(form, slashes) for form in ("NFC", "NFD"))]
    for spelling in dict.fromkeys(spellings):
        if not safe_path(root, spelling) or ".." in posixpath.normpath(spelling).split("/"):
            raise CorpusError(f"{place}: path {path!r:.80} leads out of the corpus root {root}")
        if posixpath.normpath(spelling) == ".":
            raise CorpusError(f"{place}: path {path!r} names the corpus root, no file in it")
        if is_file(root / spelling):
            return posixpath.normpath(spelling), True
    return posixpath.normpath(path), False
