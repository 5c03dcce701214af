"""Resolve a recipe, once, into the recipe and the catalogue of everything that it may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import REAL
from codec_adapters.errors import DocumentError
from codec_adapters.external.plugins import anchored, with_plugins
from codec_adapters.external.trust import Permission, isolated_code
from codec_adapters.registration import default_catalogue
from codecfake_builder.errors import RecipeError
from codecfake_builder.recipe.checks import cross_checks, nearest_variant
from codecfake_builder.recipe.schema import IMPORTED, Recipe


@dataclass(frozen=True)
class Resolved:
    """A recipe and its catalogue: the built-in variants, and those of its plugins, codec files and ``isolated``
    section.
    """

    recipe: Recipe
    catalogue: Catalogue

    def variants(self) -> list[str]:
        """List every variant that a split uses, ``real`` first, then in label order."""
        used = {variant for split in self.recipe.splits.values() for variant in split.variants if variant != IMPORTED}
        return sorted(used, key=lambda name: (name != REAL, self.catalogue.label(name), name))


def resolve(
    recipe: Recipe,
    where: str,
    folder: Path,
    base: Catalogue | None = None,
    *,
    came_with_data: bool = False,
    trust: bool = False,
) -> Resolved:
    """Resolve a recipe.

    Args:
        recipe: as :func:`codecfake_builder.recipe.load.read_recipe` gives it.
        where: its name, for messages.
        folder: what its relative paths of code are relative to.
        base: the catalogue that it builds on; by default what is built in, installed or registered.
        came_with_data: whether the recipe is that of a dataset, and not one that the user wrote or chose.
        trust: whether the user allows all code that the recipe and its codec files name.

    Raises:
        RecipeError: one line per problem, each with the path of the field; or code that the user has not allowed, which
            has not run then.
    """
    catalogue = base or default_catalogue()
    plugins = [anchored(plugin, folder) for plugin in recipe.plugins]
    isolated = {name: entry.at(folder) for name, entry in recipe.isolated.items()}
    permission = Permission(where, came_with_data, trust)
    try:
        for name, entry in isolated.items():
            permission.ask(isolated_code(name, entry))
        catalogue = with_plugins(catalogue, plugins, permission)
    except DocumentError as error:
        raise RecipeError(str(error)) from error
    try:
        catalogue = catalogue.with_classes(recipe.classes)
    except ValueError as error:
        raise RecipeError(f"classes.{error}") from error
    recipe = recipe.model_copy(update={"plugins": plugins, "isolated": isolated})
    catalogue = _with_isolated(catalogue, recipe)
    problems = list(cross_checks(recipe, catalogue))
    if problems:
        raise RecipeError("\n".join(f"{where}: {line}" for line in problems))
    return Resolved(recipe, catalogue)


def _with_isolated(catalogue: Catalogue, recipe: Recipe) -> Catalogue:
    """Add the codecs and ALMs of ``isolated`` to the catalogue; codecs first, since ALMs may speak through them."""
    codecs = [*(spec.name for spec in catalogue.codecs()), *(n for n, entry in recipe.isolated.items() if entry.codec)]
    problems = list(_isolated_problems(catalogue, recipe, codecs))
    if problems:
        raise RecipeError("\n".join(problems))
    for name, entry in sorted(recipe.isolated.items(), key=lambda item: item[1].codec is None):
        try:
            catalogue = catalogue.with_entries(entry.provider(name).entry())
        except ValueError as error:  # the name is taken by a plugin's
            raise RecipeError(f"isolated.{name}: {str(error).removeprefix(f'{name}: ')}") from error
    return catalogue


def _isolated_problems(catalogue: Catalogue, recipe: Recipe, codecs: Iterable[str]) -> Iterator[str]:
    files = {entry.name for entry in catalogue.entries if getattr(entry.provider, "backend", None) is not None}
    for name, isolated in recipe.isolated.items():
        yield from (f"isolated.{name}{problem}" for problem in isolated.problems())
        if name in catalogue and catalogue.entry(name).builtin:
            yield f"isolated.{name}: a built-in variant has this name; choose another"
        if name in files:
            yield f"isolated.{name}: a codec file of plugins adds a codec of this name too"
        variant = isolated.alm.codec_variant if isolated.alm else None
        if variant is not None and variant not in codecs:
            hint = nearest_variant(catalogue, variant, list(codecs))
            yield f"isolated.{name}.alm.codec_variant: unknown codec variant {variant!r}; {hint}"
