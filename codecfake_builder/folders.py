"""Walk folders: links to folders are followed, each folder is entered once, and one that cannot be read is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def files_below(root: Path, on_error: Callable[[OSError], object] | None = None) -> list[Path]:
    """Return what is in a folder at any depth and is no folder, sorted by path; broken links are among it.

    A link to a folder is followed, unless that folder is entered already, by its own name or by another link, or holds
    the root. So files have the paths that they have without links, and circles end. Hidden files and folders (``.git``,
    ``._a.wav`` of macOS, ``.ipynb_checkpoints``) are left out.

    Args:
        root: the folder.
        on_error: takes the error of each folder that cannot be read; without it, the error is raised.
    """
    real_root = os.path.realpath(root)
    entered: set[str] = set()
    waiting = [root]
    found: list[Path] = []
    while waiting:
        links: list[Path] = []
        for folder in waiting:
            found += _walk(folder, entered, links, on_error or _raise)
        waiting = sorted(link for link in links if not Path(real_root).is_relative_to(os.path.realpath(link)))
    return sorted(found)


def _walk(start: Path, entered: set[str], links: list[Path], on_error: Callable[[OSError], object]) -> Iterator[Path]:
    """Yield the files below a folder; folders that only a link leads to are put on ``links``."""
    real_start = os.path.realpath(start)
    for name, folders, files in os.walk(start, onerror=on_error):
        real = os.path.normpath(os.path.join(real_start, os.path.relpath(name, start)))  # noqa: PTH118 - no links here
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        links += [Path(name, folder) for folder in folders if not _hidden(folder) and Path(name, folder).is_symlink()]
        folders[:] = [folder for folder in folders if not _hidden(folder)]
        yield from (Path(name, file) for file in files if not _hidden(file))


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _raise(error: OSError) -> None:
    raise error
