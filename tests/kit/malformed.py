"""Datasets with a fault inside, whose checksums are right again: what a careful forger or a broken tool would make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codecfake_builder.dataset.checksums import hash_files, read_checksums, root_hash, write_checksums

SHARD = "data/train/real-00000.parquet"
Row = dict[str, Any]


def renew_checksums(dataset: Path, old: str) -> None:
    """Bring checksums and the card's root hash up to what the files are.

    Args:
        dataset: the folder.
        old: the root hash before.
    """
    card = dataset / "README.md"
    if card.is_file():
        card.write_bytes(card.read_bytes().replace(old.encode(), root_hash(hash_files(dataset, {})).encode()))
    write_checksums(dataset, hash_files(dataset, {}))


def root_of(dataset: Path) -> str:
    """The root hash that the checksums have."""
    return root_hash(read_checksums(dataset))


def change_rows(path: Path, change: Callable[[list[Row]], list[Row]], schema: pa.Schema | None = None) -> None:
    """Write a Parquet file with changed rows, in its own schema or another."""
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), schema=schema or table.schema), path)


def first_row(**values: Any) -> Callable[[list[Row]], list[Row]]:
    """The change of the first row's columns."""
    return lambda rows: [{**rows[0], **values}, *rows[1:]]


def change_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Write a JSON file with a changed document."""
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))))
