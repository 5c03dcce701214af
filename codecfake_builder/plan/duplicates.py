"""Find utterances that are the same audio, sample for sample, under whatever names and in whatever corpora.

A recording in two splits teaches a model what it is tested on, and one under two labels teaches it nothing; neither can
be seen from names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from codec_adapters.classes import REAL
from codecfake_builder.errors import PlanError

_EXAMPLES = 3
_Row = Mapping[str, Any]


def copies(utterances: pa.Table) -> Iterator[list[_Row]]:
    """Yield the utterances that are the same audio, set by set, in the table's order; ``row`` is the number in it.

    Args:
        utterances: of all corpora, with ``audio_sha256``.
    """
    counts = utterances.group_by("audio_sha256").aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))["audio_sha256"]
    several = pc.is_in(utterances["audio_sha256"], value_set=twice.combine_chunks())
    numbers = np.flatnonzero(several.to_numpy(zero_copy_only=False))
    columns = ["corpus", "utterance_id", "path", "codec", "variant", "audio_sha256"]
    sets: dict[str, list[_Row]] = {}
    for number, row in zip(numbers, utterances.select(columns).take(pa.array(numbers)).to_pylist(), strict=True):
        sets.setdefault(row["audio_sha256"], []).append({**row, "row": int(number)})
    yield from sets.values()


def refuse_two_labels(sets: Iterable[list[_Row]]) -> None:
    """Refuse one recording under two labels.

    Raises:
        PlanError: there is one; names both files and their labels.
    """
    for same in sets:
        first = same[0]
        other = next((row for row in same if _label(row) != _label(first)), None)
        if other is not None:
            raise PlanError(
                f"{_place(first)} ({_label(first)}) and {_place(other)} ({_label(other)}) are the same audio under two "
                "labels; take the wrong one out"
            )


def superfluous(sets: Iterable[list[_Row]]) -> dict[int, str]:
    """Return the rows of all but the first of each recording (and variant, of clips that exist already), each with the
    place of that first one."""
    found: dict[int, str] = {}
    for same in sets:
        firsts: dict[object, _Row] = {}
        for row in same:
            first = firsts.setdefault(row["variant"], row)
            if first is not row:
                found[row["row"]] = _place(first)
    return found


def notes_on_copies(sets: Iterable[list[_Row]], keep: bool) -> Iterator[str]:
    """Yield a sentence on utterances that are the same audio, and one per set of variants that are.

    Args:
        sets: see :func:`copies`.
        keep: whether all of them are used.
    """
    sets = list(sets)
    found = superfluous(sets)
    if found:
        what = "all are used, as the recipe says" if keep else "each recording is used once"
        yield f"{len(found)} utterances are the same audio as another one ({_some(sets, found)}); {what}"
    variants: dict[tuple[str, ...], list[str]] = {}
    for same in sets:
        names = tuple(sorted({row["variant"] for row in same if row["variant"]}))
        if len(names) > 1:
            variants.setdefault(names, []).append(same[0]["utterance_id"])
    for names, ids in sorted(variants.items()):
        some = ", ".join(sorted(ids)[:_EXAMPLES])
        yield (
            f"identical audio under {', '.join(names)}: {len(ids)} clips ({some}); at most one of these names is right"
        )


def _some(sets: list[list[_Row]], found: Mapping[int, str]) -> str:
    """Return an example, and how many each corpus has."""
    rows = [row for same in sets for row in same if row["row"] in found]
    counts = ", ".join(f"{corpus} {count}" for corpus, count in sorted(Counter(row["corpus"] for row in rows).items()))
    return f"{counts}; e.g. {_place(rows[0])} and {found[rows[0]['row']]}"


def _label(row: _Row) -> str:
    return str(row["codec"] or REAL)


def _place(row: _Row) -> str:
    return f"{row['corpus']}/{row['path']}"
