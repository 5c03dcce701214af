"""Find clips of two utterances that are copies of each other: encoded again, shifted, cut, or of another level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from codecfake_builder.audio import RATE, Wave
from codecfake_builder.audit.clips import BUILT_ORIGINS, Clips
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status
from codecfake_builder.audit.leakage.copies import Copy, compare
from codecfake_builder.audit.leakage.duplicates import same_samples
from codecfake_builder.audit.leakage.splits import between, learned_from, pool_names, usable
from codecfake_builder.audit.measuring import fingerprints as prints
from codecfake_builder.audit.measuring.audio_file import decoded
from codecfake_builder.audit.measuring.fingerprints import Fingerprint
from codecfake_builder.errors import DatasetError
from codecfake_builder.rejections import RejectedError

LINE = "near duplicates"
MOST_COMPARED = 1000
"""Pairs of utterances whose clips are read and compared; of more candidates those that share most."""
_LONGEST = 60 * RATE
"""Samples of a clip that are compared."""


@dataclass(frozen=True)
class _Pair:
    first: int
    second: int
    copy: Copy

    def words(self, ids: Sequence[str]) -> str:
        """Name the clips, and say how they differ."""
        found = self.copy
        return f"{ids[self.first]} ~ {ids[self.second]} ({found.lag_ms:+g} ms, {found.level_db:+.1f} dB)"


def near_duplicates(
    clips: Clips, fingerprints: Sequence[Fingerprint | None], pcm_sha256: Sequence[bytes]
) -> list[Finding]:
    """Find utterances of which a clip is a copy of a clip of another utterance, but not sample by sample.

    That a corpus of fakes holds copies of recordings of another one, through codecs that somebody else ran, is no
    fault as long as nobody learns from the one and is evaluated on the other.

    Args:
        clips: what to look at.
        fingerprints: of each clip; ``None`` for one that cannot be read.
        pcm_sha256: hash of each clip's samples: what :func:`~.duplicates.duplicates` finds is not said again.
    """
    candidates = _candidates(clips, fingerprints, pcm_sha256)
    compared = sorted(candidates[:MOST_COMPARED])
    pairs = [pair for first, second in compared if (pair := _confirmed(clips, first, second)) is not None]
    more = f"; of {len(candidates)} candidates {MOST_COMPARED} were compared" if len(candidates) > len(compared) else ""
    return list(_findings(clips, pairs, more))


def _candidates(
    clips: Clips, fingerprints: Sequence[Fingerprint | None], pcm_sha256: Sequence[bytes]
) -> list[tuple[int, int]]:
    """Return for each pair of utterances the two clips that share most, those that share most first."""
    _, utterance = np.unique(clips.table["utterance"].astype(str).to_numpy(dtype=object), return_inverse=True)
    known = {(a, b) for rows in same_samples(pcm_sha256) for a in utterance[rows] for b in utterance[rows]}
    empty = Fingerprint(np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint16))
    own = [
        found if found is not None and use else empty for found, use in zip(fingerprints, usable(clips), strict=True)
    ]
    best: dict[tuple[int, int], tuple[int, int, int]] = {}
    for first, second, votes in prints.near_duplicates(own, utterance):
        pair = (int(min(utterance[[first, second]])), int(max(utterance[[first, second]])))
        if pair not in known and votes > best.get(pair, (0, 0, 0))[0]:
            best[pair] = (votes, first, second)
    ordered = sorted(best.values(), key=lambda found: (-found[0], found[1:]))
    return [(first, second) for _, first, second in ordered]


def _confirmed(clips: Clips, first: int, second: int) -> _Pair | None:
    try:
        found = compare(_wave(clips, first), _wave(clips, second))
    except (DatasetError, RejectedError):
        return None
    return None if found is None else _Pair(first, second, found)


def _wave(clips: Clips, row: int) -> Wave:
    return decoded(clips.read(row))[0][:_LONGEST]


def _findings(clips: Clips, pairs: Sequence[_Pair], more: str) -> Iterator[Finding]:
    pools = pool_names(clips)
    learned = [learned_from(name) for name in pools]
    paired = clips.table["origin"].astype(str).isin(BUILT_ORIGINS).to_numpy()
    wrong: dict[tuple[int, int], list[_Pair]] = {}
    meant: list[_Pair] = []
    for pair in pairs:
        here, there = sorted((int(clips.pool[pair.first]), int(clips.pool[pair.second])))
        if paired[pair.first] != paired[pair.second] and learned[here] == learned[there]:
            meant.append(pair)
        else:
            wrong.setdefault((here, there), []).append(pair)
    for (here, there), found in wrong.items():
        yield _finding(clips, between(pools, here, there), found, more)
    if not wrong:
        yield Finding(LINE, "all", Status.PASS, f"no clip is a copy of another utterance's{more}", {"pairs": 0})
    if meant:
        ids = clips.table["id"].astype(str).to_list()
        examples = tuple(pair.words(ids) for pair in meant[:EXAMPLES])
        said = (
            f"{len(meant)} recordings have a copy among the fakes that were made elsewhere, none across learning and "
        )
        yield Finding(LINE, "all", Status.NOTE, f"{said}evaluation: {examples[0]}", {"pairs": len(meant)}, (), examples)


def _finding(clips: Clips, where: str, pairs: Sequence[_Pair], more: str) -> Finding:
    ids = clips.table["id"].astype(str).to_list()
    examples = tuple(pair.words(ids) for pair in pairs[:EXAMPLES])
    values = [
        {
            "clips": [ids[pair.first], ids[pair.second]],
            "lag_ms": pair.copy.lag_ms,
            "level_db": pair.copy.level_db,
            "correlation_wave": pair.copy.wave,
            "correlation_bands": pair.copy.bands,
        }
        for pair in pairs
    ]
    counted = "1 utterance is a copy of another" if len(pairs) == 1 else f"{len(pairs)} pairs of utterances are copies"
    return Finding(LINE, where, Status.FAIL, f"{counted}: {examples[0]}{more}", {"pairs": values}, (), examples)
