"""The summary of a plan, which a finished dataset keeps: all that the files beside its shards are written from.

With the summary and the records of its shards, a codec can be removed from a dataset where neither the corpora nor the
codecs are at hand any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from codec_adapters.classes import REAL
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.plan.plan import Note, Plan, Rows

if TYPE_CHECKING:
    from codecfake_builder.recipe.resolve import Resolved


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Members(_Frozen):
    """A set of utterances: how many they are, and their membership hash."""

    utterances: int
    membership_sha256: str
    """See :func:`codecfake_builder.plan.plan.membership_hash`."""


class SplitSummary(Members):
    """The summary of a split; its members pass through each of its variants."""

    variants: tuple[str, ...]
    selected_by: str
    """The split whose utterances it has: itself, or the one that it is the same as."""
    imported: dict[str, Members]
    """The imported clips, by their variant."""


class PlanSummary(_Frozen):
    """The summary of a plan: what is needed of it once its shards are made."""

    limit: int | None
    """The ``--limit`` of a trial; ``None`` for a whole dataset."""
    languages: tuple[str, ...]
    """Of all usable utterances."""
    corpora: dict[str, int]
    """Number of usable utterances of each."""
    splits: dict[str, SplitSummary]
    imported: dict[str, ClipClass]
    """The class of every variant of which there are imported clips."""
    notes: tuple[Note, ...]
    plugins: dict[str, tuple[str, ...]] = {}
    """The plugins of the recipe that registered a variant, by variant, where it is not built in."""

    def without(self, variants: set[str]) -> PlanSummary:
        """Return the summary without some variants, and without the splits that have no other."""
        splits = {name: self._split_without(split, variants) for name, split in self.splits.items()}
        kept = {name: split for name, split in splits.items() if split.variants or split.imported}
        notes = []
        for note in self.notes:
            names = tuple(name for name in note.names if name not in variants)
            if (note.split is None or note.split in kept) and (names or not note.names):
                notes.append(note.model_copy(update={"names": names}))
        return self.model_copy(update={"splits": kept, "notes": tuple(notes)})

    @staticmethod
    def _split_without(split: SplitSummary, variants: set[str]) -> SplitSummary:
        return split.model_copy(update={"variants": tuple(v for v in split.variants if v not in variants)})


def summarize(plan: Plan, resolved: Resolved, limit: int | None) -> PlanSummary:
    """Return the summary of a plan.

    Args:
        plan: the plan.
        recipe: that it was made of.
        limit: that it was made with.
    """
    counts = plan.utterances.group_by("corpus").aggregate([("utterance_id", "count")]).sort_by("corpus").to_pylist()

    def members(rows: Rows) -> Members:
        return Members(utterances=len(rows), membership_sha256=plan.membership(rows))

    return PlanSummary(
        limit=limit,
        languages=tuple(sorted(pc.unique(plan.utterances["language"]).to_pylist())),
        corpora={row["corpus"]: row["utterance_id_count"] for row in counts},
        splits={
            split.name: SplitSummary(
                **dict(members(split.rows)),
                variants=split.variants,
                selected_by=resolved.recipe.selected_by(split.name),
                imported={variant: members(rows) for variant, rows in split.imported.items()},
            )
            for split in plan.splits
        },
        imported=dict(plan.imported),
        notes=plan.notes,
        plugins=_plugins(plan, resolved),
    )


def _plugins(plan: Plan, resolved: Resolved) -> dict[str, tuple[str, ...]]:
    """The recipe's plugins that added each variant in use, an ALM's codec among them."""
    catalogue = resolved.catalogue
    used = {variant for split in plan.splits for variant in split.variants} - {REAL}
    used |= {catalogue.speaking_codec(name).name for name in used}
    found = {name: catalogue.entry(name).provider.added_by for name in sorted(used)}
    return {name: (plugin,) for name, plugin in found.items() if plugin is not None}
