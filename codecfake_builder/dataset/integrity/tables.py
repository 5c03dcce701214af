"""Read Parquet files of unknown origin row by row: a wrong one is one error, and takes no more memory than its size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codecfake_builder.errors import DatasetError

_ROWS_PER_BATCH = 16
_LEAST_BYTES_PER_ROW = 4
_LARGEST_RATIO = 20
"""Of a file's columns, unpacked, to its size; texts that repeat are packed well, audio is not packed."""
_SMALL = 32_000_000
"""Bytes that any file may unpack to."""


def read_rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, each with the columns of a schema.

    Args:
        path: the file.
        schema: names and types that its columns must have, in this order.

    Raises:
        DatasetError: no Parquet file, other columns, damaged pages, or more rows or bytes than its size can hold; says
            nothing of the file's name.
    """
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream, pre_buffer=False) as file:
            _refuse_bombs(file.metadata, path.stat().st_size)
            refuse_other_columns(file.schema_arrow, schema)
            texts = [field.name for field in schema if pa.types.is_string(field.type)]
        with path.open("rb") as stream, pq.ParquetFile(stream, pre_buffer=False, read_dictionary=texts) as file:
            for batch in file.iter_batches(_ROWS_PER_BATCH, use_threads=False):
                batch.validate(full=True)  # text that is no UTF-8 among it
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise DatasetError(f"cannot be read as Parquet ({' '.join(str(error).split())})") from error


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


def _refuse_bombs(metadata: pq.FileMetaData, size: int) -> None:
    """Refuse a file that says it holds far more than its size can."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    if rows > size / _LEAST_BYTES_PER_ROW or any(group.num_rows < 0 for group in groups):
        raise DatasetError(f"says it holds {rows} rows, in {size} bytes")
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    unpacked = sum(max(0, column.total_uncompressed_size) for column in columns)
    if unpacked > max(_SMALL, _LARGEST_RATIO * size):
        raise DatasetError(f"says it unpacks to {unpacked} bytes, out of {size}")
