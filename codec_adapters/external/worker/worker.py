"""A worker: a process in an environment of its own, which answers requests in lines of JSON.

Whatever it does wrong is raised as a :class:`WorkerError` or a :class:`WorkerRefusedError`, of one line.

Request, on the process's standard input: ``{"id": 7, "op": "resynthesize", "payload": {...}}``. Answer, on its standard
output: ``{"id": 7, "ok": true, "result": {...}}`` or ``{"id": 7, "ok": false, "error": "..."}``. Audio goes through WAV
files in the scratch folder. Standard error goes to a log.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any, NoReturn

from codec_adapters.errors import WorkerError, WorkerRefusedError
from codec_adapters.external.worker.environment import Environment
from codec_adapters.external.worker.process import (
    UNREAD,
    Running,
    clean_up,
    empty,
    ending,
    kill,
    last_line,
    owner,
    read_answers,
    remove_left_overs,
    shorten,
    used_bytes,
    write_request,
)
from codec_adapters.files.cache import cache_root

PROTOCOL = 1
POLL_SECONDS = 0.1
"""Seconds between two checks of the scratch folder's size while an answer is awaited."""
KIT = Path(__file__).parent / "kit"
"""On the import path of every driver."""


@dataclass(frozen=True)
class Limits:
    """Limits of a worker: time, disk, and how often it is started."""

    start_seconds: float = 600.0
    """Most seconds until it has answered ``load``."""
    clip_seconds: float = 120.0
    """Most seconds per clip of a request."""
    scratch_mb: int = 2048
    """Most megabytes of its scratch folder (also its ``TMPDIR``) and its log together."""
    restarts: int = 3
    """Most restarts in a row without an answer between; then it is not started again."""
    restarts_in_all: int = 30
    """Most restarts altogether."""


class Worker:
    """One worker process: started by the first request, killed where it fails, started again within limits.

    Attributes:
        scratch: the folder of the files that are exchanged.
        log: the file that holds the process's standard error.
        loaded: its answer to ``load``; empty before the first request.
    """

    def __init__(
        self, name: str, environment: Environment, driver: Path, load: Mapping[str, Any], limits: Limits = Limits()
    ) -> None:
        """Make the scratch folder; the process is not started yet.

        Args:
            name: for messages and the log's name.
            environment: of the process.
            driver: the Python file that it runs.
            load: payload of the operation ``load``, the first request after every start.
            limits: on its time, its disk space and its starts.
        """
        self.name = name
        self.limits = limits
        folder = cache_root() / "isolated"
        folder.mkdir(parents=True, exist_ok=True)
        remove_left_overs(folder)
        self.scratch = Path(tempfile.mkdtemp(prefix=f"{name}-{owner(os.getpid())}-", dir=folder))
        self.log = folder / f"{self.scratch.name}.log"
        self.loaded: dict[str, Any] = {}
        self._environment = environment
        self._driver = driver
        self._load = dict(load)
        self._lock = threading.RLock()
        self._running = Running()
        self._failures = 0
        self._starts = 0
        self._end = weakref.finalize(self, clean_up, self._running, self.scratch, self.log)

    def request(self, op: str, payload: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Request one operation and return the result that the worker answers with.

        Args:
            op: name of the operation.
            payload: its arguments, which JSON can hold.
            timeout: most seconds to wait.

        Raises:
            WorkerError: the process hangs, died, printed no answer, filled its scratch folder or lost its device.
                It is killed, and the next request starts it again, within limits. One line says what happened and
                where the log is.
            WorkerRefusedError: it answered that it cannot do it.
        """
        with self._lock:
            if self._running.process is None:
                self._start()
            try:
                result = self._ask(op, payload, timeout)
            except _BrokenError as error:
                self.give_up(str(error))
            except WorkerRefusedError:
                self._failures = 0  # an answer all the same
                raise
            self._failures = 0
            return result

    def close(self) -> None:
        """End the process; remove its scratch folder, and its log where that is empty."""
        self._end()

    def _start(self) -> None:
        """Start the process and let it load."""
        allowed = f"{self._failures} failures in a row" if self._failures > self.limits.restarts else None
        if self._starts > self.limits.restarts_in_all:
            allowed = f"{self._starts} starts in all"
        if allowed:
            raise WorkerError(f"{self.name}: its worker is not started again after {allowed}; log: {self.log}")
        self._starts += 1
        repo = self._environment.repo
        paths = [str(KIT), *([str(repo)] if repo else [])]
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "TMPDIR": str(self.scratch)}
        try:
            with self.log.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - running the driver that the user names is what this is for
                    [str(self._environment.python), str(self._driver)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=repo or self.scratch,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            self.give_up(f"did not start: {error.filename}: {error.strerror}")
        self._running.process = process
        self._running.answers = Queue(UNREAD)
        reading = (process.stdout, self._running.answers)
        threading.Thread(target=read_answers, args=reading, name=f"answers of {self.name}", daemon=True).start()
        try:
            self.loaded = self._ask("load", self._load, self.limits.start_seconds)
            if self.loaded.get("protocol") != PROTOCOL:
                raise _BrokenError(f"speaks protocol {self.loaded.get('protocol')!r}, expected {PROTOCOL}")
        except (_BrokenError, WorkerRefusedError) as error:
            self.give_up(f"did not start: {str(error).removeprefix(f'{self.name}: ')}")

    def give_up(self, what: str) -> NoReturn:
        """Kill a process that failed, and empty its scratch folder.

        Args:
            what: what it did, for the message.

        Raises:
            WorkerError: always.
        """
        self._failures += 1
        kill(self._running)
        empty(self.scratch)
        shorten(self.log)
        words = f"; its last words: {last}" if (last := last_line(self.log)) else ""
        raise WorkerError(f"{self.name}: its worker {what}{words}; log: {self.log}")

    def _ask(self, op: str, payload: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Send a request to the process, and wait for its answer; raise :class:`_BrokenError` where it fails."""
        process, answers = self._running.process, self._running.answers
        assert process is not None
        assert process.stdin is not None
        self._running.asked += 1
        line = json.dumps({"id": self._running.asked, "op": op, "payload": dict(payload)}) + "\n"
        threading.Thread(target=write_request, args=(process.stdin, line.encode()), daemon=True).start()
        deadline = time.monotonic() + timeout
        while True:
            try:
                answer = answers.get(timeout=POLL_SECONDS)
            except Empty:
                self._check_quota()
                if process.poll() is not None and answers.empty():
                    raise _BrokenError(f"died ({ending(process)})") from None
                if time.monotonic() > deadline:
                    raise _BrokenError(f"did not answer {op} within {timeout:g} s") from None
                continue
            self._check_quota()
            if answer is None:
                raise _BrokenError(f"died ({ending(process)})")
            return self._result(op, answer)

    def _result(self, op: str, line: bytes) -> dict[str, Any]:
        """Return the result that an answer holds."""
        try:
            answer = json.loads(line, parse_constant=_refused)
            fits = isinstance(answer, dict) and answer.get("id") == self._running.asked
        except (ValueError, RecursionError):
            fits = False
        if not fits or not isinstance(answer.get("result", {}), dict) or not isinstance(answer.get("ok"), bool):
            raise _BrokenError(f"printed what is no answer to {op}: {line[:60].decode(errors='replace')!r}")
        if not answer["ok"]:
            reason = " ".join(str(answer.get("error", "no reason given")).split())[:300]
            reason = reason.encode(errors="replace").decode()  # JSON can hold halves of characters, no file can
            if "CUDA error" in reason:  # after which every request to the same process fails
                raise _BrokenError(f"lost its device: {reason}")
            raise WorkerRefusedError(f"{self.name}: {op}: {reason}")
        return dict(answer.get("result", {}))

    def _check_quota(self) -> None:
        """Raise :class:`_BrokenError` where scratch folder and log are larger than allowed."""
        used = used_bytes(self.scratch) + (self.log.stat().st_size if self.log.is_file() else 0)
        if used > self.limits.scratch_mb << 20:
            raise _BrokenError(f"filled its scratch folder and log with over {self.limits.scratch_mb} MB")


def _refused(constant: str) -> NoReturn:
    """Refuse ``NaN`` and ``Infinity``, which Python would read, but which are not part of JSON."""
    raise ValueError(constant)


class _BrokenError(Exception):
    """The process failed and has to be killed; the message says what it did."""
