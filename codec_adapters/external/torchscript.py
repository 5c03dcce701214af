"""Backend ``torchscript``: a TorchScript archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from codec_adapters.external.axes import CodeOrder, WaveLayout
from codec_adapters.external.backend import Backend, copied
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
        """The archive, which the section names in its own fields."""
        return PinnedFile(file=self.file, sha256=self.sha256, size=self.size)

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return (self.archive,)

    @classmethod
    def placed(cls, home: Path, archive: Path) -> Self:
        """Copy an archive into the codec's folder ``home``.

        Raises:
            CheckpointError: no such file.
        """
        return cls(**copied(archive, home / archive.name, home).model_dump()).at(home)

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.torchscript import adapter

        return adapter(setup, self.located(self.archive), self.layout, self.codes)
