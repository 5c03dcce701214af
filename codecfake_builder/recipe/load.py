"""Reading recipes: from a file or the package, with overrides, all of it checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from codecfake_builder.clip_class import declare_classes
from codecfake_builder.codecs.isolated import resolved
from codecfake_builder.codecs.plugins import load_plugins
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.checks import cross_checks
from codecfake_builder.recipe.messages import explained
from codecfake_builder.recipe.overrides import apply_override
from codecfake_builder.recipe.schema import PACKAGED_OR_FILE, Brought, Recipe
from codecfake_builder.resources import nearest, resource_folder


def packaged_recipes() -> list[str]:
    """Names of the recipes that travel with the package."""
    return sorted(path.stem for path in resource_folder("recipes").glob("*.yaml"))


def load_recipe(recipe: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe, lay ``--set`` overrides over it, and check all of it.

    Args:
        recipe: a path, or the name of a packaged recipe.
        overrides: ``a.b=value`` each; the value is YAML; ``null`` for a whole corpus or split takes it out.

    Raises:
        RecipeError: one line per problem, each with the path of the field.
    """
    path = _recipe_path(recipe)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise RecipeError(f"{path}: expected a mapping with name, corpora and splits")
    _anchor_paths(document, path.parent)
    return parse_recipe(document, recipe, path.parent, overrides)


def parse_recipe(document: dict[str, Any], recipe: str, folder: Path, overrides: list[str] | None = None) -> Recipe:
    """Lay overrides over a recipe that is read already, and check all of it.

    Args:
        document: the recipe as data.
        recipe: its name, for messages.
        folder: what its relative paths of code are relative to.
        overrides: as for :func:`load_recipe`.

    Raises:
        RecipeError: one line per problem, each with the path of the field.
    """
    for override in overrides or []:
        apply_override(document, override)
    for part in ("corpora", "splits"):
        if isinstance(document.get(part), dict):
            document[part] = {name: value for name, value in document[part].items() if value is not None}
    try:
        brought = Brought.model_validate(document)
        plugins = load_plugins(brought.plugins, folder)
        declare_classes(brought.classes)
        parsed = Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeError("\n".join(f"{recipe}: {line}" for line in explained(error))) from error
    isolated = resolved(parsed.isolated, folder)
    parsed = parsed.model_copy(update={"plugins": plugins, "isolated": isolated})
    problems = list(cross_checks(parsed))
    if problems:
        raise RecipeError("\n".join(f"{recipe}: {line}" for line in problems))
    return parsed


def _recipe_path(recipe: str) -> Path:
    for path in (Path(recipe), resource_folder("recipes") / f"{recipe}.yaml"):
        if path.is_file():
            return path
    raise RecipeError(f"{recipe}: neither a file nor a packaged recipe; {nearest(recipe, packaged_recipes())}")


def _anchor_paths(document: dict[str, Any], folder: Path) -> None:
    """Make relative paths in a recipe relative to its own folder: it works from wherever it is named.

    A packaged list or table is called by its name; only where the recipe's folder has such a file is it a path.
    """

    def groups(part: str) -> list[dict[str, Any]]:
        group = document.get(part)
        return [value for value in group.values() if isinstance(value, dict)] if isinstance(group, dict) else []

    places = [(corpus, key) for corpus in groups("corpora") for key in ("root", "table", "ids")]
    places += [(split, key) for split in groups("splits") for key in ("labels", "ids", "only")]
    if isinstance(weights := document.get("weights"), dict):
        places += [(weights, key) for key in weights]
    for group, key in places:
        value = group.get(key)
        if (
            isinstance(value, str)
            and not value.startswith(("~", "/"))
            and (key not in PACKAGED_OR_FILE or (folder / value).is_file())
        ):
            group[key] = str(folder / value)
