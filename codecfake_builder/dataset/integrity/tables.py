"""Read Parquet files of unknown origin row by row: a wrong one is one error, and takes no more memory than its size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from codecfake_builder.dataset.integrity.batches import read_batches, read_schema
from codecfake_builder.dataset.integrity.probe import probe
from codecfake_builder.errors import DatasetError


def read_rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, each with the columns of a schema.

    Args:
        path: the file.
        schema: names and types that its columns must have, in this order.

    Raises:
        DatasetError: no Parquet file, other columns, damaged pages, or more rows or bytes than its size can hold; says
            nothing of the file's name.
    """
    probe(path)
    refuse_other_columns(read_schema(path), schema)
    for batch in read_batches(path):
        try:
            yield from batch.to_pylist()
        except (pa.ArrowException, ValueError, MemoryError) as error:
            raise DatasetError(f"cannot be read as Parquet ({' '.join(str(error).split())})") from error


def read_names(path: Path) -> list[str]:
    """Return the names of a Parquet file's columns.

    Raises:
        DatasetError: see :func:`read_rows`.
    """
    probe(path)
    names: list[str] = read_schema(path).names
    return names


def refuse_other_columns(found: pa.Schema, expected: pa.Schema) -> None:
    """Refuse columns of other names or types; what a schema says beside them is not compared.

    Raises:
        DatasetError: there are such columns.
    """
    if found.names != expected.names:
        raise DatasetError(f"columns are {', '.join(found.names)}, expected {', '.join(expected.names)}")
    for own, wanted in zip(found, expected, strict=True):
        if own.type != wanted.type:
            raise DatasetError(f"column {own.name} is of type {own.type}, expected {wanted.type}")
