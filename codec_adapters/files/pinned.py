"""Pinned files: files that are held to the size and sha256 that they had when they were pinned."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from codec_adapters.errors import CheckpointError
from codec_adapters.files.hashing import sha256_once


def _within(name: str) -> str:
    """Validate a file name for pydantic."""
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
"""Pattern of a sha256 in hex."""
FileName = Annotated[str, AfterValidator(_within)]
"""The path of a file within a folder, with ``/``."""


class NamedFile(BaseModel):
    """A file within a folder; ``sha256`` and ``size`` are ``None`` where they are not known."""

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
    """A file with the sha256 and the size that it had when it was pinned."""

    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0)
    """Bytes."""

    @classmethod
    def of(cls, folder: Path, name: str) -> Self:
        """Pin the file ``name`` of ``folder`` as it is now.

        Raises:
            CheckpointError: the name leads out of the folder, or there is no such file.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = Path(name)
        ...     _ = (folder / "codes.txt").write_text("1 2 3")
        ...     pin = PinnedFile.of(folder, "codes.txt")
        ...     _ = (folder / "codes.txt").write_text("1 2 3 4")
        ...     try:
        ...         pin.checked(folder)
        ...     except CheckpointError as error:
        ...         print(str(error).partition("codes.txt: ")[2])
        changed since it was added (7 bytes, then 5)
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
        """Check size and sha256 of the file in ``folder``, and return its path.

        Raises:
            CheckpointError: the file is missing, or it has changed.
        """
        path = self.path(folder)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file")
        if (size := path.stat().st_size) != self.size:
            raise CheckpointError(f"{path}: changed since it was added ({size} bytes, then {self.size})")
        if (found := sha256_once(path)) != self.sha256:
            raise CheckpointError(f"{path}: changed since it was added (sha256 {found}, then {self.sha256})")
        return path


def _from_mapping(value: Any) -> Any:
    """Return pins of a mapping from file name to sha256 and size; other values as they are."""
    if not isinstance(value, dict):
        return value
    return tuple({**pin, "file": name} if isinstance(pin, dict) else pin for name, pin in value.items())


def _by_name(files: tuple[PinnedFile, ...]) -> dict[str, dict[str, Any]]:
    """Return pins as a mapping from file name to sha256 and size."""
    return {pin.file: pin.model_dump(exclude={"file"}) for pin in files}


PinnedFiles = Annotated[tuple[PinnedFile, ...], BeforeValidator(_from_mapping), PlainSerializer(_by_name)]
"""Several pinned files, in YAML a mapping from the file's name to ``sha256`` and ``size``."""
