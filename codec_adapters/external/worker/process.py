"""The process behind a worker: reading and writing its pipes, ending it, and what it leaves behind."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from typing import IO

LONGEST_LINE = 1 << 20
"""Bytes of an answer."""
UNREAD = 16
"""Lines that are kept before somebody asks for them; an honest worker has one at most."""
KILL_SECONDS = 10
"""How long a killed process may take to be gone."""
KEPT_LOG = 1 << 16
"""Bytes of a long log that outlive the process."""


class Running:
    """The process as it is now; apart from the worker, so that it can be ended when the worker is gone."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.answers: Queue[bytes | None] = Queue(UNREAD)
        self.asked = 0


def read_answers(stream: IO[bytes], answers: Queue[bytes | None]) -> None:
    """Put every line into the queue; ``None`` at the end. A line that does not end is cut, and is no answer.

    A process that talks without being asked is not listened to any further; what it said is no answer to the next
    request, and ends it.
    """
    with suppress(OSError, ValueError, Full):
        while line := stream.readline(LONGEST_LINE):
            answers.put_nowait(line)
    with suppress(Full):
        answers.put_nowait(None)
    _close(stream)


def write_request(stream: IO[bytes], line: bytes) -> None:
    """In a thread of its own, since a process that does not read lets the writer wait."""
    with suppress(OSError, ValueError):  # where it is dead, the end of its answers says so
        stream.write(line)
        stream.flush()


def kill(running: Running) -> None:
    """End the process, and whatever it started in its group."""
    process, running.process = running.process, None
    if process is None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # one that waits for a dead disk ends when that answers
        process.wait(timeout=KILL_SECONDS)
    if process.stdin is not None:  # a process that got away may hold the other end of a full pipe: never wait for it
        threading.Thread(target=_close, args=(process.stdin,), daemon=True).start()


def _close(stream: IO[bytes]) -> None:
    with suppress(OSError):
        stream.close()


def clean_up(running: Running, scratch: Path, log: Path) -> None:
    """End the process and remove its scratch folder, and its log where nothing is in it."""
    kill(running)
    shutil.rmtree(scratch, ignore_errors=True)
    if log.is_file() and not log.stat().st_size:
        log.unlink()


def remove(path: Path) -> None:
    """Remove a file, a link or a folder that a worker may have made; what cannot be removed, or is gone, is left."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def empty(folder: Path) -> None:
    """Leave an empty folder, whatever became of it: a process may remove its temporary folder, or put a file there."""
    if folder.is_symlink() or not folder.is_dir():
        remove(folder)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            remove(path)


def owner(pid: int) -> str:
    """This machine and a process of it, as a part of file names."""
    return f"{platform.node().replace('-', '_')}-{pid}"


def remove_left_overs(folder: Path) -> None:
    """Scratch folders and empty logs of this machine's processes that ended without removing them."""
    for path in folder.iterdir():
        match = re.search(r"-(\d+)-[^-]*$", path.name)
        if match is None or f"-{owner(int(match[1]))}-" not in path.name or Path(f"/proc/{match[1]}").exists():
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(OSError):
            if not path.stat().st_size:
                path.unlink()


def ending(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "it closed its output"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def shorten(log: Path) -> None:
    """Keep the end of a long log, so that what one process said does not count against the next."""
    if log.is_file() and log.stat().st_size > 2 * KEPT_LOG:
        with log.open("rb") as stream:
            stream.seek(-KEPT_LOG, os.SEEK_END)
            end = stream.read()
        log.write_bytes(end)


def last_line(log: Path) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 4096))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else ""


def used_bytes(folder: Path) -> int:
    """Bytes of all files below ``folder``; links are not followed, and what vanishes meanwhile is left out."""
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                inner = entry.is_dir(follow_symlinks=False)
                total += used_bytes(Path(entry.path)) if inner else entry.stat(follow_symlinks=False).st_size
    return total
