"""The ways in as a codec file writes them: pydantic models that refuse unknown keys, one per way."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from codec_adapters import CheckpointError
from codec_adapters.external import (
    CommandWay,
    ExportedWay,
    HubFolder,
    ListedFile,
    OnnxWay,
    PythonWay,
    TorchscriptWay,
    TransformersWay,
    Way,
)
from codec_adapters.external.files import listed, refuse_escape
from codec_adapters.external.ways import WAYS, CodeOrder, WaveLayout


def _within(name: str) -> str:
    try:
        refuse_escape(name)
    except CheckpointError as error:
        raise ValueError(str(error)) from error
    return name


FileName = Annotated[str, AfterValidator(_within)]
"""A path within the folder, with ``/``."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Seal(_Part):
    """What a file was when the codec was added."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class SealedFile(Seal):
    """A file, named relative to the codec file."""

    file: FileName

    def within(self, folder: Path) -> ListedFile:
        """As the adapters want it."""
        return ListedFile(folder, self.file, self.sha256, self.size)


def sealed(path: Path, folder: Path) -> SealedFile:
    """``path`` as it is now, for a codec file in ``folder``.

    Raises:
        CheckpointError: no such file, or it does not lie in the folder.
    """
    try:
        name = path.absolute().relative_to(folder.absolute()).as_posix()
    except ValueError as error:
        raise CheckpointError(f"{path}: does not lie in the codec file's folder {folder}; copy it there") from error
    found = listed(folder, name)
    return SealedFile(file=name, sha256=found.sha256, size=found.size)


class TransformersPart(_Part):
    """An audio codec class of transformers: a local folder (relative to the codec file), or a hub repository."""

    folder: str | None = None
    repo: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    files: dict[FileName, Seal] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> TransformersPart:
        if (self.folder is None) == (self.repo is None):
            raise ValueError("give either folder, or repo with commit")
        if (self.repo is None) != (self.commit is None):
            raise ValueError("a repo needs its commit, all 40 digits, and a folder none")
        if "config.json" not in self.files:
            raise ValueError("files: config.json is missing")
        return self

    def way(self, folder: Path) -> Way:
        """The way, for a codec file in ``folder``."""
        hub = HubFolder(self.repo, self.commit) if self.repo and self.commit else None
        place = hub.folder if hub else folder / Path(self.folder or ".").expanduser()
        files = tuple(ListedFile(place, name, seal.sha256, seal.size) for name, seal in self.files.items())
        return TransformersWay(files, hub)


class _GraphPart(_Part):
    round_trip: SealedFile | None = None
    encoder: SealedFile | None = None
    decoder: SealedFile | None = None
    codes: CodeOrder | None = None

    @model_validator(mode="after")
    def _whole(self) -> _GraphPart:
        given = tuple(part is not None for part in (self.round_trip, self.encoder, self.decoder))
        if given not in ((True, False, False), (False, True, True)):
            raise ValueError("give either round_trip, or encoder and decoder")
        return self

    def _graphs(self, folder: Path) -> tuple[ListedFile | None, ListedFile | None, ListedFile | None]:
        whole, encoder, decoder = (
            part.within(folder) if part else None for part in (self.round_trip, self.encoder, self.decoder)
        )
        return whole, encoder, decoder


class OnnxPart(_GraphPart):
    """ONNX graphs; ``data``: the files beside them that hold their tensors."""

    data: list[SealedFile] = []

    def way(self, folder: Path) -> Way:
        """The way, for a codec file in ``folder``."""
        return OnnxWay(*self._graphs(folder), self.codes, tuple(file.within(folder) for file in self.data))


class ExportedPart(_GraphPart):
    """Programs of torch.export."""

    def way(self, folder: Path) -> Way:
        """The way, for a codec file in ``folder``."""
        return ExportedWay(*self._graphs(folder), self.codes)


class TorchscriptPart(SealedFile):
    """A TorchScript archive."""

    layout: WaveLayout = "BCS"
    codes: CodeOrder | None = None

    def way(self, folder: Path) -> Way:
        """The way, for a codec file in ``folder``."""
        return TorchscriptWay(self.within(folder), self.layout, self.codes)


class PythonPart(_Part):
    """A Python object: ``name`` in an importable ``module``, or in a ``file``. It is code, and runs."""

    name: str = Field(pattern=r"^[A-Za-z_][\w.]*$")
    module: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*$")
    file: SealedFile | None = None
    beside: list[SealedFile] = []
    """What the code reads: weights, further modules."""
    batched: bool = False
    numpy: bool = False
    factory: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> PythonPart:
        if (self.module is None) == (self.file is None):
            raise ValueError("give either module or file")
        return self

    def way(self, folder: Path) -> Way:
        """The way, for a codec file in ``folder``."""
        file, beside = (
            self.file.within(folder) if self.file else None,
            tuple(part.within(folder) for part in self.beside),
        )
        return PythonWay(self.name, file, self.module, beside, self.batched, self.numpy, self.factory)


def _words(step: object) -> object:
    return shlex.split(step) if isinstance(step, str) else step


Step = Annotated[list[str], BeforeValidator(_words), Field(min_length=1)]
"""A program and its arguments; one string is split as a shell would, and no shell ever sees it."""


class CommandPart(_Part):
    """Programs, run one after the other for each clip."""

    steps: list[Step] = Field(min_length=1)
    beside: list[SealedFile] = []
    """What the programs read."""
    timeout_seconds: float = Field(default=60.0, gt=0)
    version: Step | None = None
    """A command whose output tells the version of the programs and their libraries."""

    def way(self, folder: Path) -> Way:
        """The way, for a codec file in ``folder``."""
        steps, beside = tuple(map(tuple, self.steps)), tuple(part.within(folder) for part in self.beside)
        return CommandWay(steps, folder, beside, self.timeout_seconds, tuple(self.version or ()))


WayPart = TransformersPart | OnnxPart | TorchscriptPart | ExportedPart | PythonPart | CommandPart
PARTS: Mapping[str, type[WayPart]] = dict(zip(WAYS, get_args(WayPart), strict=True))
