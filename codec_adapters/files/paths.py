"""Paths in a user's documents: a marker on the field of a model, and what is done with the paths of a document.

A relative path is relative to the folder of its document. A recipe that is saved beside a dataset has absolute paths, a
published one none of this machine. :func:`paths_in` finds all fields by their marker, so that no new one is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel


def _never(text: str) -> bool:
    """Return false: every value is a path."""
    return False


@dataclass(frozen=True)
class DocumentPath:
    """Marker of a field that holds a path, in ``typing.Annotated``."""

    packaged: bool = False
    """True where the value may also be the name of something packaged: it is a path only if that file exists."""
    hidden: bool = False
    """True where a published document leaves the field out; else it has the last part of the path."""
    is_other: Callable[[str], bool] = _never
    """Tells whether a value is something else than a path (a module's name, an address)."""


@dataclass(frozen=True)
class PathField:
    """One path in a document, which can be replaced there."""

    group: Any
    """The mapping or list of the document that holds it."""
    key: Any
    """Its key or index there."""
    kind: DocumentPath

    def anchor(self, folder: Path) -> None:
        """Replace a relative path by the path from ``folder``, the document's."""
        text = self._text()
        if text is None or text.startswith(("~", "/")) or self.kind.is_other(text):
            return
        if not self.kind.packaged or (folder / text).is_file():
            self.group[self.key] = str(folder / text)

    def make_absolute(self) -> None:
        """Replace the path by its absolute path."""
        text = self._text()
        if text is None:
            return
        path = Path(text).expanduser()
        if not self.kind.is_other(text) and (not self.kind.packaged or path.is_file()):
            self.group[self.key] = str(path.absolute())

    def publish(self) -> None:
        """Replace the path by its last part, or remove a hidden one; neither tells anything of this machine."""
        text = self._text()
        if self.kind.hidden:
            del self.group[self.key]
        elif text is not None and not self.kind.is_other(text):
            self.group[self.key] = Path(text).name

    def _text(self) -> str | None:
        value = self.group[self.key]
        return None if value is None else str(value)


def paths_in(document: Any, model: type[BaseModel]) -> Iterator[PathField]:
    """Find every path of a document.

    Values of a type that the model does not take are passed over; validation reports them.

    Args:
        document: as YAML holds it, or a dumped model.
        model: has fields that are marked with :class:`DocumentPath`.

    >>> from typing import Annotated
    >>> from pydantic import create_model
    >>> Corpus = create_model("Corpus", root=(Annotated[str, DocumentPath()], ...), language=(str, "en"))
    >>> document = {"root": "speech/vctk", "language": "en"}
    >>> for path in paths_in(document, Corpus):
    ...     path.anchor(Path("/data"))
    >>> document
    {'root': '/data/speech/vctk', 'language': 'en'}
    """
    if isinstance(document, dict):
        for name, field in model.model_fields.items():
            if name in document:
                marker = next((item for item in field.metadata if isinstance(item, DocumentPath)), None)
                yield from _found(document, name, field.annotation, marker)


def _found(group: Any, key: Any, annotation: Any, marker: DocumentPath | None = None) -> Iterator[PathField]:
    """Find the paths of ``group[key]``, a value of type ``annotation``."""
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
    """Iterate over the members of a union, or the one type, each with its marker or ``None``."""
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
    """Return the model of a mapping, the only one or the one with its value of ``kind``; ``None`` if there is none."""
    if len(models) < 2:
        return models[0] if models else None
    for model in models:
        kind: Any = model.model_fields["kind"].annotation if "kind" in model.model_fields else None
        if get_origin(kind) is Literal and value.get("kind") in get_args(kind):
            return model
    return None
