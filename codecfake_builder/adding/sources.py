"""What the user points at, brought into the codec's own folder: model files are copied there, and sealed by hash."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec_adapters import CheckpointError
from codecfake_builder.codec_ways import (
    CommandPart,
    ExportedPart,
    OnnxPart,
    PythonPart,
    Seal,
    SealedFile,
    TorchscriptPart,
    TransformersPart,
    WayPart,
    sealed,
)
from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import say

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
    revision: str | None = None

    def place(self, folder: Path) -> WayPart:
        local = Path(self.given).expanduser()
        if local.is_dir():
            target = folder / MODEL_FOLDER
            files = {name: _copied(local / name, target / name, target) for name in _model_files(_names(local))}
            return TransformersPart(folder=MODEL_FOLDER, files={name: _seal(file) for name, file in files.items()})
        if local.exists() or self.given.count("/") != 1:
            raise BuilderError(f"--transformers {self.given}: neither a folder nor a hub repository (owner/name)")
        return _hub_part(self.given, self.revision)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _model_files(names: Iterable[str]) -> list[str]:
    """Config and weights of a transformers checkpoint; safetensors where it has both kinds."""
    there = list(names)
    safe = [name for name in there if name.endswith((".safetensors", ".safetensors.index.json"))]
    weights = safe or [name for name in there if name.startswith("pytorch_model") and name.endswith((".bin", ".json"))]
    if "config.json" not in there or not weights:
        raise CheckpointError("--transformers: no checkpoint of transformers; expected config.json and *.safetensors")
    return [name for name in ("config.json", "preprocessor_config.json") if name in there] + weights


def _seal(file: SealedFile) -> Seal:
    return Seal(sha256=file.sha256, size=file.size)


def _hub_part(repo: str, revision: str | None) -> TransformersPart:
    """The files of a hub repository at the commit that ``revision`` (default: main) is now."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        info: Any = HfApi().model_info(repo, revision=revision, files_metadata=True)
        found = {entry.rfilename: entry for entry in info.siblings}
        files = {}
        for name in _model_files(sorted(name for name in found if "/" not in name)):
            if found[name].lfs is not None:
                files[name] = Seal(sha256=found[name].lfs.sha256, size=found[name].lfs.size)
            else:  # the hub tells sha256 of large files only
                path = Path(hf_hub_download(repo, name, revision=info.sha)).resolve()
                files[name] = _seal(sealed(path, path.parent))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BuilderError(f"--transformers {repo}: cannot be had from the hub ({reason})") from error
    say(f"{repo}: commit {info.sha}")
    return TransformersPart(repo=repo, commit=info.sha, files=files)


@dataclass(frozen=True)
class GraphSource(Source):
    """One round-trip graph, or an encoder and a decoder: ONNX, or programs of ``torch.export``."""

    kind: type[OnnxPart] | type[ExportedPart]
    files: tuple[Path, ...]

    def place(self, folder: Path) -> WayPart:
        names = ("round_trip",) if len(self.files) == 1 else ("encoder", "decoder")
        if len(self.files) != len(names) or len({file.name for file in self.files}) != len(names):
            raise BuilderError("give one round-trip graph, or an encoder and a decoder of different names")
        parts: dict[str, Any] = {
            name: _copied(file, folder / file.name, folder) for name, file in zip(names, self.files, strict=True)
        }
        if self.kind is OnnxPart:
            from codec_adapters.added.onnx_codec import external_files

            beside = {name: file.parent for file in self.files for name in external_files(file)}
            parts["data"] = [_copied(place / name, folder / name, folder) for name, place in sorted(beside.items())]
        return self.kind(**parts)


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
