"""Backend ``command``: programs that read one audio file and write another. No shell runs them."""

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


def _split(step: object) -> object:
    return shlex.split(step) if isinstance(step, str) else step


Step = Annotated[list[str], BeforeValidator(_split), Field(min_length=1)]
"""A program and its arguments; a string is split as a shell would split it, but no shell runs it."""


class CommandBackend(Backend):
    """Programs that run one after the other for each clip."""

    key: ClassVar[str] = "command"
    runs_code: ClassVar[bool] = True

    steps: list[Step] = Field(min_length=1)
    """Argument lists with placeholders, run one after the other."""
    beside: list[PinnedFile] = Field(default_factory=list)
    """Files that the programs read."""
    timeout_seconds: float = Field(default=60.0, gt=0)
    """Most seconds that a step may take."""
    version: Step | None = None
    """A command that prints the version of the programs and their libraries."""

    @property
    def pinned(self) -> tuple[PinnedFile, ...]:
        return tuple(self.beside)

    @classmethod
    def from_user(cls, folder: Path, steps: list[str], version: str | None = None) -> Self:
        """Make the backend from commands, for a codec file in ``folder``; each is split into program and arguments."""
        settings = {"steps": steps, "version": version, "timeout_seconds": 60.0}
        return cls.model_validate(settings).at(folder)

    def hashes(self) -> dict[str, str]:
        return {**super().hashes(), **program_hashes(self.steps, self.version or (), self.codec_folder)}

    def adapter(self, setup: Setup) -> Adapter:
        from codec_adapters.external.adapters.command import CommandAdapter

        return CommandAdapter(setup, self.steps, self.codec_folder, self.timeout_seconds)
