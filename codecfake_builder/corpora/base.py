"""What every corpus kind shares: its part of a recipe, and what it lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from codecfake_builder.corpora.lists import read_ids
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason

UserPath = Annotated[Path, BeforeValidator(lambda value: Path(value).expanduser() if isinstance(value, str) else value)]
"""A path in a recipe: ``~`` is the home folder, a relative path is relative to the recipe, in ``--set`` to the
working folder."""


@dataclass(frozen=True)
class Made:
    """What made a clip that exists already. Such a clip is not re-synthesized: it goes into a dataset as it is."""

    codec: str
    """Its class: a codec family, ``real``, or ``vocoder`` for a fake that no codec made."""
    variant: str
    """Name of the setting: a known variant's, or one that says as much as is known."""
    alm: str | None = None
    prompt_id: str | None = None


@dataclass(frozen=True)
class SourceFile:
    """One utterance as a corpus lists it; ``problem`` says why it cannot be used, where that is known already.

    A ``problem`` of ``missing`` means that there is no file to look at.
    """

    utterance_id: str
    path: str
    """Relative to the corpus root, with forward slashes."""
    speaker: str
    language: str
    text: str | None = None
    problem: RejectionReason | None = None
    detail: str | None = None
    """The problem in words."""
    made: Made | None = None
    """For a clip that exists already; ``None`` for speech."""
    sha256: str | None = None
    """Of the file, where a list says it. A file of another hash is used, with a word about it."""


class CorpusConfig(BaseModel, ABC):
    """A corpus in a recipe. One subclass per kind, in a module of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: ClassVar[str]
    """The layout of this kind in words, for messages."""

    kind: str
    root: UserPath | None = None
    optional: bool = False
    """Without a root: leave out the splits that need it, instead of refusing to build."""
    speakers: list[str] | None = Field(default=None, min_length=1)
    """Only these speakers."""
    exclude_speakers: list[str] = []
    ids: str | None = None
    """Only these utterances: a packaged list by name, or a file with one id a line. Absent ones are listed."""
    min_seconds: float = Field(default=0.0, ge=0)
    max_seconds: float | None = Field(default=None, gt=0)

    @abstractmethod
    def scan(self, root: Path) -> list[SourceFile]:
        """All utterances under ``root``; raises :class:`CorpusError` where the layout is another."""

    def listed(self) -> list[SourceFile]:
        """The utterances that the recipe wants, by speaker and by list, sorted by id.

        Raises:
            CorpusError: the root is not set, not there, or not in this kind's layout.
            RecipeError: ``ids`` names no list.
        """
        root = self.root_folder()
        wanted = None if self.speakers is None else set(self.speakers)
        unwanted = set(self.exclude_speakers)
        files = [
            file
            for file in self.scan(root)
            if file.speaker not in unwanted and (wanted is None or file.speaker in wanted)
        ]
        if not files:
            raise self.wrong_layout(root, "no utterance of the wanted speakers")
        if self.ids is not None:
            files = _listed_only(files, self.ids)
        return sorted(files, key=lambda file: (file.utterance_id, file.path))

    def located(self) -> bool:
        """Whether the recipe says where this corpus is."""
        return self.root is not None

    def root_folder(self) -> Path:
        """The root, checked to be a folder."""
        if self.root is None:
            raise CorpusError(f"no root is given for this corpus of kind {self.kind}")
        if not self.root.is_dir():
            raise CorpusError(f"{self.root}: no such folder (root of a corpus of kind {self.kind})")
        return self.root

    def audio_folder(self) -> Path:
        """The folder that the listed paths are relative to; the root, but for corpora that are no files."""
        return self.root_folder()

    def wrong_layout(self, root: Path, found: str | None = None) -> CorpusError:
        """The error for a root that is not in this kind's layout."""
        if found is None:
            entries = sorted(path.name for path in root.iterdir())
            found = ", ".join(entries[:6]) + (", ..." if len(entries) > 6 else "") if entries else "nothing"
        return CorpusError(f"{root}: not a corpus of kind {self.kind}: expected {self.layout}; found {found}")


def _listed_only(files: list[SourceFile], name: str) -> list[SourceFile]:
    """The files whose utterance is on the list ``name``; what the list has and the corpus has not, as missing."""
    wanted = dict.fromkeys(read_ids(name))
    found = [file for file in files if file.utterance_id in wanted]
    absent = wanted.keys() - {file.utterance_id for file in found}
    detail = f"the list {Path(name).name} names it, the corpus has no such utterance"
    return found + [
        SourceFile(identity, "", "", "und", problem=RejectionReason.MISSING, detail=detail) for identity in absent
    ]


def safe_path(root: Path, path: str) -> bool:
    """Whether ``path``, out of somebody's list, is relative and stays below ``root``, links followed."""
    return not Path(path).is_absolute() and (root / path).resolve().is_relative_to(root.resolve())


def relative(path: Path, root: Path) -> str:
    """``path`` below ``root``, with forward slashes."""
    return path.relative_to(root).as_posix()
