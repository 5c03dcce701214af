"""Backend ``torchscript``: a TorchScript archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from codec_adapters.external.axes import CodeOrder, WaveLayout
from codec_adapters.external.backend import Backend, copy_pinned
from codec_adapters.files.pinned import SHA256, FileName, PinnedFile

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


class TorchscriptBackend(Backend):
    """A TorchScript module: ``encode`` and ``decode`` where it has both, else ``forward`` as the round trip."""

    key: ClassVar[str] = "torchscript"

    file: FileName
    sha256: str = Field(pattern=SHA256)
    size: int = Field(ge=0)
    layout: WaveLayout = "BCS"
    codes: CodeOrder | None = None

    @property
    def archive(self) -> PinnedFile:
        """The archive as a pinned file; the section itself has that file's fields."""
        return PinnedFile(file=self.file, sha256=self.sha256, size=self.size)

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return (self.archive,)

    @classmethod
    def from_user(cls, folder: Path, archive: Path) -> Self:
        """Copy an archive into the codec file's ``folder``, and make the backend from the copy.

        Raises:
            CheckpointError: no such file.
        """
        return cls(**copy_pinned(archive, folder / archive.name, folder).model_dump()).at(folder)

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.torchscript import make_adapter

        return make_adapter(setup, self.path_of(self.archive), self.layout, self.codes)
