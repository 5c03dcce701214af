"""Files held against the list that comes with them: what a list names and is absent, and what no line names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.corpora.base import SourceFile, relative
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason


def read_lines(path: Path, fields: int, form: str) -> list[list[str]]:
    """The whitespace-separated fields of every line that is not empty.

    Raises:
        CorpusError: no such file, or a line of another number of fields; ``form`` says in words what is expected.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such file (the list of this corpus)")
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words = line.split()
        if words and len(words) != fields:
            raise CorpusError(f"{path}: line {number}: expected '{form}', found {line[:60]!r}")
        if words:
            lines.append(words)
    return lines


def held_against(listed: Iterable[SourceFile], root: Path, folder: Path, protocol: Path) -> list[SourceFile]:
    """The listed files, absent ones marked, and after them the audio files of ``folder`` that no line names."""
    there = {relative(path, root) for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES}
    files, named = [], set()
    for file in listed:
        named.add(file.path)
        files.append(file if file.path in there or file.problem else _absent(file, protocol))
    unlisted = sorted(there - named)
    detail = f"no line of {protocol.name} names this file"
    return files + [
        SourceFile(Path(p).stem, p, "", "und", problem=RejectionReason.NOT_LISTED, detail=detail) for p in unlisted
    ]


def _absent(file: SourceFile, protocol: Path) -> SourceFile:
    return SourceFile(
        file.utterance_id,
        file.path,
        file.speaker,
        file.language,
        problem=RejectionReason.MISSING,
        detail=f"no such file; {protocol.name} names it",
        made=file.made,
    )
