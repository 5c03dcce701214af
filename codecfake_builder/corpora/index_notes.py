"""Notes on an index: who says the speakers, transcripts that cannot be read, files that are not the listed ones, and
clips that are the same audio."""

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


def identical_clips(rows: Sequence[_Row]) -> Iterator[str]:
    """Yield a sentence per set of variants that have the same samples: all but one are copies or mislabelled."""
    by_audio: dict[object, list[_Row]] = {}
    for row in rows:
        if row.get("audio_sha256") and not row.get("reason"):
            by_audio.setdefault(row["audio_sha256"], []).append(row)
    found: dict[tuple[str, ...], list[_Row]] = {}
    for same in by_audio.values():
        if len(same) > 1:
            found.setdefault(tuple(sorted(str(row.get("variant")) for row in same)), []).append(same[0])
    for variants, firsts in sorted(found.items()):
        some = _some([str(row["utterance_id"]) for row in firsts])
        if len(set(variants)) == 1:
            yield f"{variants[0]}: {len(firsts)} clips are there {len(variants)} times under different ids ({some})"
        else:
            names = ", ".join(f"{name} ({count} times)" if count > 1 else name for name, count in _counts(variants))
            yield f"identical audio under {names}: {len(firsts)} clips ({some}); at most one of these names is right"


def _counts(variants: tuple[str, ...]) -> list[tuple[str, int]]:
    return sorted(Counter(variants).items())


def _some(names: list[str]) -> str:
    more = ", ..." if len(names) > _EXAMPLES else ""
    return ", ".join(sorted(names)[:_EXAMPLES]) + more
