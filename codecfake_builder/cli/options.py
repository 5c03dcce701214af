"""Options of commands in groups: a parameter that is a dataclass stands for all of its fields, declared once."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


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
