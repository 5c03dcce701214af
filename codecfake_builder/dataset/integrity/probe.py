"""Read a Parquet file of unknown origin once in a process of its own, which a damaged one may take down or fill.

Arrow's reader ends its process on some damaged files, which no exception tells of. A file that was read here through to
its end is read likewise elsewhere.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path
from threading import Lock

from codecfake_builder.dataset.integrity.batches import read_batches
from codecfake_builder.errors import DatasetError

_MEMORY = 1_000_000_000
"""Bytes that reading may take beside a multiple of the file's size."""
_MEMORY_PER_BYTE = 32


def probe(path: Path) -> None:
    """Read a Parquet file in the other process.

    Raises:
        DatasetError: it cannot be read, or it ends the process that does.
    """
    answer = _reader().answer(path)
    if not answer:
        raise DatasetError("cannot be read as Parquet (it is damaged so that the reader of Parquet breaks down)")
    problem = json.loads(answer)
    if problem is not None:
        raise DatasetError(problem)


class _Reader:
    """The other process, started when it is needed; it ends with this one, whose end of the pipe closes then."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.process: subprocess.Popen[bytes] | None = None
        atexit.register(self.end)

    def answer(self, path: Path) -> bytes:
        """Return the answer about a file, nothing where the process has ended over it."""
        with self.lock:
            process = self.process = self.process or self._started()
            if process.stdin is None or process.stdout is None:
                return b""
            try:
                process.stdin.write(json.dumps(str(path.resolve())).encode() + b"\n")
                process.stdin.flush()
                answer = process.stdout.readline()
            except BrokenPipeError:
                answer = b""
            if not answer:
                self.end()
            return answer

    @staticmethod
    def _started() -> subprocess.Popen[bytes]:
        search = os.pathsep.join(place for place in sys.path if place)
        return subprocess.Popen(  # noqa: S603 - this very module
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Arrow's own pools reserve address space by the gigabyte, which the limit below would not let them
            env={**os.environ, "PYTHONPATH": search, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        )

    def end(self) -> None:
        """End the process."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate()


@cache
def _reader() -> _Reader:
    return _Reader()


def _serve() -> None:
    """Read the files that are named on standard input; answer each with what is wrong with it, or null."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        path = Path(json.loads(line))
        try:
            _limit_memory(path.stat().st_size)
            for _ in read_batches(path):
                pass
            problem = None
        except (DatasetError, OSError) as error:
            problem = str(error)
        print(json.dumps(problem), flush=True)


def _limit_memory(size: int) -> None:
    """Limit the address space to what is taken now and what a file of this size may need."""
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return  # no Linux
    pages = int(statm.read_text(encoding="ascii").split()[0])
    taken = pages * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY + _MEMORY_PER_BYTE * size, most))


if __name__ == "__main__":
    _serve()
