"""The process of a worker: read and write its pipes, end it, and remove what it leaves."""

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
"""Most bytes of an answer."""
UNREAD = 16
"""Most lines that are kept unread; a worker that keeps to the protocol has one at most."""
KILL_SECONDS = 10
"""Seconds to wait for a killed process to end."""
KEPT_LOG = 1 << 16
"""Bytes at the end of a long log that are kept when the process has ended."""


class Running:
    """State of the process; an object of its own, so that it can be ended after the worker object was deleted."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.answers: Queue[bytes | None] = Queue(UNREAD)
        self.asked = 0


def read_answers(stream: IO[bytes], answers: Queue[bytes | None]) -> None:
    """Put every line of the process into the queue, and ``None`` at the end. A line that is too long is cut.

    Reading ends where a process writes more lines than it was asked for; these do not answer the next request, which
    ends the process.
    """
    with suppress(OSError, ValueError, Full):
        while line := stream.readline(LONGEST_LINE):
            answers.put_nowait(line)
    with suppress(Full):
        answers.put_nowait(None)
    _close(stream)


def write_request(stream: IO[bytes], line: bytes) -> None:
    """Write a request to the process; in a thread of its own, since a process that does not read blocks the writer."""
    with suppress(OSError, ValueError):  # where it has died, the end of its answers tells
        stream.write(line)
        stream.flush()


def kill(running: Running) -> None:
    """Kill the process, and whatever it started in its process group."""
    process, running.process = running.process, None
    if process is None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # a process that waits for a disk ends when the disk answers
        process.wait(timeout=KILL_SECONDS)
    if (
        process.stdin is not None
    ):  # a process outside of the group may hold the other end of a full pipe: never wait for it
        threading.Thread(target=_close, args=(process.stdin,), daemon=True).start()


def _close(stream: IO[bytes]) -> None:
    with suppress(OSError):
        stream.close()


def clean_up(running: Running, scratch: Path, log: Path) -> None:
    """Kill the process; remove its scratch folder, and its log where that is empty."""
    kill(running)
    shutil.rmtree(scratch, ignore_errors=True)
    if log.is_file() and not log.stat().st_size:
        log.unlink()


def remove(path: Path) -> None:
    """Remove a file, a link or a folder of a worker, where there is one that can be removed."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def empty(folder: Path) -> None:
    """Make ``folder`` an empty folder; a process may have removed it, or put a file or a link in its place."""
    if folder.is_symlink() or not folder.is_dir():
        remove(folder)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            remove(path)


def owner(pid: int) -> str:
    """Return this machine's name and a process id, as a part of file names."""
    return f"{platform.node().replace('-', '_')}-{pid}"


def remove_left_overs(folder: Path) -> None:
    """Remove scratch folders and empty logs of processes of this machine that ended without removing them."""
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
    """Say how a process ended: signal, exit code, or that it closed its output and still runs."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "it closed its output"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def shorten(log: Path) -> None:
    """Keep only the end of a long log, so that one process's log does not count against the next one's quota."""
    if log.is_file() and log.stat().st_size > 2 * KEPT_LOG:
        with log.open("rb") as stream:
            stream.seek(-KEPT_LOG, os.SEEK_END)
            end = stream.read()
        log.write_bytes(end)


def last_line(log: Path) -> str:
    """Return the last line of a log, at most 200 characters; empty where there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 4096))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else ""


def used_bytes(folder: Path) -> int:
    """Return the bytes of all files below ``folder``; links are not followed, and files that vanish are left out."""
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                inner = entry.is_dir(follow_symlinks=False)
                total += used_bytes(Path(entry.path)) if inner else entry.stat(follow_symlinks=False).st_size
    return total
