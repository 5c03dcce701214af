"""A plan: which utterances each split holds, and what a reader of it should know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from codecfake_builder.clip_class import ClipClass
from codecfake_builder.corpora.index import SCHEMA
from codecfake_builder.files import sha256_text

Rows = np.ndarray[Any, np.dtype[np.int64]]
"""Row numbers of a plan's table of utterances, int64 ``[rows]``."""
_ONLY_INDEXED = ("audio_sha256", "reason", "detail")
UTTERANCES = pa.schema([("corpus", pa.string()), *(f for f in SCHEMA if f.name not in _ONLY_INDEXED)])
LEFT_OUT = pa.schema([(name, pa.string()) for name in ("corpus", "utterance_id", "path", "reason", "detail")])


class Note(BaseModel):
    """A note for readers of a plan: on the whole plan, on a split, or on variants, so that it can go when these do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    """``{names}`` in it stands for the names."""
    split: str | None = None
    """The split that it is about."""
    names: tuple[str, ...] = ()
    """The variants that it is about."""

    def __str__(self) -> str:
        """Return the note as a reader sees it."""
        return self.text.replace("{names}", ", ".join(self.names))


@dataclass(frozen=True)
class PlannedSplit:
    """A split: the utterances that pass through each of its variants, as sorted rows of the plan's table.

    ``imported`` has the rows of imported clips, by their variant; they pass through no codec.
    """

    name: str
    variants: tuple[str, ...]
    rows: Rows
    imported: Mapping[str, Rows] = field(default_factory=dict)

    def rows_of(self, variant: str) -> Rows:
        """Return the rows of the utterances that the split has in ``variant``."""
        return self.imported.get(variant, self.rows)


@dataclass(frozen=True)
class Plan:
    """What a build makes, decided before anything runs."""

    utterances: pa.Table
    """All usable utterances (schema :data:`UTTERANCES`), sorted by corpus and id."""
    roots: dict[str, Path]
    """The folder of each corpus that the paths of its utterances are relative to."""
    splits: tuple[PlannedSplit, ...]
    left_out: pa.Table
    """Utterances that cannot be used, with reasons (schema :data:`LEFT_OUT`)."""
    notes: tuple[Note, ...]
    """What a reader of the plan should know: splits left out, listed utterances that are absent."""
    imported: Mapping[str, ClipClass] = field(default_factory=dict)
    """The class of every variant of which there are imported clips."""

    def seconds(self, rows: Rows) -> float:
        """Return the length of some utterances together, in seconds."""
        lengths = np.asarray(self.utterances["samples"]) / np.asarray(self.utterances["sample_rate"])
        return float(lengths[rows].sum())

    def membership(self, rows: Rows) -> str:
        """Return the membership hash of some utterances, see :func:`membership_hash`."""
        chosen = self.utterances.select(["corpus", "utterance_id"]).take(pa.array(rows))
        return membership_hash(zip(chosen["corpus"].to_pylist(), chosen["utterance_id"].to_pylist(), strict=True))


def membership_hash(utterances: Iterable[tuple[str, str]]) -> str:
    """Return the sha256 over the sorted ``corpus/utterance_id`` lines: which utterances, in one value."""
    return sha256_text(*sorted(f"{corpus}/{utterance_id}" for corpus, utterance_id in utterances))
