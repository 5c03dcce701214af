"""Read the tables that list a corpus's files: CSV with a header, or JSONL with an object a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codec_adapters.files.documents import nearest
from codecfake_builder.corpora.listing.values import listed_text
from codecfake_builder.errors import CorpusError
from codecfake_builder.text_files import escaped, read_lines, read_text

SUFFIXES = (".csv", ".tsv", ".jsonl")
"""Suffixes of the files that are tables."""
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class TableRow:
    """A row of a table; the names of its columns are in lower case, without blanks around them."""

    place: str
    """File and line, for messages."""
    values: dict[str, Any]

    def text(self, column: str) -> str | None:
        """Return the value of a column as text, see :func:`~codecfake_builder.corpora.listing.values.listed_text`."""
        return listed_text(self.values.get(column), self.place, column)


def table_rows(
    table: Path, required: Sequence[str], known: Sequence[str], encoding: str | None = None
) -> Iterator[TableRow]:
    """Yield the rows of a table in which anything is, unknown columns included.

    Args:
        table: a file with a suffix of :data:`SUFFIXES`.
        required: the columns that it must have. Of a CSV, the delimiter (comma, semicolon, tab, bar) is the one by
            which its header has them.
        known: the columns that are understood, for messages.
        encoding: of the file, where it is not UTF-8.

    Raises:
        CorpusError: no such file, another suffix, a required column that is not there, a column that is there twice, or
            a line that is no row of the table; names file and line.
    """
    if not table.is_file():
        raise CorpusError(f"{table}: no such file (table of a corpus)")
    if table.suffix.lower() not in SUFFIXES:
        raise CorpusError(f"{table}: a table must be .csv or .tsv (with a header) or .jsonl")
    if table.suffix.lower() == ".jsonl":
        yield from _json_rows(table, encoding)
    else:
        yield from _csv_rows(table, required, known, encoding)


def _csv_rows(table: Path, required: Sequence[str], known: Sequence[str], encoding: str | None) -> Iterator[TableRow]:
    text = read_text(table, encoding)
    header = text.lstrip("\n").partition("\n")[0][: csv.field_size_limit()]
    headers = {delimiter: _names(next(csv.reader([header], delimiter=delimiter), [])) for delimiter in _DELIMITERS}
    fitting = [delimiter for delimiter, names in headers.items() if set(required) <= set(names)]
    if not fitting:
        _refuse_header(table, headers[","], required, known)
    columns = headers[fitting[0]]
    _refuse_twice(f"{table}: the header", [name for name in columns if name in known])
    reader = csv.reader(io.StringIO(text), delimiter=fitting[0], strict=True)
    line, is_header = 1, True
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CorpusError(
                f"{table}: line {line}: not CSV ({error}); is a quotation mark before it not closed?"
            ) from error
        if row is None:
            return
        if any(cell.strip() for cell in row):
            if not is_header:
                yield _csv_row(f"{table}: line {line}", columns, row)
            is_header = False
        line = reader.line_num + 1


def _csv_row(place: str, columns: list[str], row: list[str]) -> TableRow:
    if len(row) < len(columns) or any(cell.strip() for cell in row[len(columns) :]):
        raise CorpusError(
            f"{place}: {len(row)} fields, the header has {len(columns)}; a field that holds the delimiter needs "
            "quotation marks"
        )
    return TableRow(place, dict(zip(columns, row, strict=False)))


def _json_rows(table: Path, encoding: str | None) -> Iterator[TableRow]:
    for number, line in enumerate(read_lines(table, encoding), start=1):
        if not line.strip():
            continue
        place = f"{table}: line {number}"
        try:
            pairs = json.loads(line, object_pairs_hook=tuple)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{place}: not JSON ({error})") from error
        if not isinstance(pairs, tuple):
            raise CorpusError(f"{place}: expected an object with path, found {line.strip()[:40]!a}")
        names = _names([name for name, _ in pairs])
        _refuse_twice(place, names)
        yield TableRow(place, {name: _plain(value) for name, (_, value) in zip(names, pairs, strict=True)})


def _plain(value: Any) -> Any:
    """Return what JSON holds, an object (read as pairs) as a mapping again; what is deeper in it is not looked at."""
    return dict(value) if isinstance(value, tuple) else value


def _names(header: list[str]) -> list[str]:
    return [name.strip(" \t\ufeff").lower() for name in header]


def _refuse_twice(place: str, names: Sequence[str]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise CorpusError(f"{place}: {twice[0]!a:.60} is there twice; which one counts is not known")


def _refuse_header(table: Path, found: list[str], required: Sequence[str], known: Sequence[str]) -> None:
    missing = next((name for name in required if name not in found), required[0])
    columns = [escaped(name[:40]) for name in found if name]
    near = nearest(missing, columns) if columns else "it is empty"
    raise CorpusError(f"{table}: no column {missing} in the header ({near}); known columns: {', '.join(known)}")
