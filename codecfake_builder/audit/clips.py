"""The clips that an audit looks at, of a dataset or of a tree of audio, in one form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd

from codecfake_builder.origin import Origin
from codecfake_builder.rejections import RejectionReason

COLUMNS = (
    "id",
    "split",
    "variant",
    "codec",
    "origin",
    "is_fake",
    "corpus",
    "utterance",
    "speaker",
    "text",
    "gain",
    "native_sample_rate",
)
"""Columns of :attr:`Clips.table`. ``utterance`` is ``corpus/utterance_id`` and ``speaker`` ``corpus/speaker``, since
both are unique within a corpus only; ``variant`` is the class that the probes tell apart: a codec's setting, ``real``,
or the folder of a tree. ``text``, ``gain`` and ``native_sample_rate`` may be missing."""

MADE_ORIGINS = tuple(map(str, (Origin.RESYNTHESIZED, Origin.VOCODED, Origin.IMPORTED)))
"""Clips of these origins were made from an utterance. Generated speech, and imported clips of a language model, which
count as such, are speech of their own."""
COMPARED_ORIGINS = (str(Origin.RECORDED), *MADE_ORIGINS)
"""Clips of these origins follow an utterance, so that clips of one utterance can be compared."""
BUILT_ORIGINS = (str(Origin.RECORDED), str(Origin.RESYNTHESIZED))
"""Clips of these origins follow their utterance sample by sample, as the builder makes them."""
UNREADABLE = str(RejectionReason.UNREADABLE)
"""In the column ``origin``: a clip that cannot be decoded."""


class Handle(Protocol):
    """Where a clip's audio file is, for another process to read."""

    def read(self) -> bytes:
        """Return the audio file.

        Raises:
            DatasetError: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class Loaded:
    """An audio file that is in memory."""

    data: bytes

    def read(self) -> bytes:
        """Return the audio file."""
        return self.data


class Clips(ABC):
    """Clips with what is known of them; the audio is read clip by clip.

    Rows are numbered from 0; they are ordered so that neighbours lie in one file.
    """

    table: pd.DataFrame
    """One row a clip, columns :data:`COLUMNS`."""

    @abstractmethod
    def handle(self, row: int) -> Handle:
        """Return what reads a clip, here or in another process. Neighbouring rows are read fastest."""

    def read(self, row: int) -> bytes:
        """Return the audio file of a clip.

        Raises:
            DatasetError: it cannot be read.
        """
        return self.handle(row).read()

    def leave_out(self, rows: list[int]) -> None:
        """Take clips that cannot be read out of all comparisons; their rows stay, so that numbers do."""
        origin = self.table["origin"].astype(str)
        origin.iloc[rows] = UNREADABLE
        self.table["origin"] = origin
        self.__dict__.pop("source", None)

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def pool(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the number of each clip's pool: splits that share utterances are one pool, since their clips can be
        told apart only by what made them (``eval_id`` and ``eval_ood`` of the publication)."""
        splits = self.table["split"].astype(str)
        parent = {split: split for split in splits.unique()}

        def root(split: str) -> str:
            while parent[split] != split:
                split = parent[split]
            return split

        pairs = pd.DataFrame({"utterance": self.table["utterance"].astype(str), "split": splits}).drop_duplicates()
        for _, own in pairs.groupby("utterance", sort=False)["split"]:
            first = root(own.iloc[0])
            for other in own.iloc[1:]:
                parent[root(other)] = first
        roots = {split: number for number, split in enumerate(dict.fromkeys(root(split) for split in parent))}
        return splits.map({split: roots[root(split)] for split in parent}).to_numpy(dtype=np.int64)

    @cached_property
    def source(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return for each clip that was made from an utterance the row of the recorded clip of the same utterance, in
        any split; -1 where there is none, and for recorded and generated clips."""
        table = self.table
        recorded = table.index[table["origin"] == Origin.RECORDED]
        rows = dict(zip(table.loc[recorded, "utterance"].astype(str)[::-1], recorded[::-1], strict=True))
        own = table["utterance"].astype(str).map(rows).fillna(-1).to_numpy(dtype=np.int64)
        return np.where(table["origin"].isin(MADE_ORIGINS).to_numpy(), own, -1)
