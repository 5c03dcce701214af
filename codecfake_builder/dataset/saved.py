"""Save a dataset's recipe and the summary of its plan in its state folder, and read them for later changes.

A command that changes the dataset finds there where corpora and weights lie.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from codec_adapters.files.paths import paths_in
from codecfake_builder.dataset import layout
from codecfake_builder.errors import DatasetError
from codecfake_builder.files import write_text
from codecfake_builder.plan.summary import PlanSummary
from codecfake_builder.recipe.load import recipe_document
from codecfake_builder.recipe.schema import Recipe


def saved_text(recipe: Recipe) -> str:
    """Return the complete recipe as YAML, every path absolute."""
    document = recipe.model_dump(mode="json")
    document["retired_labels"] = dict(recipe.retired_labels)  # JSON has no numbers for keys, YAML has
    for field in list(paths_in(document, Recipe)):
        field.make_absolute()
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def save_recipe(recipe: Recipe, dataset: Path) -> None:
    """Write the recipe into the dataset's state folder; a file with the same text is not written again."""
    _write_changed(dataset / layout.RECIPE, saved_text(recipe))


def saved_document(dataset: Path) -> dict[str, Any]:
    """Read the saved recipe as data.

    Raises:
        DatasetError: there is none.
        RecipeError: it is damaged.
    """
    path = dataset / layout.RECIPE
    if not path.is_file():
        raise DatasetError(f"{path}: cannot be read (no such file); build the dataset again to have it")
    return recipe_document(path)


def save_plan_summary(summary: PlanSummary, dataset: Path) -> None:
    """Write the summary of the plan into the dataset's state folder; a file with the same text is not written again."""
    _write_changed(dataset / layout.PLAN, summary.model_dump_json(indent=1) + "\n")


def load_plan_summary(dataset: Path) -> PlanSummary:
    """Read the saved summary of the plan.

    Raises:
        DatasetError: there is none, or it is damaged.
    """
    path = dataset / layout.PLAN
    try:
        return PlanSummary.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); build the dataset again to have it") from error
    except ValidationError as error:
        raise DatasetError(f"{path}: is damaged; build the dataset again to have it anew") from error


def keep_out_of_uploads(dataset: Path) -> None:
    """Have git and the Hub leave out the state, which names folders of this machine; a user's own rules get a line."""
    for name, line in layout.IGNORED.items():
        path = dataset / name
        before = path.read_bytes() if path.is_file() else b""
        if line.encode() not in before.splitlines(keepends=True):
            gap = "" if not before or before.endswith(b"\n") else "\n"
            write_text(path, before.decode("utf-8", "surrogateescape") + gap + line)


def _write_changed(path: Path, text: str) -> None:
    """Write a text file unless it has this text already."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)
