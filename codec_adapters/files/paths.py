"""Paths in a user's documents: one marker on a model's field says that its value is one.

A relative path in a file is relative to that file's folder. What is saved beside a dataset has absolute paths, what is
published has none. :func:`paths_in` finds the fields by their types, so that a new one is never missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel


def _never(text: str) -> bool:
    return False


@dataclass(frozen=True)
class DocumentPath:
    """Marks a field as a path, in ``typing.Annotated``."""

    packaged: bool = False
    """It may be the name of something packaged instead: it is a path only where there is such a file."""
    hidden: bool = False
    """What is published leaves it out; else it shows the last part of the path."""
    is_other: Callable[[str], bool] = _never
    """Whether a value is something else than a path (a module's name, an address)."""


@dataclass(frozen=True)
class PathField:
    """A path in a document."""

    group: Any
    """The mapping or list that holds it."""
    key: Any
    kind: DocumentPath

    def anchor(self, folder: Path) -> None:
        """Make a relative path relative to ``folder``."""
        text = self._text()
        if text is None or text.startswith(("~", "/")) or self.kind.is_other(text):
            return
        if not self.kind.packaged or (folder / text).is_file():
            self.group[self.key] = str(folder / text)

    def make_absolute(self) -> None:
        """Make the path absolute."""
        text = self._text()
        if text is None:
            return
        path = Path(text).expanduser()
        if not self.kind.is_other(text) and (not self.kind.packaged or path.is_file()):
            self.group[self.key] = str(path.absolute())

    def publish(self) -> None:
        """Keep what says nothing of this machine: the last part of the path, or nothing."""
        text = self._text()
        if self.kind.hidden:
            del self.group[self.key]
        elif text is not None and not self.kind.is_other(text):
            self.group[self.key] = Path(text).name

    def _text(self) -> str | None:
        value = self.group[self.key]
        return None if value is None else str(value)


def paths_in(document: Any, model: type[BaseModel]) -> Iterator[PathField]:
    """Find every field of a document that may hold a path: of a raw document, as YAML has it, or of a dumped model.

    Values that are of no kind that the model takes are passed over; validation will name them.
    """
    if isinstance(document, dict):
        for name, field in model.model_fields.items():
            if name in document:
                marker = next((item for item in field.metadata if isinstance(item, DocumentPath)), None)
                yield from _found(document, name, field.annotation, marker)


def _found(group: Any, key: Any, annotation: Any, marker: DocumentPath | None = None) -> Iterator[PathField]:
    value = group[key]
    kinds = list(_members(annotation, marker))
    marked = [marker for _, marker in kinds if marker is not None]
    if (value is None or isinstance(value, str | Path)) and marked:
        yield PathField(group, key, marked[0])
    elif isinstance(value, dict):
        models = [kind for kind, _ in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if (chosen := _chosen(models, value)) is not None:
            yield from paths_in(value, chosen)
        for kind, _ in kinds:
            if get_origin(kind) is dict:
                for name in list(value):
                    yield from _found(value, name, get_args(kind)[1])
    elif isinstance(value, list):
        for kind, _ in kinds:
            if get_origin(kind) in (list, tuple):
                for number in range(len(value)):
                    yield from _found(value, number, get_args(kind)[0])


def _members(annotation: Any, marker: DocumentPath | None = None) -> Iterator[tuple[Any, DocumentPath | None]]:
    """The members of a union, or the one kind, each with its marker if it has one."""
    if hasattr(annotation, "__metadata__"):  # of typing.Annotated
        metadata = annotation.__metadata__
        marker = next((item for item in metadata if isinstance(item, DocumentPath)), marker)
        yield from _members(annotation.__origin__, marker)
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member, marker)
    else:
        yield annotation, marker


def _chosen(models: list[type[BaseModel]], value: dict[str, Any]) -> type[BaseModel] | None:
    """The model that a mapping is of: the only one, or the one of its ``kind``."""
    if len(models) < 2:
        return models[0] if models else None
    for model in models:
        kind: Any = model.model_fields["kind"].annotation if "kind" in model.model_fields else None
        if get_origin(kind) is Literal and value.get("kind") in get_args(kind):
            return model
    return None
