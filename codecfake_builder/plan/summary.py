"""What a finished dataset keeps of its plan: all that the files beside its shards are written from.

With these facts and the records of its shards, a codec can be taken out of a dataset where neither the corpora nor the
codecs are at hand any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from codec_adapters.classes import REAL
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.plan.notes import Note

if TYPE_CHECKING:
    from codecfake_builder.plan.planning import Plan
    from codecfake_builder.plan.selection import Rows
    from codecfake_builder.recipe.resolve import Resolved


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Members(_Part):
    """Some utterances: how many, and who, see :meth:`codecfake_builder.plan.planning.Plan.membership`."""

    utterances: int
    membership_sha256: str


class SplitFacts(Members):
    """A planned split; the members are those of its variants but ``imported``."""

    variants: tuple[str, ...]
    selected_by: str
    imported: dict[str, Members]


class PlanFacts(_Part):
    """What is to be known of a plan once its shards are made."""

    limit: int | None
    """The trial's ``--limit``, if it is one."""
    languages: tuple[str, ...]
    """Of all usable utterances."""
    corpora: dict[str, int]
    """Usable utterances of each."""
    splits: dict[str, SplitFacts]
    imported: dict[str, ClipClass]
    """The class of every variant of which clips exist already."""
    notes: tuple[Note, ...]
    plugins: dict[str, tuple[str, ...]] = {}
    """The recipe's plugins that registered a variant, of those that are not built in."""

    def without(self, variants: set[str]) -> PlanFacts:
        """The facts of the same plan without some variants, and without the splits that have no other."""
        splits = {name: self._split_without(split, variants) for name, split in self.splits.items()}
        kept = {name: split for name, split in splits.items() if split.variants or split.imported}
        notes = []
        for note in self.notes:
            names = tuple(name for name in note.names if name not in variants)
            if (note.split is None or note.split in kept) and (names or not note.names):
                notes.append(note.model_copy(update={"names": names}))
        return self.model_copy(update={"splits": kept, "notes": tuple(notes)})

    @staticmethod
    def _split_without(split: SplitFacts, variants: set[str]) -> SplitFacts:
        return split.model_copy(update={"variants": tuple(v for v in split.variants if v not in variants)})


def facts_of(plan: Plan, resolved: Resolved, limit: int | None) -> PlanFacts:
    """The facts of a plan.

    Args:
        limit: that the plan was made with.
    """
    counts = plan.utterances.group_by("corpus").aggregate([("utterance_id", "count")]).sort_by("corpus").to_pylist()

    def members(rows: Rows) -> Members:
        return Members(utterances=len(rows), membership_sha256=plan.membership(rows))

    return PlanFacts(
        limit=limit,
        languages=tuple(sorted(pc.unique(plan.utterances["language"]).to_pylist())),
        corpora={row["corpus"]: row["utterance_id_count"] for row in counts},
        splits={
            split.name: SplitFacts(
                **dict(members(split.rows)),
                variants=split.variants,
                selected_by=resolved.recipe.selected_by(split.name),
                imported={variant: members(rows) for variant, rows in split.imported.items()},
            )
            for split in plan.splits
        },
        imported=dict(plan.imported),
        notes=plan.remarks,
        plugins=_plugins(plan, resolved),
    )


def _plugins(plan: Plan, resolved: Resolved) -> dict[str, tuple[str, ...]]:
    """The recipe's plugins that added each variant in use, an ALM's codec among them."""
    catalogue = resolved.catalogue
    used = {variant for split in plan.splits for variant in split.variants} - {REAL}
    used |= {catalogue.speaking_codec(name).name for name in used}
    found = {name: catalogue.entry(name).provider.added_by for name in sorted(used)}
    return {name: (plugin,) for name, plugin in found.items() if plugin is not None}
