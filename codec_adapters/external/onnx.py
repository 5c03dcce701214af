"""Backend ``onnx``: ONNX graphs, run by onnxruntime (extra ``onnx``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from codec_adapters.external.backend import GraphBackend, copy_graphs, copy_pinned
from codec_adapters.files.pinned import PinnedFile

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


class OnnxBackend(GraphBackend):
    """ONNX graphs, with the files beside them that hold their tensors."""

    key: ClassVar[str] = "onnx"

    data: list[PinnedFile] = Field(default_factory=list)
    """Files beside a graph that hold its tensors."""

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return (*super().pinned, *self.data)

    @classmethod
    def from_user(cls, folder: Path, graphs: tuple[Path, ...]) -> Self:
        """Copy graphs, and the files of their tensors, into the codec file's ``folder``; make the backend from these.

        Raises:
            CheckpointError: neither one graph nor two, no ONNX graph, or one that reads files outside of its folder.
        """
        from codec_adapters.external.adapters.onnx import external_files

        fields = copy_graphs(graphs, folder)
        beside = {graph.parent / name: folder / name for graph in graphs for name in sorted(external_files(graph))}
        data = [copy_pinned(source, target, folder) for source, target in beside.items()]
        return cls(**fields, data=data).at(folder)  # type: ignore[arg-type] # each key is a field of that type

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.onnx import make_adapter

        return make_adapter(setup, self.graphs, self.codes, frozenset(map(self.path_of, self.data)))
