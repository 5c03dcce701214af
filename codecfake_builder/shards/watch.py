"""Watch a process that makes shards: it ends when the main process is gone, and when a codec does not come back.

A thread looks twice a second. A call into a library that hangs cannot be stopped, so the process ends, with everything
that it has started; what it was doing is left as a note for the main process, and shards that are finished are kept.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from codecfake_builder.progress import say

POLL_SECONDS = 0.5
_HUNG, _DOING = "hung-", "doing-"


@dataclass(frozen=True)
class MainProcess:
    """The process that gives out the shards."""

    node: str
    pid: int
    started: float
    """When it started, since process numbers are given again."""

    @classmethod
    def here(cls) -> MainProcess:
        """Return this very process."""
        return cls(platform.node(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def elsewhere(cls) -> MainProcess:
        """Return one that nobody watches: workers of a cluster live on after a build."""
        return cls("", 0, 0.0)

    @property
    def is_here(self) -> bool:
        """Whether it is this very process."""
        return (self.node, self.pid) == (platform.node(), os.getpid())

    def gone(self) -> bool:
        """Return whether it has ended; of another machine's process that cannot be told, and is not assumed."""
        if self.node != platform.node() or self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            return process.create_time() != self.started or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


class _Watcher:
    """What this process does at present, and the thread that watches it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.main: MainProcess | None = None
        self.folder = Path()
        self.deadlines: dict[int, tuple[float, str]] = {}
        """By thread: until when what it does has to be done, and what to say if not."""

    def start(self, main: MainProcess, folder: Path) -> None:
        with self.lock:
            running = self.main is not None
            self.main, self.folder = main, folder
        if not running:
            threading.Thread(target=self._run, name="watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            assert self.main is not None
            if self.main.gone():
                _end_all()
            for deadline, doing in list(self.deadlines.values()):
                if time.monotonic() > deadline:
                    self._give_up(doing)

    def _give_up(self, doing: str) -> None:
        assert self.main is not None
        if self.main.is_here:
            say(f"error: {doing}; what is finished is kept")
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                (self.folder / f"{_HUNG}{os.getpid()}").write_text(doing, encoding="utf-8")
        _end_all()


_watcher = _Watcher()


def watched(main: MainProcess, folder: Path) -> None:
    """Have this process watched from now on.

    Args:
        main: the process that gave it its work; when that ends, this one does.
        folder: of the run, for notes.
    """
    _watcher.start(main, folder)


@contextlib.contextmanager
def doing(folder: Path, what: str) -> Iterator[None]:
    """Note what this process does, for whoever finds it dead."""
    note = folder / f"{_DOING}{platform.node()}-{os.getpid()}"
    with contextlib.suppress(OSError):
        note.write_text(what, encoding="utf-8")
    try:
        yield
    finally:  # a process that dies does not come here, and its note stays
        note.unlink(missing_ok=True)


@contextlib.contextmanager
def limited(seconds: float, what: str) -> Iterator[None]:
    """End this process where what is done in this context takes longer.

    Args:
        seconds: how long it may take.
        what: the shard and its clips, for the message.
    """
    said = f"{what} took more than {seconds:g} s (execution.batch_timeout)"
    _watcher.deadlines[threading.get_ident()] = (time.monotonic() + seconds, said)
    try:
        yield
    finally:
        _watcher.deadlines.pop(threading.get_ident(), None)


def told_by_the_dead(folder: Path) -> str | None:
    """Return what a process that ended too early has left in words: what hung, else what was being done."""
    hung = [path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"{_HUNG}*"))]
    if hung:
        return "; ".join(hung)
    told = sorted(path.read_text(encoding="utf-8") for path in folder.glob(f"{_DOING}*"))
    return f"it was making {' or '.join(told)}" if told else None


def _end_all() -> None:
    """End this process at once, and all that it has started."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    os._exit(1)
