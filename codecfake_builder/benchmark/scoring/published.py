"""What the publication printed, and the sets its repository released results of (``manifests/ncst_benchmark.yaml``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from codecfake_builder.resources import resource_folder


@dataclass(frozen=True)
class PublishedTable:
    """A table as printed, in percent, and what is known to be wrong with it."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReleasedSet:
    """A set with released per-file results."""

    split: str
    name: str | None
    """Column of the table."""
    label: int | None
    """The one true class; ``None`` where file names say it."""
    files: tuple[str, ...]
    """Where the results lie in a result folder; the first that is there counts."""


@cache
def _document() -> dict[str, Any]:
    return yaml.safe_load((resource_folder("manifests") / "ncst_benchmark.yaml").read_text(encoding="utf-8"))


@cache
def published_tables() -> dict[str, PublishedTable]:
    """The printed tables by key: ``id``, ``robustness``, ``ood_auc``, ``ood_fpr95``, ``ood_eer``, ``alm``."""
    return {
        key: PublishedTable(
            title=table["title"],
            columns=tuple(table["columns"]),
            rows={name: tuple(float(value) for value in values) for name, values in table["rows"].items()},
            notes=tuple(table["notes"]),
        )
        for key, table in _document()["tables"].items()
    }


@cache
def released_sets() -> dict[str, ReleasedSet]:
    """The released sets by the name that the tables print."""
    return {
        name: ReleasedSet(entry["split"], entry.get("name"), entry.get("label"), tuple(entry["files"]))
        for name, entry in _document()["sets"].items()
    }
