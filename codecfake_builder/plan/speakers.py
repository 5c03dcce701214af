"""Assign speakers to splits so that no speaker is in two splits and every split gets its share of each language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from codecfake_builder.errors import PlanError


@dataclass(frozen=True)
class Speaker:
    """A speaker of one corpus, with the number of their utterances that can be drawn."""

    corpus: str
    name: str
    language: str
    utterances: int


def language_targets(wanted: Mapping[str, float], speakers: list[Speaker], equal: bool) -> dict[str, dict[str, float]]:
    """Return how many utterances of each language each split should get: ``{language: {split: utterances}}``.

    Args:
        wanted: utterances per split.
        speakers: all from whom can be drawn.
        equal: the same number of every language, instead of the proportion of the speakers' utterances.
    """
    totals: dict[str, int] = {}
    for speaker in speakers:
        totals[speaker.language] = totals.get(speaker.language, 0) + speaker.utterances
    everything = sum(totals.values())
    return {
        language: {
            split: number * (1 / len(totals) if equal else total / everything) for split, number in wanted.items()
        }
        for language, total in sorted(totals.items())
    }


def assign_speakers(
    targets: Mapping[str, Mapping[str, float]], speakers: list[Speaker], priority: Callable[[Speaker], str]
) -> dict[str, list[Speaker]]:
    """Give every speaker to one split.

    Speakers are taken in the order of ``priority``. Each goes to the split that still lacks the largest part of its
    target in the speaker's language; on ties, to the one with the larger target. When only as many speakers are left as
    splits are empty, they go to the empty splits, so that small corpora fill every split.

    Raises:
        PlanError: there are fewer speakers than splits.
    """
    splits = list(next(iter(targets.values())))
    if len(speakers) < len(splits):
        raise PlanError(
            f"speaker_disjoint: {len(speakers)} speakers cannot fill {len(splits)} splits ({', '.join(splits)}); "
            "add corpora, take splits out, or use assignment.method: paper"
        )
    assigned: dict[str, list[Speaker]] = {split: [] for split in splits}
    remaining = {language: dict(per_split) for language, per_split in targets.items()}
    left = len(speakers)
    for speaker in sorted(speakers, key=lambda speaker: (speaker.language, priority(speaker))):
        empty = [split for split in splits if not assigned[split]]
        choices = empty if left <= len(empty) else splits
        target, lacking = targets[speaker.language], remaining[speaker.language]
        chosen = max(choices, key=lambda split: (lacking[split] / target[split], target[split]))
        assigned[chosen].append(speaker)
        lacking[chosen] -= speaker.utterances
        left -= 1
    return assigned
