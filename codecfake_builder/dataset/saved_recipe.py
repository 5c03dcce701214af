"""The recipe of a finished dataset, kept beside it: whoever extends it need not say again where everything lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from codecfake_builder.errors import DatasetError, RecipeError
from codecfake_builder.files import write_text
from codecfake_builder.recipe.schema import PACKAGED_OR_FILE, Recipe
from codecfake_builder.shards.shard import STATE_FOLDER

SAVED_RECIPE = f"{STATE_FOLDER}/recipe.yaml"
"""Holds paths of this machine: the builder's own, and no part of the dataset. ``load_recipe`` reads it."""


def saved_text(recipe: Recipe) -> str:
    """The complete recipe as YAML, every path absolute."""
    document = recipe.model_dump(mode="json")
    document["retired_labels"] = dict(recipe.retired_labels)  # JSON has no numbers for keys, YAML has
    places = [(corpus, key) for corpus in document["corpora"].values() for key in ("root", "table", "ids")]
    places += [(split, key) for split in document["splits"].values() for key in ("labels", "ids", "only")]
    places += [(document["weights"], key) for key in document["weights"]]
    for group, key in places:
        value = group.get(key)
        if value is not None and (key not in PACKAGED_OR_FILE or Path(value).expanduser().is_file()):
            group[key] = str(Path(value).expanduser().absolute())
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def save_recipe(recipe: Recipe, dataset: Path) -> None:
    """Keep the recipe in the dataset's state folder; a file that says the same is left alone."""
    path, text = dataset / SAVED_RECIPE, saved_text(recipe)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def saved_document(dataset: Path) -> dict[str, Any]:
    """The kept recipe as data.

    Raises:
        DatasetError: there is none.
        RecipeError: it is damaged.
    """
    path = dataset / SAVED_RECIPE
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); build the dataset again to have it") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise RecipeError(f"{path}: expected a mapping with name, corpora and splits")
    return document
