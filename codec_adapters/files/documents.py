"""Read YAML documents that a user wrote, and explain what is wrong with one, in one line per problem."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from codec_adapters.errors import DocumentError
from codec_adapters.files import strict_yaml
from codec_adapters.files.escaping import escaped

MOST_NAMES = 12
"""Most names that an error message lists."""
Model = TypeVar("Model", bound=BaseModel)


def parsed_yaml(text: str, where: str) -> Any:
    """Parse a YAML text as data; tags make no objects, and no key may stand twice (see ``strict_yaml``).

    Args:
        where: the file or option, for messages.

    Raises:
        DocumentError: it is no YAML, or none of that kind; the message says where in it.
    """
    try:
        return strict_yaml.load(text)
    except RecursionError as error:
        raise DocumentError(f"{where}: not valid YAML: it is nested too deeply") from error
    except yaml.YAMLError as error:
        said = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise DocumentError(f"{where}: not valid YAML: {said:.300}") from error


def read_text(path: Path) -> str:
    """Read the text of a UTF-8 file.

    Raises:
        DocumentError: it cannot be read.
    """
    try:
        if path.is_file() and path.stat().st_size > 4 * strict_yaml.MOST_CHARACTERS:
            raise DocumentError(f"{path}: is too large for a document of this kind")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "it is no text in UTF-8"
        raise DocumentError(f"{path}: cannot be read ({reason})") from error


def read_mapping(path: Path, expected: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Args:
        expected: the keys it should have, in words, for the message.

    Raises:
        DocumentError: it cannot be read, is no YAML, or holds something else.
    """
    return parsed_mapping(read_text(path), str(path), expected)


def parsed_mapping(text: str, where: str, expected: str) -> dict[str, Any]:
    """Return the mapping that a YAML text holds.

    Args:
        where: the file, for messages.
        expected: the keys it should have, in words, for the message.

    Raises:
        DocumentError: it is no YAML, or holds something else.

    >>> parsed_mapping("seed: 1", "run.yaml", "a seed")
    {'seed': 1}
    """
    document = parsed_yaml(text, where)
    if not isinstance(document, dict):
        raise DocumentError(f"{where}: expected a mapping with {expected}")
    return document


def validated_document(model: type[Model], document: Any, where: str) -> Model:
    """Validate a document, and return it as ``model``.

    Args:
        document: as YAML holds it.
        where: the file, for messages.

    Raises:
        DocumentError: one line per problem, each with ``where`` and the path of the field.

    >>> from codec_adapters.files.pinned import NamedFile
    >>> validated_document(NamedFile, {"file": "model.onnx", "size": 52}, "codec.yaml").size
    52
    >>> validated_document(NamedFile, {"file": "model.onnx", "sizes": 52}, "codec.yaml")
    Traceback (most recent call last):
    codec_adapters.errors.DocumentError: codec.yaml: sizes: unknown key; did you mean size?
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise DocumentError("\n".join(f"{where}: {escaped(line)}" for line in explained(error, model))) from error


def explained(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """Explain each problem that pydantic found in one line: path of the field, what is wrong, the nearest known key."""
    for problem in error.errors():
        steps = list(_steps(model, problem["loc"]))
        place = ".".join(str(part) for part, _ in steps)
        kind, context, said = problem["type"], problem.get("ctx", {}), problem["msg"].removeprefix("Value error, ")
        if kind == "extra_forbidden":
            known = _keys(steps[-2][1] if len(steps) > 1 else [model])
            yield f"{place}: unknown key; {nearest(str(problem['loc'][-1]), known)}"
        elif kind == "union_tag_invalid":
            tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
            key = context["discriminator"].strip("'")
            noun = " ".join(filter(None, (_noun(steps[-1][1]), key)))
            yield f"{place}.{key}: unknown {noun} {context['tag']!r}; {nearest(str(context['tag']), tags)}"
        elif kind == "union_tag_not_found":
            yield f"{place}.{context['discriminator'].strip(chr(39))}: missing; one of {', '.join(_tags(steps[-1][1]))}"
        elif kind == "missing":
            yield f"{place}: missing"
        else:
            given = "" if isinstance(problem["input"], dict | BaseModel) else f", got {problem['input']!r:.60}"
            yield f"{place}: {said}{given}" if place else f"{said}{given}"


def _steps(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterator[tuple[int | str, list[Any]]]:
    """Iterate over the parts of a field's path, each with the types that its value may have.

    The tag of a tagged union is left out: pydantic puts it into the location, but the document does not have it.
    """
    kinds: list[Any] = [model]
    for part in location:
        if part == "[key]":
            continue
        tagged = [kind for kind in kinds if part in _tags([kind])]
        if tagged and len(kinds) > 1:
            kinds = tagged
            continue
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
        yield part, kinds


def _inside(kind: Any, part: int | str) -> list[Any]:
    """Return the types that field, key or index ``part`` of a value of type ``kind`` may have."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return _alternatives(field.annotation) if field else []
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return _alternatives(arguments[1])
    return _alternatives(arguments[0]) if get_origin(kind) in (list, tuple) and arguments else []


def _alternatives(annotation: Any) -> list[Any]:
    """Return the members of a union, or the one type; without ``None``."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for member in get_args(annotation) for kind in _alternatives(member) if kind is not NoneType]
    return [annotation]


def _keys(kinds: Iterable[Any]) -> list[str]:
    """Return the names of the fields of every model among the types."""
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _noun(kinds: Iterable[Any]) -> str | None:
    """Return what the members of a tagged union are called: their attribute ``noun``."""
    return next((noun for kind in kinds if (noun := getattr(kind, "noun", None))), None)


def _tags(kinds: Iterable[Any]) -> list[str]:
    """Return the values of the field ``kind``, which tells the members of a tagged union apart."""
    fields = [kind.model_fields.get("kind") for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [get_args(field.annotation)[0] for field in fields if field and get_origin(field.annotation) is Literal]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about a misspelled ``word``: the nearest ``known`` name, or a list of them.

    >>> nearest("encodek", ["encodec", "snac"])
    'did you mean encodec?'
    >>> nearest("lpcnet", ["encodec", "snac"])
    'known: encodec, snac'
    """
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return f"known: {', '.join(names[:MOST_NAMES]) or 'none'}{more}"
