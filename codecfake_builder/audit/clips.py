"""The clips that an audit looks at, of a dataset or of a tree of audio, in one form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
import pandas as pd

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
    "native_sample_rate",
)
"""Columns of :attr:`Clips.table`. ``utterance`` is ``corpus/utterance_id`` and ``speaker`` ``corpus/speaker``, since
both are unique within a corpus only; ``variant`` is the class that the probes tell apart: a codec's setting, ``real``,
or the folder of a tree. ``text`` and ``native_sample_rate`` may be missing."""

PAIRED_ORIGINS = ("recorded", "resynthesized")
"""Clips of these origins come from an utterance sample by sample, so that clips of one utterance can be compared."""


class Clips(ABC):
    """Clips with what is known of them; the audio is read clip by clip.

    Rows are numbered from 0; they are ordered so that neighbours lie in one file.
    """

    table: pd.DataFrame
    """One row a clip, columns :data:`COLUMNS`."""

    @abstractmethod
    def read(self, row: int) -> bytes:
        """Return the audio file of a clip. Neighbouring rows are read fastest; safe in one thread of one process.

        Raises:
            DatasetError: it cannot be read.
        """

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
        """Return for each re-synthesized clip the row of the recorded clip of the same utterance, in any split; -1
        where there is none, and for clips of other origins."""
        table = self.table
        recorded = table.index[table["origin"] == "recorded"]
        rows = dict(zip(table.loc[recorded, "utterance"].astype(str)[::-1], recorded[::-1], strict=True))
        own = table["utterance"].astype(str).map(rows).fillna(-1).to_numpy(dtype=np.int64)
        return np.where(table["origin"].to_numpy() == "resynthesized", own, -1)
