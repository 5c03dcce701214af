"""Files named within a folder: what is known of one, and files held to the size and sha256 that somebody pinned."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from codec_adapters.errors import CheckpointError
from codec_adapters.files.hashing import sha256_once


def _within(name: str) -> str:
    try:
        refuse_escape(name)
    except CheckpointError as error:
        raise ValueError(str(error)) from error
    return name


def refuse_escape(name: str) -> None:
    """Raise :class:`CheckpointError` for a file name that leads out of its folder, or to a folder."""
    path = PurePosixPath(name)
    if not name or "\\" in name or path.is_absolute() or ".." in path.parts or name.startswith("~"):
        raise CheckpointError(f"{name!r}: a file is named within its folder; neither absolute nor with ..")


SHA256 = r"^[0-9a-f]{64}$"
"""Hex, as a pattern."""
FileName = Annotated[str, AfterValidator(_within)]
"""A path within the folder, with ``/``."""


class NamedFile(BaseModel):
    """A file named within a folder; ``sha256`` and ``size`` are ``None`` where they are not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str | None = Field(default=None, pattern=SHA256)
    size: int | None = Field(default=None, ge=0)
    """Bytes."""
    file: FileName
    """Path within the folder, with ``/``."""

    def path(self, folder: Path) -> Path:
        """Return where the file lies in ``folder``."""
        return folder / self.file


class PinnedFile(NamedFile):
    """A file as it was when it was pinned: both its sha256 and its size are known."""

    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0)
    """Bytes."""

    @classmethod
    def of(cls, folder: Path, name: str) -> Self:
        """Pin the file ``name`` of ``folder`` as it is now.

        Raises:
            CheckpointError: the name leads out of the folder, or there is no such file.
        """
        refuse_escape(name)
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file")
        return cls(file=name, sha256=sha256_once(path), size=path.stat().st_size)

    @classmethod
    def at(cls, path: Path, folder: Path) -> Self:
        """Pin a file as it is now, by its path within ``folder``.

        Raises:
            CheckpointError: it does not lie in the folder, or there is no such file.
        """
        try:
            name = path.absolute().relative_to(folder.absolute()).as_posix()
        except ValueError as error:
            raise CheckpointError(f"{path}: does not lie in the codec file's folder {folder}; copy it there") from error
        return cls.of(folder, name)

    def checked(self, folder: Path) -> Path:
        """Return the file's path in ``folder``, once it is known to be the file that was pinned.

        Raises:
            CheckpointError: it is not there, or it has changed.
        """
        path = self.path(folder)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file")
        if (size := path.stat().st_size) != self.size:
            raise CheckpointError(f"{path}: changed since it was added ({size} bytes, then {self.size})")
        if (found := sha256_once(path)) != self.sha256:
            raise CheckpointError(f"{path}: changed since it was added (sha256 {found}, then {self.sha256})")
        return path


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return tuple({**pin, "file": name} if isinstance(pin, dict) else pin for name, pin in value.items())


def _by_name(files: tuple[PinnedFile, ...]) -> dict[str, dict[str, Any]]:
    return {pin.file: pin.model_dump(exclude={"file"}) for pin in files}


PinnedFiles = Annotated[tuple[PinnedFile, ...], BeforeValidator(_listed), PlainSerializer(_by_name)]
"""Several, written in YAML as a mapping from the file's name to ``sha256`` and ``size``."""
