"""The clips of a dataset folder of ours, for an audit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from codecfake_builder.audit.clips import Clips, Handle
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.integrity.batches import read_schema
from codecfake_builder.dataset.integrity.probe import probe
from codecfake_builder.dataset.integrity.tables import refuse_other_columns
from codecfake_builder.dataset.schema import schema
from codecfake_builder.errors import DatasetError
from codecfake_builder.origin import Origin

_READ = (
    "id",
    "variant",
    "codec",
    "origin",
    "is_fake",
    "corpus",
    "utterance_id",
    "speaker",
    "text",
    "gain",
    "native_sample_rate",
    "alm",
)
_GROUPS_KEPT = 4
"""Row groups of shards that a process keeps in memory, about 10 MB each: those of a clip and of its source."""


@dataclass(frozen=True)
class ShardRow:
    """A clip in a shard."""

    shard: str
    group: int
    """Row group of the file."""
    place: int
    """Row within it."""

    def read(self) -> bytes:
        """Return the audio file.

        Raises:
            DatasetError: it cannot be read.
        """
        try:
            data = _audio(self.shard, self.group)[self.place].as_py()
        except (pa.ArrowException, OSError, ValueError, IndexError, TypeError, KeyError) as error:
            line = " ".join(str(error).split())
            raise DatasetError(f"{self.shard}: cannot be read ({line}); verify tells more") from error
        if not isinstance(data, bytes):
            raise DatasetError(f"{self.shard}: row {self.place} of group {self.group} has no audio; verify tells more")
        return data


@lru_cache(maxsize=_GROUPS_KEPT)
def _audio(shard: str, group: int) -> pa.Array:
    with pq.ParquetFile(shard) as file:
        return file.read_row_group(group, columns=["audio.bytes"]).column("audio").combine_chunks().field("bytes")


class DatasetClips(Clips):
    """The clips of a dataset folder, shard by shard.

    Args:
        dataset: the folder.

    Raises:
        DatasetError: it is no dataset of this builder, or its shards cannot be read.
    """

    def __init__(self, dataset: Path) -> None:
        if not dataset.is_dir():
            raise DatasetError(f"{dataset}: no such folder")
        files = layout.shard_files(dataset)
        if not files:
            raise DatasetError(f"{dataset}: no dataset of this builder ({layout.shard_pattern('*')} is missing)")
        self.files = [str(file) for file in files]
        self._places: list[tuple[int, int, int]] = []
        tables = [self._rows(number, file) for number, file in enumerate(files)]
        table = pd.concat(tables, ignore_index=True)
        table["utterance"] = table["corpus"] + "/" + table.pop("utterance_id")
        table["speaker"] = table["corpus"] + "/" + table["speaker"]
        for name in ("split", "variant", "codec", "origin", "corpus", "speaker"):
            table[name] = table[name].astype("category")
        self.table = table

    def _rows(self, number: int, file: Path) -> pd.DataFrame:
        """Read the columns of a shard, and note where its rows are."""
        try:
            probe(file)
            refuse_other_columns(read_schema(file), schema(None))
            with pq.ParquetFile(file) as shard:
                rows = shard.read(columns=list(_READ)).to_pandas()
                sizes = [shard.metadata.row_group(group).num_rows for group in range(shard.metadata.num_row_groups)]
        except (pa.ArrowException, OSError, ValueError, DatasetError) as error:
            line = " ".join(str(error).split())
            raise DatasetError(f"{file}: cannot be read ({line}); verify tells more") from error
        needed = [name for name in _READ if name not in ("text", "native_sample_rate", "alm")]
        if lacking := [name for name in needed if rows[name].isna().any()]:
            raise DatasetError(f"{file}: a row without {', '.join(lacking)}; verify tells more")
        self._places += [(number, group, place) for group, size in enumerate(sizes) for place in range(size)]
        rows["origin"] = rows["origin"].where(rows.pop("alm").isna(), str(Origin.GENERATED))
        rows["split"] = layout.cell_of(file.as_posix())[0]
        rows["native_sample_rate"] = rows["native_sample_rate"].astype(np.float32)
        return rows

    def handle(self, row: int) -> Handle:
        """Return what reads a clip in another process."""
        number, group, place = self._places[row]
        return ShardRow(self.files[number], group, place)
