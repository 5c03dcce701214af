"""Backend ``onnx``: ONNX graphs, run by onnxruntime (extra ``onnx``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from codec_adapters.external.backend import GraphBackend, copied, place_graphs
from codec_adapters.files.pinned import PinnedFile

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


class OnnxBackend(GraphBackend):
    """ONNX graphs, with the files that hold their tensors where those lie beside them."""

    key: ClassVar[str] = "onnx"

    data: list[PinnedFile] = Field(default_factory=list)
    """Files beside a graph that hold its tensors."""

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return (*super().pinned, *self.data)

    @classmethod
    def placed(cls, home: Path, graphs: tuple[Path, ...]) -> Self:
        """Copy graphs, and the files that they read tensors from, into the codec's folder ``home``.

        Raises:
            CheckpointError: neither one graph nor two, no ONNX graph, or one that reads files outside of its folder.
        """
        from codec_adapters.external.adapters.onnx import external_files

        parts = place_graphs(graphs, home)
        beside = {graph.parent / name: home / name for graph in graphs for name in sorted(external_files(graph))}
        data = [copied(source, target, home) for source, target in beside.items()]
        return cls(**parts, data=data).at(home)  # type: ignore[arg-type] # each key is a field of that type

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.onnx import adapter

        return adapter(setup, self.graphs, self.codes, frozenset(map(self.located, self.data)))
