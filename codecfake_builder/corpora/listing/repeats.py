"""Files that a list names twice: the second row is a duplicate, and two rows that contradict each other are refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from codecfake_builder.corpora.base import SourceFile
from codecfake_builder.errors import CorpusError
from codecfake_builder.rejections import RejectionReason


def without_repeats(files: Iterable[SourceFile]) -> list[SourceFile]:
    """Return the listed files, each row that names a file again rejected as ``duplicate_id``.

    Raises:
        CorpusError: two rows say different things of one file; names file and rows.
    """
    seen: dict[str, SourceFile] = {}
    result = []
    for file in files:
        first = seen.setdefault(file.path, file) if file.path else file
        if first is not file:
            _refuse_contradiction(first, file)
            detail = f"{first.place or 'the list'} names this file already"
            file = replace(file, reason=RejectionReason.DUPLICATE_ID, detail=detail)
        result.append(file)
    return result


def _refuse_contradiction(first: SourceFile, second: SourceFile) -> None:
    for meant, (old, new) in _statements(first, second).items():
        if old != new and None not in (old, new):
            raise CorpusError(
                f"{second.place}: {second.path} has {meant} {new!r:.60} here, and {old!r:.60} in {first.place}; which "
                "one is right is not known: take one of the rows out"
            )


def _statements(first: SourceFile, second: SourceFile) -> dict[str, tuple[object, object]]:
    return {
        "the class": (_made_by(first), _made_by(second)),
        "the utterance id": (first.utterance_id, second.utterance_id),
        "the speaker": (first.speaker, second.speaker),
        "the language": (first.language, second.language),
        "the text": (first.text, second.text),
        "the sha256": (first.sha256, second.sha256),
        "the prompt": (_prompt(first), _prompt(second)),
    }


def _made_by(file: SourceFile) -> str | None:
    if file.reason == RejectionReason.UNKNOWN_CLASS:
        return None
    if file.imported is None:
        return "bona fide"
    made, alm = file.imported, file.imported.alm
    return f"{made.variant} ({made.codec}{f', spoken by {alm}' if alm else ''})"


def _prompt(file: SourceFile) -> str | None:
    return None if file.imported is None else file.imported.prompt_id
