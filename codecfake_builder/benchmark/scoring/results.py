"""The benchmark's results as data, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from codecfake_builder.benchmark.scoring.bootstrap import Interval
from codecfake_builder.errors import BenchmarkError
from codecfake_builder.origin import View

RESULTS = "results.json"
VERSION = 1
"""Version of the JSON's layout; increased when the layout changes."""


@dataclass(frozen=True)
class Table:
    """One table: a row per model or detector; values in percent."""

    key: str
    """Name of the table, and of the publication's table of the same content."""
    title: str
    columns: tuple[str, ...]
    clips: tuple[int, ...]
    """Number of clips in each column; 0 for an average."""
    rows: dict[str, tuple[Interval, ...]]


@dataclass(frozen=True)
class Results:
    """All tables of one model on one dataset."""

    model: str
    classes: tuple[str, ...]
    """Classes that the model knows, in the order of the logits."""
    tables: tuple[Table, ...]
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)
    """Per split, counts ``[classes, classes]`` of clips of known classes; rows: true class, columns: predicted one."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """Per detector: the score that 95 % of the known dev clips reach."""
    notes: tuple[str, ...] = ()
    """What could not be computed, and why."""
    view: str = View.SYNTHESIS.value
    """What counts as fake where real is told from fake; results of before it was stated followed this one."""

    def table(self, key: str) -> Table | None:
        """Return the table with that key, or ``None``."""
        return next((table for table in self.tables if table.key == key), None)

    def to_json(self) -> str:
        """Return the results as a JSON document; the same results give the same text."""
        document = {"version": VERSION, "unit": "percent", **asdict(self)}
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read_results(path: Path) -> Results:
    """Read results that were written with :meth:`Results.to_json`.

    Raises:
        BenchmarkError: there is no such file, or it has another layout.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("version") != VERSION:
            raise ValueError("another version of the benchmark wrote it")
        document.pop("unit")
        tables = [
            Table(
                **{**table, "columns": tuple(table["columns"]), "clips": tuple(table["clips"])}
                | {"rows": {name: tuple(Interval(**cell) for cell in row) for name, row in table["rows"].items()}}
            )
            for table in document.pop("tables")
        ]
        classes, notes = tuple(document.pop("classes")), tuple(document.pop("notes"))
        return Results(tables=tuple(tables), classes=classes, notes=notes, **document)
    except OSError as error:
        raise BenchmarkError(
            f"{path}: {error.strerror or error}; benchmark evaluate or score --out writes it"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"{path}: no results of the benchmark ({error})") from error
