"""Read the bytes of a source file: a regular file, of bounded size, within a time limit."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import NamedTuple

from codecfake_builder.rejections import RejectedError, RejectionReason

MOST_BYTES = 1 << 30
"""Size of the largest file that is read as one clip."""
READ_SECONDS = 120.0
"""How long a read may take where no recipe says otherwise."""


class FileState(NamedTuple):
    """What tells without reading that a file is still the one that was read. Only the time of change (``ctime``) cannot
    be set back: a file that is written anew with the same size and time differs in it."""

    bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def file_state(path: Path) -> FileState:
    """Return a file's state.

    Raises:
        OSError: there is no such file.
    """
    found = path.stat()
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def read_source_file(path: Path, seconds: float = READ_SECONDS) -> tuple[bytes, FileState]:
    """Read a file whole; return its bytes and its state before they were read.

    A read that hangs (a mount whose server is gone) cannot be stopped: it is left behind in a thread of its own, and
    the file is rejected.

    Args:
        path: the file.
        seconds: how long that may take.

    Raises:
        RejectedError: ``missing``, ``unreadable`` for what is no regular file or too large, ``read_timeout``.
    """
    done: list[tuple[bytes, FileState] | Exception] = []
    reader = threading.Thread(target=lambda: done.append(_outcome(path)), daemon=True)
    reader.start()
    reader.join(seconds)
    if not done:
        raise RejectedError(RejectionReason.READ_TIMEOUT, f"not read within {seconds:g} s (execution.read_timeout)")
    outcome = done[0]
    if isinstance(outcome, RejectedError):
        raise outcome
    if isinstance(outcome, Exception):
        words = (outcome.strerror or type(outcome).__name__) if isinstance(outcome, OSError) else str(outcome)
        raise RejectedError(RejectionReason.MISSING, words) from outcome
    return outcome


def _outcome(path: Path) -> tuple[bytes, FileState] | Exception:
    try:
        return _read(path)
    except (OSError, ValueError, RejectedError) as error:  # ValueError: a NUL in the path
        return error


def _read(path: Path) -> tuple[bytes, FileState]:
    """Read a regular file. What blocks when it is opened (a FIFO) is looked at first, and not opened."""
    mode = os.stat(path).st_mode  # noqa: PTH116 - only once
    if not stat.S_ISREG(mode):
        raise RejectedError(RejectionReason.UNREADABLE, f"{_kind(mode)}, no regular file")
    state = file_state(path)
    if state.bytes > MOST_BYTES:
        raise RejectedError(
            RejectionReason.TOO_LONG, f"a file of {state.bytes / 1e9:.1f} GB; a clip has at most {MOST_BYTES / 1e9:.1f}"
        )
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1), state


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
