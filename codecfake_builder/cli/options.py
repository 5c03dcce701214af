"""What commands share: arguments and options, what they mean, and groups of options that are declared once."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from codecfake_builder.errors import BuilderError

if TYPE_CHECKING:
    from codec_adapters.catalogue import Catalogue
    from codec_adapters.spec import OptionValue
    from codecfake_builder.recipe.resolve import Resolved

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="Path of a recipe, or name of a packaged one.")]
DatasetArgument = Annotated[Path, typer.Argument(help="Dataset folder.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe; repeatable.")
]
TrustOption = Annotated[
    bool,
    typer.Option("--trust", help="Allow the code that came with data: of codec files, and of the recipe in a dataset."),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Scale all splits down: the largest gets this many utterances.")
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Replace a finished dataset of another recipe, other corpora or no --limit.")
]
ListedRecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", metavar="RECIPE", help="List those too that a recipe brings along (plugins, isolated)."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, or a torch device: cpu, cuda, cuda:1.")]
InferenceOption = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Inference option; repeatable.")
]


def chosen_recipe(recipe: str, overrides: list[str] | None, trust: bool) -> Resolved:
    """Return the recipe that a command names: the user's own, or that inside a dataset, which came with data.

    Raises:
        RecipeError: it is not valid, or names code that is not allowed.
    """
    from codecfake_builder.dataset import layout
    from codecfake_builder.recipe.load import load_recipe

    kept = Path(recipe).resolve().parent.name == layout.STATE
    return load_recipe(recipe, overrides, came_with_data=kept, trust=trust)


def catalogue_of(recipe: str | None, overrides: list[str] | None, trust: bool) -> Catalogue:
    """Return the catalogue of ``--recipe``, overridden by ``--set``; the default catalogue where no recipe is given.

    Raises:
        RecipeError: the recipe or an override of it is not valid.
        BuilderError: there are overrides, but no recipe.
    """
    from codec_adapters.registration import default_catalogue

    if recipe is not None:
        return chosen_recipe(recipe, overrides, trust).catalogue
    if overrides:
        raise BuilderError("--set overrides fields of a recipe; give one with --recipe")
    return default_catalogue()


def command_line(*words: object) -> str:
    """Return a command of this program as it can be pasted into a shell, whatever characters its paths have."""
    return shlex.join(["python", "-m", "codecfake_builder", *map(str, words)])


def parsed_options(given: list[str] | None) -> dict[str, OptionValue]:
    """Return the inference options that ``--option`` gives as ``KEY=VALUE``; a value is YAML.

    Raises:
        BuilderError: one is no ``KEY=VALUE``, or its value is no YAML.
    """
    from codec_adapters.errors import DocumentError
    from codec_adapters.files.documents import parsed_yaml

    options: dict[str, OptionValue] = {}
    for text in given or []:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise BuilderError(f"--option {text}: expected KEY=VALUE, e.g. codebooks=4")
        try:
            options[key] = parsed_yaml(value, "")
        except DocumentError as error:
            raise BuilderError(f"--option {text}: the value is not valid YAML") from error
    return options


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that takes the fields of its dataclass parameters as options of their own, as typer reads them.

    A field's annotation is its option (``Annotated[..., typer.Option(...)]``), its default the option's.
    """
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for name, kind in get_type_hints(command, include_extras=True).items():
        if name == "return":
            continue
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            groups[name] = kind
            parameters += _fields(kind)
        else:
            given = inspect.signature(command).parameters[name]
            parameters.append(given.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))

    def ungrouped(**values: Any) -> None:
        made = {
            name: kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        command(**values, **made)

    ungrouped.__doc__, ungrouped.__name__ = command.__doc__, command.__name__
    ungrouped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what inspect looks for
    ungrouped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return ungrouped


def _fields(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=field.default if field.default is not dataclasses.MISSING else inspect.Parameter.empty,
        )
        for field in dataclasses.fields(group)
    ]
