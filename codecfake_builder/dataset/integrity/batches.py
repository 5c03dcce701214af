"""Read a Parquet file in small batches, and refuse one that says it holds more than its size can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from codecfake_builder.errors import DatasetError

_ROWS_PER_BATCH = 16
_LEAST_BYTES_PER_ROW = 4
_LARGEST_RATIO = 20
"""Of a file's columns, unpacked, to its size; texts that repeat are packed well, audio is not packed."""
_SMALL = 32_000_000
"""Bytes that any file may unpack to."""


def read_schema(path: Path) -> pa.Schema:
    """Return the columns of a Parquet file.

    Raises:
        DatasetError: it is none, or says it holds more than its size can; says nothing of the file's name.
    """
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream, pre_buffer=False) as file:
            _refuse_bombs(file.metadata, path.stat().st_size)
            found: pa.Schema = file.schema_arrow
            return found
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise _unreadable(error) from error


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield a Parquet file's rows, a few at a time, checked for damage; texts are coded, so that one that repeats is
    there once.

    Raises:
        DatasetError: see :func:`read_schema`, or its pages are damaged.
    """
    texts = [field.name for field in read_schema(path) if pa.types.is_string(field.type)]
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream, pre_buffer=False, read_dictionary=texts) as file:
            for batch in file.iter_batches(_ROWS_PER_BATCH, use_threads=False):
                batch.validate(full=True)  # text that is no UTF-8 among it
                yield batch
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> DatasetError:
    if isinstance(error, MemoryError) and not str(error):
        return DatasetError("cannot be read as Parquet (it takes far more memory than its size)")
    return DatasetError(f"cannot be read as Parquet ({' '.join(str(error).split())})")


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
