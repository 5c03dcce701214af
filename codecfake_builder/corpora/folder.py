"""Any audio files: a folder tree, or the files that a CSV or JSONL table lists."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from pydantic import field_validator

from codec_adapters.catalogue import Catalogue
from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.corpora.base import NOBODY, UNKNOWN_SPEAKER, CorpusConfig, DataPath, SourceFile
from codecfake_builder.corpora.listing.paths import listed_path
from codecfake_builder.corpora.listing.repeats import without_repeats
from codecfake_builder.corpora.listing.tables import TableRow, table_rows
from codecfake_builder.corpora.listing.trees import FoundFile, audio_below
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason

_COLUMNS = ("path", "utterance_id", "speaker", "language", "text")
_NO_SPEAKER = re.compile(
    r"(train|training|dev|devel|test|eval|evaluation|val|valid|validation|validated|unseen|seen|other|clean|noisy"
    r"|wavs?|flacs?|mp3s?|ogg|opus|audios?|clips|data|dataset|speech|recordings?|samples|files|corpus|corpora"
    r"|part|set|split|fold|batch|chunk|shard|vol|volume|disc|disk|cd|session|day|mic|male|female|men|women|children"
    r"|speakers|readers|people|real|fake|bonafide|spoof|original|originals)"
    r"\d*([-_. ].*)?",
    re.IGNORECASE,
)
"""Names of folders that no speaker has: of splits, formats, groups of speakers and heaps of files."""


class FolderConfig(CorpusConfig):
    """A tree of audio files, or with ``table`` the files that a CSV (with header) or JSONL lists.

    Columns of the table: ``path`` (relative to the root), and where known ``utterance_id``, ``speaker``, ``language``,
    ``text``. Without a table, ``pattern`` (a regular expression searched in the relative path) may have the groups
    ``utterance``, ``speaker`` and ``language``. The id is by default the path without its suffix and with ``-`` for
    ``/``. The speaker is by default the first folder below the root (``84`` in ``84/121123/x.flac``), unless it has a
    name that is no speaker's (``train-clean-100``, ``wav48``); that of other files is not known, and a speaker-disjoint
    plan refuses them.
    """

    layout: ClassVar[str] = f"audio files ({', '.join(AUDIO_SUFFIXES)}) at any depth"
    says_speaker: ClassVar[str] = "pattern (with a group speaker), table (with a column speaker) or speaker"

    kind: Literal["folder"]
    table: DataPath | None = None
    pattern: str | None = None
    language: str = "und"
    speaker: str | None = None
    """The speaker of all files for which none is given."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"not a regular expression ({error})") from error
        return pattern

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        if self.table is not None:
            rows = table_rows(self.table, ("path",), _COLUMNS, self.encoding)
            files = without_repeats(self._from_row(root, row) for row in rows)
            if not files:
                raise CorpusError(f"{self.table}: lists no file")
            return files
        found = audio_below(root)
        if not found:
            raise self.wrong_layout(root)
        return [self._from_tree(file) for file in found]

    def _from_tree(self, found: FoundFile) -> SourceFile:
        match = re.search(self.pattern, found.path) if self.pattern else None
        known = match.groupdict() if match else {}
        in_pattern = self.pattern is not None and "speaker" in re.compile(self.pattern).groupindex
        speaker, said_by = self._speaker(
            known.get("speaker") or None, "the pattern", None if in_pattern else found.path
        )
        return SourceFile(
            utterance_id=known.get("utterance") or _path_as_id(found.path),
            path=found.path,
            speaker=speaker,
            language=known.get("language") or self.language,
            reason=found.reason,
            detail=found.detail,
            speaker_by=said_by,
        )

    def _from_row(self, root: Path, row: TableRow) -> SourceFile:
        named = row.text("path")
        if named is None:
            raise CorpusError(f"{row.place}: no value for path")
        path, there = listed_path(root, named, row.place)
        speaker, said_by = self._speaker(row.text("speaker"), "the table", path)
        return SourceFile(
            utterance_id=row.text("utterance_id") or _path_as_id(path),
            path=path,
            speaker=speaker,
            language=row.text("language") or self.language,
            text=row.text("text"),
            reason=None if there else RejectionReason.MISSING,
            detail=None if there else f"no such file; {Path(row.place).name} names it",
            place=row.place,
            speaker_by=said_by,
        )

    def _speaker(self, stated: str | None, said_by: str, path: str | None) -> tuple[str, str]:
        """Return a file's speaker, and in words what says so; ``path`` is ``None`` where it says nothing of them."""
        if stated is not None:
            return stated, said_by
        if self.speaker is not None:
            return self.speaker, "the recipe"
        top = PurePosixPath(path or "").parts[:-1][:1]
        if top and not _NO_SPEAKER.fullmatch(top[0]):
            return top[0], "the first folder below the root"
        return UNKNOWN_SPEAKER, NOBODY


def _path_as_id(path: str) -> str:
    return "-".join(PurePosixPath(path).with_suffix("").parts)
