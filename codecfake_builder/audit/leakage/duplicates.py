"""Find audio that is there twice, sample by sample, under two utterances or two variants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status
from codecfake_builder.audit.leakage.splits import between, pool_names


def same_samples(pcm_sha256: Sequence[bytes]) -> Iterator[list[int]]:
    """Yield the rows of clips with the same samples, two at least.

    Args:
        pcm_sha256: hash of each clip's samples; empty for one that cannot be read.
    """
    rows: dict[bytes, list[int]] = {}
    for row, digest in enumerate(pcm_sha256):
        if digest:
            rows.setdefault(digest, []).append(row)
    yield from (own for own in rows.values() if len(own) > 1)


def duplicates(clips: Clips, pcm_sha256: Sequence[bytes]) -> list[Finding]:
    """Find the same samples under two utterances (``duplicates``), and under two variants of one (``identical
    variants``).

    Args:
        clips: what to look at.
        pcm_sha256: hash of each clip's samples; empty for one that cannot be read.
    """
    utterance = clips.table["utterance"].astype(str).to_numpy()
    variant = clips.table["variant"].astype(str).to_numpy()
    doubled: dict[tuple[int, int], list[tuple[int, int]]] = {}
    alike: dict[tuple[str, str], list[int]] = {}
    for rows in same_samples(pcm_sha256):
        first_of = dict(zip(utterance[rows][::-1], rows[::-1], strict=True))
        first, *others = sorted(first_of.values())
        for other in others:
            pools = tuple(sorted((int(clips.pool[first]), int(clips.pool[other]))))
            doubled.setdefault((pools[0], pools[1]), []).append((first, other))
        for name in first_of:
            own = {variant[row]: row for row in reversed(rows) if utterance[row] == name}
            for pair in combinations(sorted(own), 2):
                alike.setdefault(pair, []).append(own[pair[0]])
    return [*_duplicates(clips, doubled, len(pcm_sha256)), *_identical_variants(clips, alike)]


def _duplicates(clips: Clips, doubled: dict[tuple[int, int], list[tuple[int, int]]], number: int) -> Iterator[Finding]:
    ids, pools = clips.table["id"].astype(str).to_numpy(), pool_names(clips)
    if not doubled:
        said = f"none of {number} clips has the samples of another utterance's"
        yield Finding("duplicates", "all", Status.PASS, said, {"pairs": 0})
    for (here, there), pairs in doubled.items():
        examples = tuple(f"{ids[first]} = {ids[second]}" for first, second in pairs[:EXAMPLES])
        yield Finding(
            "duplicates",
            between(pools, here, there),
            Status.FAIL,
            f"{len(pairs)} pairs of utterances have a clip with the same samples: {examples[0]}",
            {"pairs": len(pairs)},
            examples=examples,
        )


def _identical_variants(clips: Clips, alike: dict[tuple[str, str], list[int]]) -> Iterator[Finding]:
    if not alike:
        yield Finding("identical variants", "all", Status.PASS, "no clip has the samples of another variant's")
    utterance = clips.table["utterance"].astype(str).to_numpy()
    variant = clips.table["variant"].astype(str).to_numpy()
    for pair, rows in alike.items():
        both = len(set(utterance[variant == pair[0]]) & set(utterance[variant == pair[1]]))
        yield Finding(
            "identical variants",
            "all",
            Status.FAIL,
            f"{len(rows)} of {both} utterances have the same samples as {pair[0]} and as {pair[1]}",
            {"variants": list(pair), "identical": len(rows), "utterances": both},
            pair,
            tuple(str(clips.table["id"].iloc[row]) for row in rows[:EXAMPLES]),
        )
