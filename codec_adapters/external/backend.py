"""What the backends of a codec file share. A backend is one way to bring a codec in: ONNX graphs, a command, ...

One model per backend is all of it: the section of a codec file, the value that travels to worker processes, what a
user's files become (``place``), and what makes the adapter. It imports neither torch nor a runtime before that.
"""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator

from codec_adapters.errors import CheckpointError
from codec_adapters.external.axes import CodeOrder
from codec_adapters.files.pinned import PinnedFile

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


class Backend(BaseModel, ABC):
    """How an external codec runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: ClassVar[str]
    """Its name: the key of its section in a codec file, and of ``add-codec``'s option."""
    runs_code: ClassVar[bool] = False
    """Whether what it names is code, which runs with the user's rights."""
    placing: ClassVar[set[str]] = set()
    """Fields that say where files lie, not what they are."""
    _home: Path = PrivateAttr(default_factory=Path)

    def at(self, home: Path) -> Self:
        """Return the same backend of a codec file in folder ``home``, which relative names are relative to."""
        moved = self.model_copy()
        moved._home = home
        return moved

    @property
    def home(self) -> Path:
        """The codec file's folder."""
        return self._home

    @property
    def place(self) -> Path:
        """The folder that :attr:`pinned` files lie in."""
        return self._home

    @property
    @abstractmethod
    def pinned(self) -> tuple[PinnedFile, ...]:
        """Everything on disk that the codec is made of, as it was when the codec was added."""

    @property
    def address(self) -> str:
        """Address of the repository that the files come from; empty for local ones."""
        return ""

    @abstractmethod
    def adapter(self, setup: Setup) -> Adapter:
        """Make the adapter.

        Raises:
            CheckpointError: no such codec, or one that cannot be loaded safely; the message names the file.
        """

    def located(self, file: PinnedFile) -> Path:
        """Where one of the :attr:`pinned` files lies."""
        return file.path(self.place)

    def absent(self) -> list[Path]:
        """The files that are not there yet."""
        return [path for file in self.pinned if not (path := self.located(file)).is_file()]

    def prepare(self) -> None:
        """Bring the files here, and hold them to their hashes.

        Raises:
            CheckpointError: a file is missing, changed, or cannot be fetched.
        """
        for file in self.pinned:
            file.checked(self.place)

    def hashes(self) -> dict[str, str]:
        """sha256 of everything beside the settings that decides the output, by a name without machine paths."""
        return {file.file: file.sha256 for file in self.pinned}

    def settings(self) -> str:
        """The settings as canonical text without machine paths: part of a clip's content key."""
        return json.dumps(self.model_dump(mode="json", exclude=self.placing), sort_keys=True)


class GraphBackend(Backend):
    """One round-trip graph, or an encoder and a decoder."""

    round_trip: PinnedFile | None = None
    encoder: PinnedFile | None = None
    decoder: PinnedFile | None = None
    codes: CodeOrder | None = None
    """``None``: found out by running the encoder on one and on two items."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = tuple(part is not None for part in (self.round_trip, self.encoder, self.decoder))
        if given not in ((True, False, False), (False, True, True)):
            raise ValueError("give either round_trip, or encoder and decoder")
        return self

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return tuple(file for file in (self.round_trip, self.encoder, self.decoder) if file)

    @property
    def graphs(self) -> tuple[Path, ...]:
        """Where the one or two graphs lie: the round trip, or encoder and decoder."""
        return tuple(self.located(file) for file in (self.round_trip, self.encoder, self.decoder) if file)


def place_graphs(graphs: tuple[Path, ...], home: Path) -> dict[str, PinnedFile]:
    """Copy one round-trip graph, or encoder and decoder, into ``home``; the fields of a :class:`GraphBackend`.

    Raises:
        CheckpointError: neither one file nor two, two of one name, or no such file.
    """
    if len(graphs) not in (1, 2):
        raise CheckpointError(f"give one graph (a round trip) or two (encoder, decoder); got {len(graphs)}")
    if len({graph.name for graph in graphs}) != len(graphs):
        raise CheckpointError(f"{graphs[-1]}: encoder and decoder need different names")
    placed = [copied(graph, home / graph.name, home) for graph in graphs]
    return dict(zip(("round_trip",) if len(placed) == 1 else ("encoder", "decoder"), placed, strict=True))


def copied(source: Path, target: Path, home: Path) -> PinnedFile:
    """Copy a file into the codec's folder, and pin it as it is.

    Raises:
        CheckpointError: no such file.
    """
    source = source.expanduser()
    if not source.is_file():
        raise CheckpointError(f"{source}: no such file")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return PinnedFile.at(target, home)
