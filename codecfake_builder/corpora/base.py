"""The base class of a corpus in a recipe, and one source file as a corpus lists it."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from codec_adapters.catalogue import Catalogue
from codec_adapters.files.documents import nearest
from codec_adapters.files.paths import DocumentPath
from codecfake_builder.corpora.utterance_lists import as_known, read_ids, unlike
from codecfake_builder.errors import CorpusError
from codecfake_builder.progress import say
from codecfake_builder.rejections import RejectionReason
from codecfake_builder.text_files import escaped, known_encoding


def _expanded(value: Any) -> Any:
    """Return a path with ``~`` replaced; refuse one that no document can hold."""
    if not isinstance(value, str):
        return value
    try:
        value.encode("utf-8")
        return Path(value).expanduser()
    except UnicodeEncodeError as error:
        raise ValueError("the path is no UTF-8, so that no recipe can hold it; rename the file or folder") from error
    except RuntimeError as error:  # ~NAME without such a user
        raise ValueError(str(error)) from error


def _as_name(value: Any) -> Any:
    """Return a name composed as NFC; refuse a number in its place: ``007`` is 7 to YAML."""
    if isinstance(value, int | float):
        raise ValueError(f"a name is text: write it in quotation marks, '{value}'")
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


_Expanded = BeforeValidator(_expanded)
SpeakerName = Annotated[str, BeforeValidator(_as_name)]
"""The name of a speaker, as the corpus has it."""
UserPath = Annotated[Path, _Expanded, DocumentPath()]
"""A path in a recipe. ``~`` is the home folder; a relative path is relative to the recipe, or to the working folder in
``--set``."""
DataPath = Annotated[Path, _Expanded, DocumentPath(hidden=True)]
"""A path of which nothing is published, since it says where somebody keeps their data."""
ListName = Annotated[str, DocumentPath(packaged=True)]
"""The name of a packaged list, or a path."""
TableName = Annotated[str, DocumentPath(packaged=True, hidden=True)]
"""The name of a packaged table, or a path of which nothing is published."""


UNKNOWN_SPEAKER = "unknown"
"""The speaker of utterances of which none is known."""
NOBODY = "not known"
"""What stands for the one who says the speaker, where nobody does."""


@dataclass(frozen=True)
class ImportedClip:
    """What made an imported clip: one that goes into a dataset as it is, and is not re-synthesized."""

    codec: str
    """Its class: a codec family, ``real``, or ``vocoder`` for a fake that no neural codec made."""
    variant: str
    """A known variant, or a name that says as much as is known of the setting (``encodec_unspecified``)."""
    alm: str | None = None
    """The audio language model that spoke it."""
    prompt_id: str | None = None
    """The utterance that the audio language model was prompted with."""


@dataclass(frozen=True)
class SourceFile:
    """One utterance as a corpus lists it.

    ``reason`` says why it cannot be used, where the list alone shows that; ``missing`` means that there is no file.
    """

    utterance_id: str
    path: str
    """Relative to the corpus root, with forward slashes."""
    speaker: str
    language: str
    text: str | None = None
    reason: RejectionReason | None = None
    detail: str | None = None
    """The reason in words."""
    imported: ImportedClip | None = None
    """What made the clip; ``None`` for speech, which is re-synthesized."""
    sha256: str | None = None
    """Hash of the file that a list states. A file with another hash is used, and noted."""
    place: str | None = None
    """Where a list names it: file and line."""
    speaker_by: str | None = None
    """What says who the speaker is, where that is not plain from the kind of corpus: ``the table``, ..."""
    text_problem: str | None = None
    """Why a transcript that is there could not be read; the utterance is used without its text, and this noted."""


class CorpusConfig(BaseModel, ABC):
    """A corpus in a recipe. One subclass per kind, in a module of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noun: ClassVar[str] = "corpus"
    """What such a section of a recipe is called, for messages."""
    layout: ClassVar[str]
    """The folder layout that this kind expects, in words, for error messages."""
    says_speaker: ClassVar[str] = ""
    """The fields that say who speaks, in words, for error messages; empty where the kind has none."""

    kind: str
    root: DataPath | None = None
    optional: bool = False
    """Whether a plan leaves out the splits that need this corpus where it has no root; else it is refused."""
    speakers: list[SpeakerName] | None = Field(default=None, min_length=1)
    """The speakers to use; all where it is not given."""
    exclude_speakers: list[SpeakerName] = []
    ids: ListName | None = None
    """The utterances to use: the name of a packaged list, or a file with one id a line. Those that the corpus lacks are
    rejected as missing."""
    min_seconds: float = Field(default=0.0, ge=0)
    """Shorter utterances are rejected."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Longer utterances are rejected."""
    licence: str | None = Field(default=None, min_length=1)
    """Of the speech, for the card; by default that of the official corpus of the kind, or "not stated"."""
    source: str | None = Field(default=None, min_length=1)
    """Where the speech is from, for the card: an address, or words."""
    citation: str | None = Field(default=None, min_length=1)
    """How to cite it, for the card: a BibTeX entry, or words."""
    encoding: str | None = None
    """Of those of the corpus's own lists, tables and transcripts that are not UTF-8: ``gbk``, ``cp1252``, ..."""

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        if encoding is not None and not known_encoding(encoding):
            raise ValueError("no such text encoding; e.g. utf-8, gbk, cp1252")
        return encoding

    @abstractmethod
    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        """Return all utterances under ``root``.

        Args:
            catalogue: the codecs and classes that imported clips may be of.

        Raises:
            CorpusError: ``root`` is in another layout.
        """

    def problems(self, catalogue: Catalogue) -> Iterator[str]:
        """Yield what in the corpus's section contradicts the catalogue, each the rest of a line that begins with the
        section's place."""
        yield from ()

    def wanted_files(self, catalogue: Catalogue) -> list[SourceFile]:
        """Return the utterances that the recipe wants, by speaker and by list, sorted by id.

        Raises:
            CorpusError: the root is not given, not there, cannot be read, or is in another layout; the corpus lacks
                one of the ``speakers``, or all of the ``ids``.
            RecipeError: ``ids`` names no list.
        """
        try:
            root = self.root_folder()
            scanned = [_with_plain_name(file) for file in self.scan(root, catalogue)]
        except OSError as error:
            raise CorpusError(f"{escaped(str(error.filename))}: {error.strerror or error}") from error
        if not scanned:
            raise self.wrong_layout(root, "no utterance at all")
        _check_speakers(self.speakers, scanned)
        _note_absent(self.exclude_speakers, scanned)
        wanted = None if self.speakers is None else set(self.speakers)
        unwanted = set(self.exclude_speakers)
        files = [
            file for file in scanned if file.speaker not in unwanted and (wanted is None or file.speaker in wanted)
        ]
        if not files:
            raise self.wrong_layout(root, "no utterance of the wanted speakers")
        if self.ids is not None:
            files = _only_listed(files, self.ids)
        return sorted(files, key=lambda file: (file.utterance_id, file.path))

    def located(self) -> bool:
        """Return whether the recipe says where this corpus is."""
        return self.root is not None

    def root_folder(self) -> Path:
        """Return the root.

        Raises:
            CorpusError: it is not given, or is no folder.
        """
        if self.root is None:
            raise CorpusError(f"no root is given for this corpus of kind {self.kind}")
        if not self.root.is_dir():
            raise CorpusError(f"{self.root}: no such folder (root of a corpus of kind {self.kind})")
        return self.root

    def audio_folder(self) -> Path:
        """Return the folder that the paths of the files are relative to: the root, unless the audio is taken out of a
        dataset first (``hf``)."""
        return self.root_folder()

    def wrong_layout(self, root: Path, found: str | None = None) -> CorpusError:
        """Return the error for a root in another layout; ``found`` says what is there instead."""
        if found is None:
            entries = sorted(escaped(path.name) for path in root.iterdir())
            found = ", ".join(entries[:6]) + (", ..." if len(entries) > 6 else "") if entries else "nothing"
        return CorpusError(f"{root}: not a corpus of kind {self.kind}: expected {self.layout}; found {found}")


def _with_plain_name(file: SourceFile) -> SourceFile:
    """Return the file, its speaker composed as NFC, so that one is not two; rejected where its path or id cannot stand
    in a table or a list."""
    if not unicodedata.is_normalized("NFC", file.speaker):
        file = replace(file, speaker=unicodedata.normalize("NFC", file.speaker))
    if (file.path + file.utterance_id).isprintable():
        return file
    return replace(
        file,
        utterance_id=escaped(file.utterance_id),
        path=escaped(file.path),
        speaker=escaped(file.speaker),
        text_problem=None,
        reason=RejectionReason.UNUSABLE_NAME,
        detail="rename the file: its name holds bytes that are no UTF-8, or control characters",
    )


def _check_speakers(wanted: list[str] | None, files: list[SourceFile]) -> None:
    """Refuse wanted speakers whom the corpus does not have."""
    known = sorted({file.speaker for file in files})
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        names = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
        raise CorpusError(
            f"speakers: the corpus has no utterance of the wanted speakers {names}; {nearest(unknown[0], known)}"
        )


def _note_absent(unwanted: list[str], files: list[SourceFile]) -> None:
    """Say which unwanted speakers the corpus does not have: a slip of the pen would leave one in it."""
    known = {file.speaker for file in files} | {UNKNOWN_SPEAKER}
    for name in unwanted:
        if name not in known:
            say(f"note: exclude_speakers: {name!r} is no speaker of this corpus; {nearest(name, sorted(known))}")


def _only_listed(files: list[SourceFile], name: str) -> list[SourceFile]:
    """Return the files whose utterance is on the list ``name``, and those that the corpus lacks as missing."""
    listed = read_ids(name)
    known = {file.utterance_id for file in files}
    wanted = as_known(listed, known)
    if not known & set(wanted):
        raise CorpusError(f"ids: none of the {len(listed)} ids of {name} is in this corpus{unlike(listed, known)}")
    detail = f"the list {Path(name).name} names it, the corpus has no such utterance"
    return [file for file in files if file.utterance_id in set(wanted)] + [
        SourceFile(identity, "", "", "und", reason=RejectionReason.MISSING, detail=detail)
        for identity in wanted
        if identity not in known
    ]


def relative(path: Path, root: Path) -> str:
    """Return ``path`` relative to ``root``, with forward slashes."""
    return path.relative_to(root).as_posix()
