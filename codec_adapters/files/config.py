"""Config files of checkpoints: found in a checkpoint's folder, read as plain data, and held against a schema.

Whatever a file holds, what goes wrong is a :class:`CheckpointError` of one line that names the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from codec_adapters.errors import CheckpointError
from codec_adapters.files import strict_yaml


class ConfigModel(BaseModel):
    """Base of the schemas that say which keys of a checkpoint's config file a network is built from, and their types.

    Types are strict (no text for a number) and numbers finite; keys that are not listed belong to training and are
    ignored. Whole numbers are of the types below, which end at :data:`LARGEST`.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


ConfigT = TypeVar("ConfigT", bound=ConfigModel)


LARGEST = 2**24
"""Largest whole number in the configuration of a network: no codebook, layer, kernel or sample rate comes near it."""
_LONGEST = 4096
"""Most items of a list in such a configuration."""
_DEEPEST = 20
"""Most levels of one."""
_LARGEST_FILE = 2**24
"""Bytes of a config file."""

PositiveInt = Annotated[int, Field(gt=0, le=LARGEST)]
"""A size, a number of layers, a sample rate."""
NonNegativeInt = Annotated[int, Field(ge=0, le=LARGEST)]


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"must be odd, is {value}")
    return value


OddInt = Annotated[PositiveInt, AfterValidator(_odd)]
"""Kernel size of a convolution that keeps the length."""
PositiveInts = Annotated[list[PositiveInt], Field(min_length=1, max_length=64)]
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
        document = json.loads(_text(path))
    except (ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{path}: not valid JSON ({error})") from error
    return _mapping(document, path, "a JSON object")


def read_network_config(path: Path) -> dict[str, Any]:
    """Read the JSON configuration of a network that a library builds, with no number that no network has.

    Raises:
        CheckpointError: as of :func:`read_json`; or a number is not finite or beyond :data:`LARGEST`, or a list is too
            long: building the network would take all memory, or never end.
    """
    document = read_json(path)
    for key, value, depth in _leaves(document, "", 0):
        if depth > _DEEPEST:
            raise CheckpointError(f"{path}: {key}: more than {_DEEPEST} levels")
        if isinstance(value, float) and not math.isfinite(value):
            raise CheckpointError(f"{path}: {key}: is {value}, expected a finite number")
        if isinstance(value, int | float) and abs(value) > LARGEST and not _about_text(key):
            raise CheckpointError(f"{path}: {key}: is {value}, more than {LARGEST}; no network is so large")
        if isinstance(value, list) and len(value) > _LONGEST and not _about_text(key):
            raise CheckpointError(f"{path}: {key}: has {len(value)} items, more than {_LONGEST}")
    return document


def _leaves(value: object, key: str, depth: int) -> Iterator[tuple[str, object, int]]:
    """Iterate over everything in a JSON document: its key, with those above it, itself, and how deep it lies."""
    yield key, value, depth
    if depth > _DEEPEST:
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in items:
        yield from _leaves(part, f"{key}.{name}" if key else str(name), depth + 1)


def _about_text(key: str) -> bool:
    """Tell whether a key sets what is generated, not what is built: limits that are never reached, ids of tokens."""
    return any(word in key for word in ("generation", "suppress", "max_length", "token_ids", "bad_words"))


def _text(path: Path) -> str:
    """Read a config file; :class:`CheckpointError` where it is larger than any."""
    if (size := path.stat().st_size) > _LARGEST_FILE:
        raise CheckpointError(f"{path}: has {size} bytes, more than any config file")
    return path.read_text(encoding="utf-8")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping of plain data from a file; tags that would build objects are refused.

    Raises:
        CheckpointError: it cannot be read, is no YAML of plain data, or holds something else.
    """
    try:
        document = strict_yaml.load(_text(path), keys_once=False)
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
