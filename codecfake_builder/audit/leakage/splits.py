"""Find speakers, texts and utterances that are in two splits.

Splits that share utterances by design are one pool (:attr:`~codecfake_builder.audit.clips.Clips.pool`): a detector is
asked there what made a clip, not whose speech it is. What counts is what two pools share.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status
from codecfake_builder.corpora.base import UNKNOWN_SPEAKER
from codecfake_builder.origin import Origin

_LEARNED = ("train", "dev", "val")
"""Beginnings of the names of splits that a detector is trained or tuned on."""


def pool_names(clips: Clips) -> list[str]:
    """Return the name of each pool: those of its splits, as ``eval_id, eval_ood``."""
    splits = pd.DataFrame({"pool": clips.pool, "split": clips.table["split"].astype(str)}).drop_duplicates()
    return [", ".join(own) for _, own in splits.groupby("pool")["split"]]


def between(pools: Sequence[str], here: int, there: int) -> str:
    """Return the name of the place that two pools, or one, make."""
    return pools[here] if here == there else f"{pools[here]} / {pools[there]}"


def usable(clips: Clips) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which clips take part: those that have an origin, which one that cannot be read has not."""
    return clips.table["origin"].astype(str).isin([origin.value for origin in Origin]).to_numpy()


def learned_from(name: str) -> bool:
    """Return whether a detector is trained or tuned on a pool or split, by its name."""
    return any(split.lower().startswith(_LEARNED) for split in name.split(", "))


def speakers(clips: Clips, speakers_disjoint: bool) -> list[Finding]:
    """Find speakers in two pools.

    Args:
        clips: what to look at.
        speakers_disjoint: the dataset says that there are none; else their number is a note.
    """
    table = clips.table
    names = table["speaker"].astype("string")
    known = names.notna() & ~names.fillna("").isin(_nobody(names.dropna().unique()))
    rows = known.to_numpy() & usable(clips)
    shared = _shared(names[rows], clips.pool[rows])
    return _findings("speakers", "speaker", clips, shared, lambda _: speakers_disjoint, int(names[rows].nunique()))


def _nobody(names: Iterable[str]) -> set[str]:
    """Return the names that stand for speakers who are not known."""
    return {name for name in names if name.rpartition("/")[2] in ("", UNKNOWN_SPEAKER)}


def texts(clips: Clips, texts_disjoint: bool) -> list[Finding]:
    """Find transcripts in two pools, written alike but for case, punctuation, blanks and the width of letters.

    What a language model wrote itself does not count, nor what two pools share that nobody learns from.

    Args:
        clips: what to look at.
        texts_disjoint: the dataset says that there are none; else their number is a note, as where a corpus has all its
            speakers read the same prompts.
    """
    table = clips.table
    generated = table["origin"].astype(str) == Origin.GENERATED.value
    rows = (table["text"].notna() & ~generated).to_numpy() & usable(clips)
    written = table.loc[rows, "text"].astype(str)
    plain = written.map({text: normalized(text) for text in written.unique()})
    kept = (plain != "").to_numpy()
    first = written[kept].groupby(plain[kept]).first()
    shared = {
        pools: [str(first[text]) for text in found]
        for pools, found in _shared(plain[kept], clips.pool[rows][kept]).items()
    }
    names = pool_names(clips)
    any_learned = any(map(learned_from, names))

    def wrong(pools: tuple[int, int]) -> bool:
        learned = [learned_from(names[pool]) for pool in pools]
        return texts_disjoint and (not any_learned or any(learned))

    return _findings("texts", "text", clips, shared, wrong, len(first))


def normalized(text: str) -> str:
    """Return a text's letters, marks and digits only, without case and width.

    >>> normalized("Please call Ｓtella!") == normalized("please  call stella")
    True
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(character for character in plain if unicodedata.category(character)[0] in "LMN")


def utterances(clips: Clips) -> list[Finding]:
    """Find utterances that a detector learns from and is evaluated on, or tuned on, under one id."""
    table = clips.table
    splits = table["split"].astype(str)
    kinds = splits.map({split: _kind(split) for split in splits.unique()})
    if kinds.nunique() < 2:
        return [Finding("utterances", "all", Status.SKIPPED, "there are no splits to learn from and to evaluate on")]
    pairs = pd.DataFrame(
        {"utterance": table["utterance"].astype(str), "split": splits, "kind": kinds}
    ).drop_duplicates()
    found: dict[tuple[str, str], list[str]] = {}
    several = pairs[pairs.groupby("utterance")["kind"].transform("nunique") > 1]
    for utterance, own in several.groupby("utterance"):
        for (first, kind), (second, other) in combinations(zip(own["split"], own["kind"], strict=True), 2):
            if str(kind) != str(other):
                found.setdefault((str(first), str(second)), []).append(str(utterance))
    if not found:
        number = pairs["utterance"].nunique()
        return [Finding("utterances", "all", Status.PASS, f"none of {number} is both learned from and evaluated on")]
    return [
        Finding(
            "utterances",
            " / ".join(where),
            Status.FAIL,
            f"{len(names)} in both: {', '.join(names[:EXAMPLES])}",
            {"shared": len(names)},
            examples=tuple(names[:EXAMPLES]),
        )
        for where, names in found.items()
    ]


def _kind(split: str) -> str:
    return next((kind for kind in _LEARNED if split.lower().startswith(kind)), "eval")


def _shared(names: Any, pools: Any) -> dict[tuple[int, int], list[str]]:
    """Return the names that are in two pools, by pair of pools."""
    pairs = pd.DataFrame({"name": names.to_numpy(dtype=object), "pool": np.asarray(pools)}).drop_duplicates()
    several = pairs[pairs.groupby("name")["pool"].transform("size") > 1]
    found: dict[tuple[int, int], list[str]] = {}
    for name, own in several.groupby("name"):
        for pair in combinations(sorted(own["pool"]), 2):
            found.setdefault(pair, []).append(str(name))
    return found


def _findings(
    line: str, what: str, clips: Clips, shared: dict[tuple[int, int], list[str]], wrong: Any, number: int
) -> list[Finding]:
    """Return a line for each pair of pools that share what they should not, and one for all others."""
    pools = pool_names(clips)
    if not number:
        return [Finding(line, "all", Status.SKIPPED, f"no {what} is known")]
    if len(pools) < 2:
        return [Finding(line, "all", Status.SKIPPED, "all splits share utterances, or there is one only")]
    failing = {pair: names for pair, names in shared.items() if wrong(pair)}
    found = [
        Finding(
            line,
            between(pools, first, second),
            Status.FAIL,
            f"{_counted(len(names), what)} in both: {', '.join(names[:EXAMPLES])}",
            {"shared": len(names)},
            examples=tuple(names[:EXAMPLES]),
        )
        for (first, second), names in failing.items()
    ]
    noted = {pair: names for pair, names in shared.items() if pair not in failing}
    if noted:
        counts = [f"{between(pools, *pair)}: {len(names)}" for pair, names in noted.items()]
        distinct = list(dict.fromkeys(_all(noted.values())))
        said = f"of {_counted(number, what)} {len(distinct)} are in two: {'; '.join(counts)}"
        found.append(
            Finding(line, "all", Status.NOTE, said, {"shared": len(distinct)}, examples=tuple(distinct[:EXAMPLES]))
        )
    said = f"none of {_counted(number, what)} is in two of {len(pools)} pools of splits"
    return found or [Finding(line, "all", Status.PASS, said, {"shared": 0})]


def _all(lists: Iterable[list[str]]) -> Iterator[str]:
    for names in lists:
        yield from names


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
