"""Backend ``exported``: programs of ``torch.export`` (.pt2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from codec_adapters.external.backend import GraphBackend, place_graphs

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


class ExportedBackend(GraphBackend):
    """One round-trip program, or an encoder and a decoder."""

    key: ClassVar[str] = "exported"

    @classmethod
    def placed(cls, home: Path, graphs: tuple[Path, ...]) -> Self:
        """Copy programs into the codec's folder ``home``.

        Raises:
            CheckpointError: neither one program nor two, or no such file.
        """
        return cls(**place_graphs(graphs, home)).at(home)  # type: ignore[arg-type] # each key is a field of that type

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.exported import adapter

        return adapter(setup, self.graphs, self.codes)
