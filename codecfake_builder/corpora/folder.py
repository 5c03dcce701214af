"""Any audio files: a folder tree, or the files that a CSV or JSONL table lists."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from codec_adapters.catalogue import Catalogue
from codecfake_builder.audio import AUDIO_SUFFIXES, find_audio
from codecfake_builder.corpora.base import (
    CorpusConfig,
    DataPath,
    SourceFile,
    relative,
    safe_path,
)
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason
from codecfake_builder.text_files import read_text

_COLUMNS = ("path", "utterance_id", "speaker", "language", "text")


class FolderConfig(CorpusConfig):
    """A tree of audio files, or with ``table`` the files that a CSV (with header) or JSONL lists.

    Columns of the table: ``path`` (relative to the root), and where known ``utterance_id``, ``speaker``, ``language``,
    ``text``. Without a table, ``pattern`` (a regular expression searched in the relative path) may have the groups
    ``utterance``, ``speaker`` and ``language``. Defaults: the id is the path without its suffix and with ``-`` for
    ``/``; the speaker is the folder of the file, so that a speaker-disjoint plan keeps a folder in one split.
    """

    layout: ClassVar[str] = f"audio files ({', '.join(AUDIO_SUFFIXES)}) at any depth"

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
            except re.error as error:
                raise ValueError(f"not a regular expression ({error})") from error
        return pattern

    def scan(self, root: Path, catalogue: Catalogue) -> list[SourceFile]:
        if self.table is not None:
            return [self._from_row(root, row, line) for line, row in table_rows(self.table, self.encoding)]
        paths = find_audio(root)
        if not paths:
            raise self.wrong_layout(root)
        return [self._from_path(relative(path, root)) for path in paths]

    def _from_path(self, path: str) -> SourceFile:
        match = re.search(self.pattern, path) if self.pattern else None
        return self._file(path, match.groupdict() if match else {})

    def _from_row(self, root: Path, row: dict[str, Any], line: int) -> SourceFile:
        path = row.get("path")
        if not path:
            raise CorpusError(f"{self.table}: line {line}: no value for path")
        if not safe_path(root, path):
            raise CorpusError(f"{self.table}: line {line}: path {path} leads out of the corpus root {root}")
        missing = None if (root / path).is_file() else RejectionReason.MISSING
        return self._file(str(PurePosixPath(path)), {**row, "utterance": row.get("utterance_id")}, missing)

    def _file(self, path: str, known: dict[str, Any], reason: RejectionReason | None = None) -> SourceFile:
        relative_path = PurePosixPath(path)
        folder = "-".join(relative_path.parent.parts) or "root"
        return SourceFile(
            utterance_id=known.get("utterance") or "-".join(relative_path.with_suffix("").parts),
            path=path,
            speaker=known.get("speaker") or self.speaker or folder,
            language=known.get("language") or self.language,
            text=known.get("text") or None,
            reason=reason,
            detail=reason and f"no such file; {self.table} names it",
        )


def table_rows(table: Path, encoding: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line number and the values of each row of a CSV (with header) or JSONL table, unknown columns included.

    Raises:
        CorpusError: no such file, another suffix, no column ``path``, or a line that is no JSON object.
    """
    if not table.is_file():
        raise CorpusError(f"{table}: no such file (table of a corpus)")
    if table.suffix.lower() not in (".csv", ".jsonl"):
        raise CorpusError(f"{table}: a table must be .csv (with a header) or .jsonl")
    with io.StringIO(read_text(table, encoding)) as stream:
        if table.suffix.lower() == ".csv":
            reader = csv.DictReader(stream)
            if "path" not in (reader.fieldnames or ()):
                raise CorpusError(f"{table}: no column path in the header; known columns: {', '.join(_COLUMNS)}")
            yield from ((reader.line_num, row) for row in reader)
            return
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise CorpusError(f"{table}: line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise CorpusError(f"{table}: line {number}: expected an object with path, found {line.strip()[:40]}")
            yield number, row
