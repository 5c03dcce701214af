"""A codec that is being added, before anything of it stands in a recipe: loadable, with facts that still change."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codec_adapters.spec import OptionValue
from codecfake_builder.changes.fact_sheet import config_figures
from codecfake_builder.changes.sources import Source
from codecfake_builder.codecs.codec_facts import CodecFacts
from codecfake_builder.codecs.codec_file import load_codec_file, write_codec_file
from codecfake_builder.codecs.codec_ways import TransformersPart, WayPart
from codecfake_builder.codecs.isolated import PACKAGED_DRIVERS, IsolatedEntry, resolved
from codecfake_builder.errors import BuilderError

CODEC_FILE = "codec.yaml"
FOLDER = "codecs"
"""Of the codecs that were added, beside the recipe."""


@dataclass
class Draft(ABC):
    """What a way in leaves in the codec's folder, and in the recipe."""

    name: str
    folder: Path
    """Where it is prepared; moved to its place at the end."""
    options: dict[str, OptionValue]

    @abstractmethod
    def place(self) -> None:
        """Bring everything into the folder."""

    def figures(self, bitrate: float | None) -> Mapping[str, Any]:
        """What its own config tells."""
        return {}

    @abstractmethod
    def register(self, facts: CodecFacts) -> None:
        """Make the codec loadable under its name, with these facts."""

    @abstractmethod
    def recipe_entry(self) -> dict[str, Any]:
        """Arguments of ``recipe.edit.with_codec``; paths as from the recipe's folder, the codec's being
        ``codecs/<name>``."""


@dataclass
class FileDraft(Draft):
    """A codec that a codec file describes."""

    source: Source
    part: WayPart | None = field(default=None, init=False)

    def place(self) -> None:
        self.part = self.source.place(self.folder)

    def figures(self, bitrate: float | None) -> Mapping[str, Any]:
        if not isinstance(self.part, TransformersPart):
            return {}
        way = self.part.way(self.folder)
        way.prepare()
        return config_figures(way.files[0].folder, bitrate)

    def register(self, facts: CodecFacts) -> None:
        assert self.part is not None
        write_codec_file(self.folder / CODEC_FILE, self.name, self.part, facts, self.options)
        load_codec_file(self.folder / CODEC_FILE).register()

    def recipe_entry(self) -> dict[str, Any]:
        return {"plugin": f"{FOLDER}/{self.name}/{CODEC_FILE}"}


@dataclass
class WorkerDraft(Draft):
    """A codec in an environment of its own."""

    driver: str
    environment: dict[str, Any]
    """``repo``, ``commit``, ``python``, ``requirements``: see ``isolated`` of a recipe."""
    facts: CodecFacts | None = field(default=None, init=False)

    @property
    def packaged(self) -> bool:
        """Whether the driver is one that this package has."""
        return (PACKAGED_DRIVERS / f"{self.driver}.py").is_file()

    def place(self) -> None:
        if self.packaged:
            return
        driver = Path(self.driver).expanduser()
        if not driver.is_file():
            raise BuilderError(f"--worker {self.driver}: no such driver; a Python file, or a packaged one")
        shutil.copyfile(driver, self.folder / "driver.py")

    def _entry(self, driver: str) -> dict[str, Any]:
        assert self.facts is not None
        said = self.facts.model_dump(mode="json", exclude_defaults=True)
        given = {key: value for key, value in self.environment.items() if value}
        return {"driver": driver, **given, **({"options": self.options} if self.options else {}), "codec": said}

    def register(self, facts: CodecFacts) -> None:
        self.facts = facts
        driver = self.driver if self.packaged else str(self.folder / "driver.py")
        resolved({self.name: IsolatedEntry.model_validate(self._entry(driver))}, Path())

    def recipe_entry(self) -> dict[str, Any]:
        driver = self.driver if self.packaged else f"{FOLDER}/{self.name}/driver.py"
        return {"isolated": self._entry(driver)}
