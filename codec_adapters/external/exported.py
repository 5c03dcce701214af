"""Backend ``exported``: programs of ``torch.export`` (.pt2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from codec_adapters.external.backend import GraphBackend, copy_graphs

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


class ExportedBackend(GraphBackend):
    """One round-trip program, or an encoder and a decoder."""

    key: ClassVar[str] = "exported"

    @classmethod
    def from_user(cls, folder: Path, graphs: tuple[Path, ...]) -> Self:
        """Copy programs into the codec file's ``folder``, and make the backend from the copies.

        Raises:
            CheckpointError: neither one program nor two, or no such file.
        """
        return cls(**copy_graphs(graphs, folder)).at(folder)  # type: ignore[arg-type] # each key is a field of that type

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.exported import make_adapter

        return make_adapter(setup, self.graphs, self.codes)
