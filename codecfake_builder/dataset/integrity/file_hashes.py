"""sha256 of a dataset's files, each read once: a hash is kept with the size and the modification time of its file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from codec_adapters.files.hashing import sha256_of
from codecfake_builder.dataset import layout
from codecfake_builder.files import write_text
from codecfake_builder.progress import progress


class _Hashed(NamedTuple):
    """A file as it was when it was hashed."""

    bytes: int
    mtime_ns: int
    sha256: str


@dataclass
class FileHashes:
    """The sha256 of files of a dataset, each computed from the file itself, now or by an earlier command."""

    dataset: Path
    _known: dict[str, _Hashed] = field(default_factory=dict)
    _read_now: set[str] = field(default_factory=set)
    """Names of the files that this process has read."""

    @classmethod
    def load(cls, dataset: Path, check: bool = False) -> FileHashes:
        """Read which hashes were computed before; none where that is absent or damaged.

        Args:
            dataset: folder of the dataset.
            check: read every file again, also where its size and modification time are as before.
        """
        return cls(dataset, {} if check else _saved(dataset / layout.HASHES))

    def within(self, folder: Path) -> FileHashes:
        """Return the hashes for another version of the dataset, which shares files with this one."""
        return FileHashes(folder, self._known, self._read_now)

    def of(self, name: str) -> str | None:
        """Return the sha256 of a file, which is read where its size or time has changed; ``None``: it is not there."""
        path = self.dataset / name
        try:
            status = path.stat()
            known = self._known.get(name)
            if known is None or (known.bytes, known.mtime_ns) != (status.st_size, status.st_mtime_ns):
                known = self._known[name] = _Hashed(status.st_size, status.st_mtime_ns, sha256_of(path))
                self._read_now.add(name)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._known.pop(name, None)
            return None
        return known.sha256

    def matches(self, name: str, sha256: str) -> bool:
        """Return whether a file has a sha256; one that seems not to have it is read before that is said."""
        if self.of(name) == sha256:
            return True
        if name in self._read_now:
            return False
        self._known.pop(name, None)
        return self.of(name) == sha256

    def learn(self, name: str, sha256: str) -> None:
        """Take over the hash of a file that was computed when it was written, in this run."""
        status = (self.dataset / name).stat()
        self._known[name] = _Hashed(status.st_size, status.st_mtime_ns, sha256)

    def read(self, names: Iterable[str]) -> dict[str, str]:
        """Return the sha256 of those files that are there; unknown ones are read in threads, with progress."""
        names = list(names)
        fresh = [name for name in names if not self._is_known(name)]
        with ThreadPoolExecutor(os.cpu_count()) as pool, progress("hashing", len(fresh), "files") as advance:
            for _ in pool.map(self.of, fresh):
                advance(1)
        return {name: sha256 for name in names if (sha256 := self.of(name))}

    def save(self) -> None:
        """Write the hashes into the dataset's state folder."""
        there = {name: list(known) for name, known in sorted(self._known.items()) if (self.dataset / name).is_file()}
        text = json.dumps(there, indent=0) + "\n"
        path = self.dataset / layout.HASHES
        if not path.is_file() or path.read_bytes() != text.encode():
            write_text(path, text)

    def _is_known(self, name: str) -> bool:
        try:
            status = (self.dataset / name).stat()
        except OSError:
            return True  # there is nothing to read
        known = self._known.get(name)
        return known is not None and (known.bytes, known.mtime_ns) == (status.st_size, status.st_mtime_ns)


def _saved(path: Path) -> dict[str, _Hashed]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {name: _Hashed(int(size), int(time), str(sha256)) for name, (size, time, sha256) in document.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}  # absent or damaged: everything is read again
