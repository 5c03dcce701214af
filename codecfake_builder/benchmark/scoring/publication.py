"""Read ``manifests/ncst_benchmark.yaml``: the publication's printed tables, and the sets with released results.

The publication is NCST, arXiv 2501.06514; its repository is xieyuankun/ST-Codecfake.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from codec_adapters.files.documents import read_mapping
from codecfake_builder.resources import resource_folder


@dataclass(frozen=True)
class PublishedTable:
    """A table as printed, in percent, with notes on its known errors."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReleasedSet:
    """A set of clips that the publication's authors released results per file of."""

    split: str
    """Split whose table the set belongs to."""
    name: str | None
    """Column of the table; ``None``: a column per class."""
    label: int | None
    """Class id of all its files; ``None`` if file names say it."""
    files: tuple[str, ...]
    """Paths of the results in a folder of released results; the first that exists is read."""


@cache
def _document() -> dict[str, Any]:
    return read_mapping(resource_folder("manifests") / "ncst_benchmark.yaml", "sets and tables")


@cache
def published_tables() -> dict[str, PublishedTable]:
    """Return the printed tables by key: ``id``, ``robustness``, ``ood_auc``, ``ood_fpr95``, ``ood_eer``, ``alm``."""
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
    """Return the sets with released results, by their name in the printed tables."""
    return {
        name: ReleasedSet(entry["split"], entry.get("name"), entry.get("label"), tuple(entry["files"]))
        for name, entry in _document()["sets"].items()
    }
