"""``metadata/<split>.parquet`` (every column but the audio) and ``rejected.parquet`` (what was left out, and why)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from codecfake_builder.dataset import layout
from codecfake_builder.dataset.records import Rejection, ShardRecord
from codecfake_builder.dataset.schema import refuse_earlier_columns, schema
from codecfake_builder.files import replacing

REJECTED = pa.schema(
    [(name, pa.string()) for name in ("split", "variant", "corpus", "utterance_id", "path", "reason", "detail")]
)
"""``split`` and ``variant`` are null for an utterance that was left out before planning."""


def write_metadata(dataset: Path, split: str, files: Iterable[str], classes: tuple[str, ...]) -> None:
    """Write ``metadata/<split>.parquet``: every column but the audio of the split's shards, shard by shard.

    Args:
        dataset: folder of the dataset.
        files: the split's shards, named as in :mod:`codecfake_builder.dataset.layout`.
        classes: class names by label.
    """
    without_audio = schema(classes, audio=False)
    with (
        replacing(dataset / layout.metadata(split)) as temporary,
        pq.ParquetWriter(temporary, without_audio) as writer,
    ):
        for file in sorted(files):
            table = pq.read_table(dataset / file, columns=without_audio.names)
            if table.num_rows:
                writer.write_table(table.cast(without_audio), row_group_size=10_000)


def refuse_earlier_version(dataset: Path) -> None:
    """Refuse a dataset that an earlier version of the builder made, by the columns of its metadata.

    Raises:
        DatasetError: it is one; a damaged file is told by whoever reads it.
    """
    for path in layout.metadata_files(dataset)[:1]:
        try:
            names = pq.read_schema(path).names
        except (pa.ArrowException, OSError, ValueError):
            return
        refuse_earlier_columns(names, dataset)


class NetworkRates(NamedTuple):
    """Sampling rate, bit rate and codebooks of the network that made a variant's clips."""

    sample_rate: int
    """Hz."""
    bitrate: float
    """bit/s."""
    codebooks: int


def read_network_rates(dataset: Path, splits: Iterable[str]) -> dict[str, NetworkRates]:
    """Read the rates of every codec variant from the rows of its clips.

    Those are the loaded checkpoint's; the variant's spec states those of the official one.
    """
    columns = ["variant", "native_sample_rate", "bitrate_bps", "codebooks"]
    found: dict[str, NetworkRates] = {}
    for split in splits:
        table = pq.read_table(dataset / layout.metadata(split), columns=columns)
        for row in table.group_by(columns).aggregate([]).to_pylist():
            if row["codebooks"] is not None:
                found[row["variant"]] = NetworkRates(row["native_sample_rate"], row["bitrate_bps"], row["codebooks"])
    return found


def write_rejected(dataset: Path, left_out: pa.Table, records: Iterable[ShardRecord]) -> None:
    """Write ``rejected.parquet``: every utterance and clip that is not in the dataset, with its reason.

    Args:
        dataset: folder of the dataset.
        left_out: utterances left out before planning (:data:`codecfake_builder.plan.planning.LEFT_OUT`).
        records: of all shards, with the clips rejected in them.
    """
    clips = pa.Table.from_pylist([_as_row(rejection) for rejection in _rejections(records)], schema=REJECTED)
    nothing = pa.nulls(left_out.num_rows, pa.string())
    before = left_out.add_column(0, "variant", nothing).add_column(0, "split", nothing)
    with replacing(dataset / layout.REJECTED) as temporary:
        pq.write_table(pa.concat_tables([before.cast(REJECTED), clips]), temporary)


def _rejections(records: Iterable[ShardRecord]) -> Iterator[Rejection]:
    for record in sorted(records, key=lambda record: record.file):
        yield from record.rejected


def _as_row(rejection: Rejection) -> dict[str, str]:
    return {name: value for name, value in vars(rejection).items() if name in REJECTED.names}
