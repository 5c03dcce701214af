"""Read recipes from a file or from the package, with overrides. Recipes are data: reading one runs no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codec_adapters.errors import DocumentError
from codec_adapters.files.documents import nearest, parsed_yaml, read_mapping, validated_document
from codec_adapters.files.paths import paths_in
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.resolve import Resolved, resolve
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.resources import resource_folder

EXPECTED = "name, corpora and splits"
"""Of every recipe."""


_PATH_STARTS = ("/", "./", "../", "~/")
_SHOWN = 120
"""Characters of an override that a message shows."""


def packaged_recipes() -> list[str]:
    """List the recipes that travel with the package."""
    return sorted(path.stem for path in resource_folder("recipes").glob("*.yaml"))


def load_recipe(
    recipe: str, overrides: list[str] | None = None, *, came_with_data: bool = False, trust: bool = False
) -> Resolved:
    """Read a recipe, lay ``--set`` overrides over it, resolve it, and check all of it.

    Args:
        recipe: a path, or the name of a packaged recipe.
        overrides: ``a.b=value`` each; the value is YAML; ``null`` for a whole corpus or split takes it out.
        came_with_data: whether it is the recipe of a dataset, whose code runs only where the user allowed it.
        trust: whether the user allows all code that it names, in codec files too.

    Raises:
        RecipeError: one line per problem, each with the path of the field, or per piece of code that is not allowed.

    >>> load_recipe("lyra").recipe.name
    'lyra'
    """
    path = _recipe_path(recipe)
    document = recipe_document(path)
    for field in list(paths_in(document, Recipe)):
        field.anchor(path.parent)
    return parse_recipe(document, recipe, path.parent, overrides, came_with_data=came_with_data, trust=trust)


def parse_recipe(
    document: dict[str, Any],
    recipe: str,
    folder: Path,
    overrides: list[str] | None = None,
    *,
    came_with_data: bool = False,
    trust: bool = False,
) -> Resolved:
    """Lay overrides over a recipe that is read already, resolve it, and check all of it.

    Args:
        document: the recipe as data.
        recipe: its name, for messages.
        folder: what its relative paths of code are relative to.
        overrides: as for :func:`load_recipe`.
        came_with_data: as for :func:`load_recipe`.
        trust: as for :func:`load_recipe`.

    Raises:
        RecipeError: one line per problem, each with the path of the field, or per piece of code that is not allowed.
    """
    return resolve(read_recipe(document, recipe, overrides), recipe, folder, came_with_data=came_with_data, trust=trust)


def read_recipe(document: dict[str, Any], recipe: str, overrides: list[str] | None = None) -> Recipe:
    """Lay overrides over a recipe that is read already, and check its fields; what it names need not be there.

    Raises:
        RecipeError: one line per problem, each with the path of the field.
    """
    for override in overrides or []:
        apply_override(document, override)
    for part in ("corpora", "splits"):
        if isinstance(document.get(part), dict):
            document[part] = {name: value for name, value in document[part].items() if value is not None}
    try:
        return validated_document(Recipe, document, recipe)
    except DocumentError as error:
        raise RecipeError(str(error)) from error


def recipe_document(path: Path) -> dict[str, Any]:
    """Return a recipe file as data.

    Raises:
        RecipeError: it cannot be read, is no YAML, or holds no mapping.
    """
    try:
        return read_mapping(path, EXPECTED)
    except DocumentError as error:
        raise RecipeError(str(error)) from error


def apply_override(document: dict[str, Any], override: str) -> None:
    """Set the field ``a.b`` of a YAML document to the value of an override ``a.b=value``.

    The value is YAML, but a path as it stands: one with ``: `` or `` #`` in it would be something else in YAML.

    Raises:
        RecipeError: no such form, or ``a`` is a value.
    """
    key, equals, text = override.partition("=")
    shown = override if len(override) <= _SHOWN else f"{override[:_SHOWN]}..."
    if not equals or not all(key.split(".")):
        raise RecipeError(f"--set {shown}: expected KEY=VALUE with dots in KEY, e.g. corpora.vctk.root=/data/VCTK")
    value: Any = text
    if not text.startswith(_PATH_STARTS):
        try:
            value = parsed_yaml(text, "")
        except DocumentError as error:
            raise RecipeError(f"--set {shown}: the value is not valid YAML") from error
    *parents, last = key.split(".")
    target = document
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise RecipeError(f"--set {shown}: {parent} is a value, not a group of settings")
    target[last] = value


def _recipe_path(recipe: str) -> Path:
    for path in (Path(recipe), resource_folder("recipes") / f"{recipe}.yaml"):
        if path.is_file():
            return path
    raise RecipeError(f"{recipe}: neither a file nor a packaged recipe; {nearest(recipe, packaged_recipes())}")
