"""What the backends share. A backend is what a codec file runs a codec with: ONNX graphs, a command, ...

Each backend is one pydantic model, which is the section of a codec file and the value that is sent to worker processes.
It is made from what a user gives to ``add-codec`` (``from_user``), and it makes the adapter (``adapter``); torch and
other runtimes are not imported before that.
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
    """What an external codec runs with, and the pinned files that it is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: ClassVar[str]
    """Its name: the key of its section in a codec file, and the name of ``add-codec``'s option."""
    runs_code: ClassVar[bool] = False
    """True where it names code, which runs with the user's rights."""
    location_fields: ClassVar[set[str]] = set()
    """Fields that say where files lie, not what they hold; not part of :meth:`settings`."""
    _codec_folder: Path = PrivateAttr(default_factory=Path)

    def at(self, folder: Path) -> Self:
        """Return the backend as that of a codec file in ``folder``, which its file names are relative to."""
        moved = self.model_copy()
        moved._codec_folder = folder
        return moved

    @property
    def codec_folder(self) -> Path:
        """The codec file's folder."""
        return self._codec_folder

    @property
    def files_folder(self) -> Path:
        """The folder that :attr:`pinned` files lie in."""
        return self._codec_folder

    @property
    @abstractmethod
    def pinned(self) -> tuple[PinnedFile, ...]:
        """Every file that the codec is made of, as it was when the codec was added."""

    @property
    def address(self) -> str:
        """Address of the repository that the files come from; empty for local files."""
        return ""

    @abstractmethod
    def adapter(self, setup: Setup) -> Adapter:
        """Make the adapter.

        Raises:
            CheckpointError: the files hold no such codec, or cannot be loaded safely; the message names the file.
        """

    def settled(self, adapter: Adapter) -> Self:
        """Return the backend with what loading ``adapter`` has found out, for the codec file to state it."""
        return self

    def path_of(self, file: PinnedFile) -> Path:
        """Return where one of the :attr:`pinned` files lies."""
        return file.path(self.files_folder)

    def missing_files(self) -> list[Path]:
        """List the paths of pinned files that are not there yet."""
        return [path for file in self.pinned if not (path := self.path_of(file)).is_file()]

    def prepare(self) -> None:
        """Fetch the pinned files where they come from a repository, and check their sizes and hashes.

        Raises:
            CheckpointError: a file is missing, changed, or cannot be fetched.
        """
        for file in self.pinned:
            file.checked(self.files_folder)

    def hashes(self) -> dict[str, str]:
        """Return sha256 of everything beside the settings that decides the output, by names without machine paths."""
        return {file.file: file.sha256 for file in self.pinned}

    def settings(self) -> str:
        """Return the settings as canonical JSON without machine paths: part of a clip's content key."""
        return json.dumps(self.model_dump(mode="json", exclude=self.location_fields), sort_keys=True)


class GraphBackend(Backend):
    """A backend of one round-trip graph, or of an encoder and a decoder."""

    round_trip: PinnedFile | None = None
    encoder: PinnedFile | None = None
    decoder: PinnedFile | None = None
    codes: CodeOrder | None = None
    """Order of the codes' axes; ``None``: found by running the encoder on one and on two items."""

    @model_validator(mode="after")
    def _one_or_two_graphs(self) -> Self:
        given = tuple(part is not None for part in (self.round_trip, self.encoder, self.decoder))
        if given not in ((True, False, False), (False, True, True)):
            raise ValueError("give either round_trip, or encoder and decoder")
        return self

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return tuple(file for file in (self.round_trip, self.encoder, self.decoder) if file)

    @property
    def graphs(self) -> tuple[Path, ...]:
        """Paths of the one or two graphs: the round trip, or encoder and decoder."""
        return tuple(self.path_of(file) for file in (self.round_trip, self.encoder, self.decoder) if file)


def copy_graphs(graphs: tuple[Path, ...], folder: Path) -> dict[str, PinnedFile]:
    """Copy one round-trip graph, or encoder and decoder, into the codec file's folder, and pin the copies.

    Returns:
        the fields of a :class:`GraphBackend`.

    Raises:
        CheckpointError: neither one file nor two, two of one name, or no such file.
    """
    if len(graphs) not in (1, 2):
        raise CheckpointError(f"give one graph (a round trip) or two (encoder, decoder); got {len(graphs)}")
    if len({graph.name for graph in graphs}) != len(graphs):
        raise CheckpointError(f"{graphs[-1]}: encoder and decoder need different names")
    copies = [copy_pinned(graph, folder / graph.name, folder) for graph in graphs]
    return dict(zip(("round_trip",) if len(copies) == 1 else ("encoder", "decoder"), copies, strict=True))


def copy_pinned(source: Path, target: Path, folder: Path) -> PinnedFile:
    """Copy a file to ``target`` within the codec file's folder, and pin the copy.

    Raises:
        CheckpointError: no such file.
    """
    source = source.expanduser()
    if not source.is_file():
        raise CheckpointError(f"{source}: no such file")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return PinnedFile.at(target, folder)
