"""Notes on an index: who says the speakers, transcripts that cannot be read, and files that are not the listed ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from codecfake_builder.corpora.base import NOBODY, SourceFile

_Row = Mapping[str, object]
_EXAMPLES = 3


def changed_files(files: Sequence[SourceFile], rows: Sequence[_Row]) -> Iterator[str]:
    """Yield a sentence if files have another sha256 than their list states.

    Args:
        files: of a corpus, with the hashes of its list.
        rows: of the index, in the same order.
    """
    expected = [(file, row) for file, row in zip(files, rows, strict=True) if file.sha256 and row.get("sha256")]
    others = [file.path for file, row in expected if file.sha256 != row["sha256"]]
    if others:
        yield (
            f"{len(others)} of {len(expected)} listed files have another sha256 than the list says, as after "
            f"re-encoding; they are used ({_some(others)})"
        )


def speaker_sources(files: Sequence[SourceFile]) -> Iterator[str]:
    """Yield a sentence on what says who speaks, where the kind of corpus does not fix it."""
    counts = Counter(file.speaker_by for file in files if file.speaker_by)
    if counts:
        sources = sorted(counts, key=lambda source: (-counts[source], source))
        said = [f"{'' if name == NOBODY else 'by '}{name} ({counts[name]} utterances)" for name in sources]
        yield f"who speaks: {', '.join(said)}"


def unread_texts(files: Sequence[SourceFile]) -> Iterator[str]:
    """Yield a sentence if there are transcripts that cannot be read: the utterances are used without them."""
    problems = sorted({file.text_problem for file in files if file.text_problem})
    if problems:
        more = f"; and {len(problems) - _EXAMPLES} more" if len(problems) > _EXAMPLES else ""
        yield f"{len(problems)} utterances have no text: {'; '.join(problems[:_EXAMPLES])}{more}"


def _some(names: list[str]) -> str:
    more = ", ..." if len(names) > _EXAMPLES else ""
    return ", ".join(sorted(names)[:_EXAMPLES]) + more
