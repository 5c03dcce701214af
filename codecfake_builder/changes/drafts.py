"""Drafts: codecs that are being added, which can be loaded before a recipe names them."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codec_adapters.entry import Entry
from codec_adapters.external.backend import Backend
from codec_adapters.external.codec_file import codec_file_entry, codec_file_text
from codec_adapters.external.facts import CodecFacts
from codec_adapters.external.transformers import TransformersBackend
from codec_adapters.external.worker.entry import IsolatedEntry, packaged_drivers
from codec_adapters.spec import OptionValue
from codecfake_builder.changes.fact_sheet import config_facts
from codecfake_builder.errors import BuilderError
from codecfake_builder.files import write_text

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

CODEC_FILE = "codec.yaml"
FOLDER = "codecs"
"""Folder beside the recipe that holds one folder per codec that was added."""


@dataclass
class Draft(ABC):
    """A codec that is being added: the files of its folder, and its entry in the recipe."""

    name: str
    folder: Path
    """Where it is prepared; moved beside the recipe at the end."""
    options: dict[str, OptionValue]

    @abstractmethod
    def copy_files(self) -> None:
        """Copy the files that the codec is made of into the folder.

        Raises:
            CodecfakeError: a file that the user named is not there, or cannot be downloaded.
        """

    def config_facts(self, bitrate: float | None) -> Mapping[str, Any]:
        """Return the facts that the codec's own config tells; ``bitrate`` (bits/s) chooses among several bandwidths."""
        return {}

    @abstractmethod
    def entry(self, facts: CodecFacts, notes: Mapping[str, str] | None = None) -> Entry:
        """Return its entry in a catalogue, with these facts."""

    def settle(self, adapter: Adapter) -> list[str]:
        """Keep what loading ``adapter`` has found out of the codec; return a remark on each."""
        return []

    @abstractmethod
    def recipe_entry(self) -> dict[str, Any]:
        """Return arguments of ``recipe.edit.with_codec``; paths as from the recipe's folder, the codec's being
        ``codecs/<name>``."""


@dataclass
class FileDraft(Draft):
    """A codec that a codec file describes."""

    make_backend: Callable[[Path], Backend]
    """Copies the files that the user named into a folder, and returns the backend of a codec file there."""
    backend: Backend | None = field(default=None, init=False)

    def copy_files(self) -> None:
        self.backend = self.make_backend(self.folder)

    def config_facts(self, bitrate: float | None) -> Mapping[str, Any]:
        if not isinstance(self.backend, TransformersBackend):
            return {}
        self.backend.prepare()
        return config_facts(self.backend.files_folder, bitrate)

    def entry(self, facts: CodecFacts, notes: Mapping[str, str] | None = None) -> Entry:
        assert self.backend is not None
        path = self.folder / CODEC_FILE
        write_text(path, codec_file_text(str(path), self.name, self.backend, facts, self.options, notes))
        return codec_file_entry(path)

    def settle(self, adapter: Adapter) -> list[str]:
        assert self.backend is not None
        before, self.backend = self.backend, self.backend.settled(adapter)
        found = {key: value for key, value in self.backend if value != getattr(before, key)}
        return [f"{self.backend.key}.{key}: {value}, found by trying" for key, value in found.items()]

    def recipe_entry(self) -> dict[str, Any]:
        return {"plugin": f"{FOLDER}/{self.name}/{CODEC_FILE}"}


@dataclass
class WorkerDraft(Draft):
    """An isolated codec."""

    driver: str
    environment: dict[str, Any]
    """``repo``, ``commit``, ``python``, ``requirements``: see ``isolated`` of a recipe."""
    facts: CodecFacts | None = field(default=None, init=False)

    @property
    def packaged(self) -> bool:
        """Return whether the driver comes with this package."""
        return self.driver in packaged_drivers()

    def copy_files(self) -> None:
        if self.packaged:
            return
        driver = Path(self.driver).expanduser()
        if not driver.is_file():
            raise BuilderError(f"--worker {self.driver}: no such driver; a Python file, or a packaged one")
        shutil.copyfile(driver, self.folder / "driver.py")

    def _section(self, driver: str) -> dict[str, Any]:
        assert self.facts is not None
        said = self.facts.model_dump(mode="json", exclude_defaults=True)
        given = {key: value for key, value in self.environment.items() if value}
        return {"driver": driver, **given, **({"options": self.options} if self.options else {}), "codec": said}

    def entry(self, facts: CodecFacts, notes: Mapping[str, str] | None = None) -> Entry:
        self.facts = facts
        driver = self.driver if self.packaged else str(self.folder / "driver.py")
        isolated = IsolatedEntry.model_validate(self._section(driver)).at(Path())
        if problems := list(isolated.problems()):
            raise BuilderError("\n".join(f"isolated.{self.name}{problem}" for problem in problems))
        return isolated.provider(self.name).entry()

    def recipe_entry(self) -> dict[str, Any]:
        driver = self.driver if self.packaged else f"{FOLDER}/{self.name}/driver.py"
        return {"isolated": self._section(driver)}
