"""What the user points at, brought into the codec's own folder: model files are copied there, and sealed by hash."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecfake_builder.codecs.codec_sources import hub_repository, onnx_graphs, transformers_folder
from codecfake_builder.codecs.codec_ways import (
    CommandPart,
    ExportedPart,
    OnnxPart,
    PythonPart,
    SealedFile,
    TorchscriptPart,
    WayPart,
    sealed,
)
from codecfake_builder.errors import BuilderError

MODEL_FOLDER = "model"
"""Within the codec's folder: a transformers checkpoint."""


class Source(ABC):
    """A codec as the user has it."""

    @abstractmethod
    def place(self, folder: Path) -> WayPart:
        """Copy its files into ``folder``, the codec file's, and say how a codec file names them.

        Raises:
            BuilderError, CheckpointError: something is not there, or cannot be had.
        """


@dataclass(frozen=True)
class TransformersSource(Source):
    """A folder of a transformers codec, or a repository of the Hugging Face hub."""

    given: str
    revision: str = "main"

    def place(self, folder: Path) -> WayPart:
        local = Path(self.given).expanduser()
        if local.is_dir():
            part = transformers_folder(local, folder)
            for name in part.files:
                _copied(local / name, folder / MODEL_FOLDER / name, folder)
            return transformers_folder(folder / MODEL_FOLDER, folder)
        if local.exists() or self.given.count("/") != 1:
            raise BuilderError(f"--transformers {self.given}: neither a folder nor a hub repository (owner/name)")
        return hub_repository(self.given, self.revision)


@dataclass(frozen=True)
class GraphSource(Source):
    """One round-trip graph, or an encoder and a decoder: ONNX, or programs of ``torch.export``."""

    kind: type[OnnxPart] | type[ExportedPart]
    files: tuple[Path, ...]
    """One, or two."""

    def place(self, folder: Path) -> WayPart:
        if len({file.name for file in self.files}) != len(self.files):
            raise BuilderError(f"{self.files[-1]}: encoder and decoder need different names")
        copies = [folder / file.name for file in self.files]
        parts = [_copied(file, copy, folder) for file, copy in zip(self.files, copies, strict=True)]
        if self.kind is OnnxPart:
            from codec_adapters.external.onnx import external_files

            for file in self.files:
                for name in external_files(file):
                    _copied(file.parent / name, folder / name, folder)
            return onnx_graphs(copies, folder)
        if len(parts) == 1:
            return ExportedPart(round_trip=parts[0])
        return ExportedPart(encoder=parts[0], decoder=parts[1])


@dataclass(frozen=True)
class TorchscriptSource(Source):
    """A TorchScript archive."""

    file: Path

    def place(self, folder: Path) -> WayPart:
        copied = _copied(self.file, folder / self.file.name, folder)
        return TorchscriptPart(**copied.model_dump())


@dataclass(frozen=True)
class PythonSource(Source):
    """``module:Name`` or ``file.py:Name``."""

    given: str
    batched: bool = False
    numpy: bool = False
    factory: bool = False

    def place(self, folder: Path) -> WayPart:
        where, colon, name = self.given.rpartition(":")
        if not colon or not where or not name:
            raise BuilderError(f"--python {self.given}: expected module:Class, or file.py:Class")
        how: dict[str, Any] = {"batched": self.batched, "numpy": self.numpy, "factory": self.factory}
        if not where.endswith(".py"):
            return PythonPart(name=name, module=where, **how)
        return PythonPart(name=name, file=_copied(Path(where), folder / Path(where).name, folder), **how)


@dataclass(frozen=True)
class CommandSource(Source):
    """Programs that read and write audio files."""

    steps: tuple[str, ...]
    version: str | None = None
    timeout_seconds: float = 60.0

    def place(self, folder: Path) -> WayPart:
        document = {"steps": list(self.steps), "version": self.version, "timeout_seconds": self.timeout_seconds}
        return CommandPart.model_validate(document)


def _copied(source: Path, target: Path, folder: Path) -> SealedFile:
    source = source.expanduser()
    if not source.is_file():
        raise BuilderError(f"{source}: no such file")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return sealed(target, folder)
