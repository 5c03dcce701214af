"""Read the lists that come with a corpus (protocols, label files), and check its files against them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from codecfake_builder.audio import AUDIO_SUFFIXES
from codecfake_builder.corpora.base import SourceFile, relative
from codecfake_builder.corpora.listing.repeats import without_repeats
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason
from codecfake_builder.text_files import read_lines


def read_file_list(path: Path, fields: int, form: str, encoding: str | None = None) -> list[tuple[str, list[str]]]:
    """Read the place (file and line) and the whitespace-separated fields of every line that is not empty.

    Raises:
        CorpusError: no such file, no text in ``encoding`` (UTF-8 by default), or a line with another number of fields;
            ``form`` says in words what is expected.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such file (the list of this corpus)")
    lines = []
    for number, line in enumerate(read_lines(path, encoding), start=1):
        words, place = line.split(), f"{path}: line {number}"
        if words and len(words) != fields:
            raise CorpusError(f"{place}: expected '{form}', found {line[:60]!r}")
        if words:
            lines.append((place, words))
    return lines


def check_against_list(listed: Iterable[SourceFile], root: Path, folder: Path, file_list: Path) -> list[SourceFile]:
    """Return the listed files, those that ``folder`` lacks as missing and those that are listed again as duplicates,
    then its audio files that no line names.

    Args:
        listed: the files as ``file_list`` has them.
        root: of the corpus, to which their paths are relative.
        folder: where all of them lie, not in folders below it.
        file_list: the list, for the details of rejections.

    Raises:
        CorpusError: two lines contradict each other.
    """
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    there = {relative(path, root) for path in paths if path.suffix.lower() in AUDIO_SUFFIXES}
    files, named = [], set()
    for file in without_repeats(listed):
        named.add(file.path)
        files.append(file if file.path in there or file.reason else _missing(file, file_list))
    detail = f"no line of {file_list.name} names this file"
    return files + [_not_listed(path, detail) for path in sorted(there - named)]


def _missing(file: SourceFile, file_list: Path) -> SourceFile:
    return replace(file, reason=RejectionReason.MISSING, detail=f"no such file; {file_list.name} names it")


def _not_listed(path: str, detail: str) -> SourceFile:
    return SourceFile(Path(path).stem, path, "", "und", reason=RejectionReason.NOT_LISTED, detail=detail)
