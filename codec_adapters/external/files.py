"""Files of an added codec: named within a folder, and held to the size and sha256 that they had when it was added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from codec_adapters.errors import CheckpointError
from codec_adapters.files import weights


@dataclass(frozen=True)
class ListedFile:
    """A file as it was when its codec was added."""

    folder: Path
    name: str
    """Path within the folder, with ``/``."""
    sha256: str
    size: int
    """Bytes."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / self.name

    def checked(self) -> Path:
        """The file's path, once it is known to be the file that was added.

        Raises:
            CheckpointError: its name leads out of the folder, it is not there, or it has changed.
        """
        refuse_escape(self.name)
        if not self.path.is_file():
            raise CheckpointError(f"{self.path}: no such file")
        if (size := self.path.stat().st_size) != self.size:
            raise CheckpointError(f"{self.path}: changed since it was added ({size} bytes, then {self.size})")
        if (found := sha256_once(self.path)) != self.sha256:
            raise CheckpointError(f"{self.path}: changed since it was added (sha256 {found}, then {self.sha256})")
        return self.path


def listed(folder: Path, name: str) -> ListedFile:
    """The file ``name`` of ``folder`` as it is now.

    Raises:
        CheckpointError: the name leads out of the folder, or there is no such file.
    """
    refuse_escape(name)
    path = folder / name
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    return ListedFile(folder, name, sha256_once(path), path.stat().st_size)


def refuse_escape(name: str) -> None:
    """Raise :class:`CheckpointError` for a file name that leads out of its folder, or to a folder."""
    path = PurePosixPath(name)
    if not name or "\\" in name or path.is_absolute() or ".." in path.parts or name.startswith("~"):
        raise CheckpointError(f"{name!r}: a file is named within its folder; neither absolute nor with ..")


def sha256_once(path: Path) -> str:
    """Hex sha256 of a file, computed once per process unless the file is touched."""
    status = path.stat()
    return _sha256(path.absolute(), status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified: int, inode: int) -> str:
    """A process asks for the same gigabytes with every shard."""
    return weights.sha256_of(path)


@dataclass(frozen=True)
class HubFolder:
    """Files of a hub repository at one commit."""

    repo: str
    commit: str
    """All 40 digits, so that the files cannot become others."""

    @property
    def folder(self) -> Path:
        """Where they lie in the user's cache, once they are fetched."""
        return weights.cache_root() / "added" / self.repo.replace("/", "--") / self.commit

    def fetch(self, files: Sequence[ListedFile]) -> None:
        """Download those of ``files`` that are not in the cache, each checked before it is put there.

        Raises:
            CheckpointError: no network, no such file, or another sha256.
        """
        wanted = tuple(weights.LockedFile(file.name, file.size, file.sha256) for file in files)
        entry = weights.LockedCheckpoint(self.repo, "", wanted, hub=self.repo, revision=self.commit)
        weights.fetch_into(self.folder, entry, "give a local folder instead (transformers.folder)")
