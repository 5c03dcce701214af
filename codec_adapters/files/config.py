"""Config files of checkpoints: found in a checkpoint's folder, read as plain data, and held against a schema.

Whatever a file holds, what goes wrong is a :class:`CheckpointError` of one line that names the file.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from codec_adapters.errors import CheckpointError


class ConfigModel(BaseModel):
    """Base of the schemas that say which keys of a checkpoint's config file a network is built from, and their types.

    Types are strict (no text for a number); keys that are not listed belong to training and are ignored.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


ConfigT = TypeVar("ConfigT", bound=ConfigModel)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"must be odd, is {value}")
    return value


OddInt = Annotated[PositiveInt, AfterValidator(_odd)]
"""Kernel size of a convolution that keeps the length."""
PositiveInts = Annotated[list[PositiveInt], Field(min_length=1)]
"""A setting per stage: widths, strides, dilations."""


def required_file(folder: Path, *names: str) -> Path:
    """Return the first of ``names`` that is a file in ``folder``.

    Raises:
        CheckpointError: none is there; the message says what was expected and what the folder holds.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    found = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
    raise CheckpointError(f"{folder}: expected {' or '.join(names)}, found {found}")


def find_file(folder: Path, relative: str, only: str | None = None) -> Path:
    """Find the file ``relative`` (with ``/``) in a folder that may begin one level off the official layout.

    Looks for ``folder/a/b``, ``folder/b`` and ``folder/*/a/b``, in this order.

    Args:
        only: where none of them is there, the one file in ``folder`` or a folder below whose name fits this pattern.

    Raises:
        CheckpointError: no such file (or several fit ``only``); the message says what was expected and what is there.
    """
    below = PurePosixPath(relative)
    inner = PurePosixPath(*below.parts[1:]) if len(below.parts) > 1 else below
    places = [folder, *(child for child in sorted(folder.iterdir()) if child.is_dir())]
    for candidate in (folder / below, folder / inner, *(place / below for place in places[1:])):
        if candidate.is_file():
            return candidate
    fitting = [path for place in places for path in sorted(place.glob(only)) if path.is_file()] if only else []
    return fitting[0] if len(fitting) == 1 else required_file(folder, relative)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        CheckpointError: it cannot be read, is no JSON, or holds something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{path}: not valid JSON ({error})") from error
    return _mapping(document, path, "a JSON object")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping of plain data from a file; tags that would build objects are refused.

    Raises:
        CheckpointError: it cannot be read, is no YAML of plain data, or holds something else.
    """
    try:
        # not libyaml's loader, which deep nesting crashes
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: not valid YAML of plain data ({reason})") from error
    return _mapping(document, path, "a YAML mapping")


def _mapping(document: object, path: Path, wanted: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: expected {wanted}, found a {type(document).__name__}")
    return document


def validated(schema: type[ConfigT], document: object, path: Path) -> ConfigT:
    """Return ``document``, which was read from ``path``, as ``schema``.

    Raises:
        CheckpointError: naming the first key that is missing or of another type.
    """
    try:
        return schema.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "document"
        raise CheckpointError(f"{path}: {key}: {first['msg'].splitlines()[0]}") from error
