"""Recipes and readers that the tests of build, verify and engine share."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from codecfake_builder.changes.build import BuildResult, build
from codecfake_builder.recipe.load import load_recipe, parse_recipe
from codecfake_builder.recipe.resolve import Resolved

FAULTY_PLUGIN = str(Path(__file__).parent / "faulty_codecs.py")


def small_recipe(
    vctk: Path, aishell3: Path, variants: list[str], weights: dict[str, Path] | None = None, **changes: Any
) -> Resolved:
    """The lyra recipe's corpora and splits, through other variants, in one process."""
    recipe = load_recipe("lyra", [f"corpora.vctk.root={vctk}", f"corpora.aishell3.root={aishell3}"])
    document = recipe.recipe.model_dump(mode="json")
    for split in document["splits"].values():
        split["variants"] = variants
    document["weights"] = {name: str(folder) for name, folder in (weights or {}).items()}
    document["execution"] = {"workers": 1, "device": "cpu", "clips_per_shard": 5}
    document["card"]["stoi_clips"] = 0  # measured where a test asks for it: each clip costs as much as its codec
    for key, value in changes.items():
        document[key] = {**document.get(key, {}), **value} if isinstance(value, dict) else value
    return parse_recipe(document, "test", Path())


def changed(recipe: Resolved, **fields: Any) -> Resolved:
    """The recipe with other fields."""
    return dataclasses.replace(recipe, recipe=recipe.recipe.model_copy(update=fields))


def built(recipe: Resolved, out: Path) -> BuildResult:
    """The recipe's dataset in ``out``."""
    return build(recipe, out)


def rows(dataset: Path, pattern: str = "*/*.parquet") -> list[dict[str, Any]]:
    """All rows of the matching shards."""
    found: list[dict[str, Any]] = []
    for path in sorted((dataset / "data").glob(pattern)):
        found += pq.read_table(path).to_pylist()
    return found


def files(dataset: Path) -> dict[str, bytes]:
    """Every file of the dataset but the builder's own state."""
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and ".build" not in path.parts
    }
