"""Backend ``command``: programs that read one audio file and write another. Never through a shell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field

from codec_adapters.external.backend import Backend
from codec_adapters.external.command_line import program_hashes
from codec_adapters.files.pinned import PinnedFile

if TYPE_CHECKING:
    from codec_adapters.base import Adapter, Setup


def _words(step: object) -> object:
    return shlex.split(step) if isinstance(step, str) else step


Step = Annotated[list[str], BeforeValidator(_words), Field(min_length=1)]
"""A program and its arguments; one string is split as a shell would, and no shell ever sees it."""


class CommandBackend(Backend):
    """Programs, run one after the other for each clip."""

    key: ClassVar[str] = "command"
    runs_code: ClassVar[bool] = True

    steps: list[Step] = Field(min_length=1)
    """Argument lists with placeholders, run one after the other."""
    beside: list[PinnedFile] = Field(default_factory=list)
    """What the programs read."""
    timeout_seconds: float = Field(default=60.0, gt=0)
    version: Step | None = None
    """A command whose output tells the version of the programs and their libraries."""

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return tuple(self.beside)

    @classmethod
    def placed(cls, home: Path, steps: list[str], version: str | None = None) -> Self:
        """Split commands into programs and arguments."""
        said = {"steps": steps, "version": version, "timeout_seconds": 60.0}
        return cls.model_validate(said).at(home)

    def hashes(self) -> dict[str, str]:
        return {**super().hashes(), **program_hashes(self.steps, self.version or (), self.home)}

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.command import CommandAdapter

        return CommandAdapter(setup, self.steps, self.home, self.timeout_seconds)
