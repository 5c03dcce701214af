"""The recipe of a finished dataset, kept beside it: whoever extends it need not say again where everything lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from codecfake_builder.engine.shard import STATE_FOLDER
from codecfake_builder.errors import DatasetError, RecipeError
from codecfake_builder.files import write_text
from codecfake_builder.recipe import Recipe

SAVED_RECIPE = f"{STATE_FOLDER}/recipe.yaml"
"""Holds paths of this machine: the builder's own, and no part of the dataset. ``load_recipe`` reads it."""


def saved_text(recipe: Recipe) -> str:
    """The complete recipe as YAML, every path absolute."""
    document = recipe.model_dump(mode="json")
    places = [(corpus, ("root",), ("table", "ids")) for corpus in document["corpora"].values()]
    places += [(split, ("labels",), ("ids", "only")) for split in document["splits"].values()]
    places += [(document["weights"], tuple(document["weights"]), ())]
    for group, paths, maybe_paths in places:
        for key in (*paths, *maybe_paths):
            if group.get(key) is not None and (key in paths or Path(group[key]).expanduser().is_file()):
                group[key] = str(Path(group[key]).expanduser().absolute())
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
