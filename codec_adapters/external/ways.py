"""What each way in is made of: plain data that a codec file holds and that travels to worker processes."""

from __future__ import annotations

import hashlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from codec_adapters.errors import CheckpointError
from codec_adapters.external.command_line import program_hashes
from codec_adapters.external.files import HubFolder, ListedFile
from codec_adapters.files.weights import sha256_of
from codec_adapters.registry import register
from codec_adapters.spec import CodecSpec

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup

WaveLayout = Literal["BS", "BCS"]
"""Axes of a waveform: batch, (one) channel, samples."""
CodeOrder = Literal["BKT", "KBT", "BTK", "TBK", "KTB", "TKB", "BT", "TB"]
"""Axes of codes: batch, codebooks (one, where there is no K), frames."""


class Way(ABC):
    """How a codec came in; one subclass per way, each with a module of its own that runs it."""

    @property
    @abstractmethod
    def files(self) -> tuple[ListedFile, ...]:
        """Everything on disk that the codec is made of, as it was when the codec was added."""

    @property
    @abstractmethod
    def runner(self) -> str:
        """``module:function`` that makes the adapter, from a way and a :class:`codec_adapters.base.Setup`."""

    def prepare(self) -> None:
        """Bring the files here, and hold them to their hashes.

        Raises:
            CheckpointError: a file is missing, changed, or cannot be fetched.
        """
        for file in self.files:
            file.checked()

    def hashes(self) -> dict[str, str]:
        """sha256 of everything beside the settings that decides the output, by a name without machine paths."""
        return {file.name: file.sha256 for file in self.files}


@dataclass(frozen=True)
class AddedCodec:
    """A codec variant that is not built in, ready to be registered in any process."""

    spec: CodecSpec
    way: Way
    settings: str
    """The way's settings as canonical text without machine paths: part of a clip's content key."""

    def register(self) -> None:
        """Make it known as a variant, under its spec's name.

        Raises:
            ValueError: the name belongs to a built-in variant.
        """
        register(self.spec, self.adapter)

    def adapter(self, setup: Setup) -> Adapter:
        """The adapter.

        Raises:
            CheckpointError: a file is missing, changed, or no such codec; or a folder was given for its weights.
        """
        if setup.checkpoint is not None:
            raise CheckpointError(
                f"{setup.spec.name}: its codec file names its weights; take weights.{setup.spec.name} out"
            )
        self.way.prepare()
        module, function = self.way.runner.split(":")
        made: Adapter = getattr(import_module(module), function)(self.way, setup)
        return made

    def hashes(self) -> dict[str, str]:
        """sha256 of all that makes the codec's output what it is, by names without machine paths."""
        return {"codec file": hashlib.sha256(self.settings.encode()).hexdigest(), **self.way.hashes()}


@dataclass(frozen=True)
class TransformersWay(Way):
    """An audio codec class of ``transformers``, found from the config."""

    listed: tuple[ListedFile, ...]
    hub: HubFolder | None = None

    runner = "codec_adapters.external.transformers:adapter"

    @property
    def files(self) -> tuple[ListedFile, ...]:
        return self.listed

    @property
    def folder(self) -> Path:
        """Where config and weights lie."""
        return self.listed[0].folder

    def prepare(self) -> None:
        if self.hub:
            self.hub.fetch(self.listed)
        super().prepare()


@dataclass(frozen=True)
class _GraphWay(Way):
    round_trip: ListedFile | None
    encoder: ListedFile | None
    decoder: ListedFile | None
    codes: CodeOrder | None = None
    """``None``: found out by running the encoder on one and on two items."""

    @property
    def graphs(self) -> tuple[ListedFile, ...]:
        """The one or two graphs."""
        return tuple(file for file in (self.round_trip, self.encoder, self.decoder) if file)

    @property
    def files(self) -> tuple[ListedFile, ...]:
        return self.graphs


@dataclass(frozen=True)
class OnnxWay(_GraphWay):
    """One round-trip ONNX graph, or an encoder and a decoder."""

    data: tuple[ListedFile, ...] = ()
    """Files beside a graph that hold its tensors."""

    runner = "codec_adapters.external.onnx:adapter"

    @property
    def files(self) -> tuple[ListedFile, ...]:
        return (*self.graphs, *self.data)


@dataclass(frozen=True)
class ExportedWay(_GraphWay):
    """One round-trip ``torch.export`` program, or an encoder and a decoder."""

    runner = "codec_adapters.external.exported:adapter"


@dataclass(frozen=True)
class TorchscriptWay(Way):
    """A TorchScript module: ``encode`` and ``decode`` where it has both, else ``forward`` as the round trip."""

    file: ListedFile
    layout: WaveLayout = "BCS"
    codes: CodeOrder | None = None

    runner = "codec_adapters.external.torchscript:adapter"

    @property
    def files(self) -> tuple[ListedFile, ...]:
        return (self.file,)


@dataclass(frozen=True)
class PythonWay(Way):
    """A Python object: code, which runs with the user's rights."""

    name: str
    """Of the class, function or object."""
    file: ListedFile | None
    module: str | None
    beside: tuple[ListedFile, ...] = ()
    batched: bool = False
    numpy: bool = False
    factory: bool = False
    """A function that makes the codec, where it would else be taken for the codec itself."""

    runner = "codec_adapters.external.python:adapter"

    @property
    def files(self) -> tuple[ListedFile, ...]:
        return (*((self.file,) if self.file else ()), *self.beside)

    def hashes(self) -> dict[str, str]:
        found = super().hashes()
        if self.module:
            found[f"module {self.module}"] = sha256_of(_source_of(self.module))
        return found


def _source_of(module: str) -> Path:
    try:
        specification = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError) as error:
        raise CheckpointError(f"python.module: {module}: cannot be found ({error})") from error
    if specification is None or not specification.has_location or specification.origin is None:
        raise CheckpointError(f"python.module: {module}: no such module, or none that is a file; is it installed?")
    return Path(specification.origin)


@dataclass(frozen=True)
class CommandWay(Way):
    """Programs that read and write audio files."""

    steps: tuple[tuple[str, ...], ...]
    """Argument lists with placeholders, run one after the other."""
    folder: Path
    """The codec file's, for ``{folder}``."""
    beside: tuple[ListedFile, ...] = ()
    timeout_seconds: float = 60.0
    version: tuple[str, ...] = ()
    """Argument list of a command whose output tells the programs' version."""

    runner = "codec_adapters.external.command:adapter"

    @property
    def files(self) -> tuple[ListedFile, ...]:
        return self.beside

    def hashes(self) -> dict[str, str]:
        return {**super().hashes(), **program_hashes(self.steps, self.version, self.folder)}


WAYS: Mapping[str, type[Way]] = {
    "transformers": TransformersWay,
    "onnx": OnnxWay,
    "torchscript": TorchscriptWay,
    "exported": ExportedWay,
    "python": PythonWay,
    "command": CommandWay,
}
"""Under its key in a codec file."""
