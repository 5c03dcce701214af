"""Reading checkpoint files safely: JSON, YAML, safetensors, and pickles that hold nothing but tensors.

Whatever a file holds, what goes wrong is a :class:`CheckpointError` of one line that names the file.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import torch
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from torch import Tensor, nn

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
    """The first of ``names`` that is a file in ``folder``.

    Raises:
        CheckpointError: none is there; the message says what was expected and what the folder holds.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    found = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
    raise CheckpointError(f"{folder}: expected {' or '.join(names)}, found {found}")


def find_file(folder: Path, relative: str, only: str | None = None) -> Path:
    """The file ``relative`` (with ``/``) in a folder that may begin one level above or below the official layout.

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
    """A JSON object from a file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{path}: not valid JSON ({error})") from error
    return _mapping(document, path, "a JSON object")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping of plain data from a file; tags that would build objects are refused."""
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
    """``document``, read from ``path``, as ``schema``.

    Raises:
        CheckpointError: naming the first key that is missing or of another type.
    """
    try:
        return schema.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "document"
        raise CheckpointError(f"{path}: {key}: {first['msg'].splitlines()[0]}") from error


@contextmanager
def network_from(path: Path) -> Iterator[None]:
    """Context in which the network of checkpoint ``path`` is built from its config, without memory or random numbers.

    The parameters live on torch's meta device until :func:`load_strict` puts the checkpoint's own in their place.

    Raises:
        CheckpointError: torch cannot build what the config describes.
    """
    try:
        with torch.device("meta"):
            yield
    except (ValueError, RuntimeError, TypeError, ArithmeticError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: its config describes no network that can be built ({reason})") from error


def read_tensors(path: Path) -> dict[str, Any]:
    """What a ``.safetensors`` or a torch file holds, on the CPU, without executing anything.

    Raises:
        CheckpointError: the file is truncated, no checkpoint, or needs arbitrary unpickling.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        # mapped, not read: much of a training checkpoint is nothing that anybody touches here
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: refused, since it holds more than tensors and plain data (or is damaged); "
            "loading it would execute code from the file"
        ) from error
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read, truncated or not a checkpoint ({reason})") from error
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found a {type(loaded).__name__}")
    return dict(loaded)


def tensor_state(state: object, path: Path) -> dict[str, Tensor]:
    """``state``, which came from ``path``, if it is a flat state dict of plain tensors (dense and real).

    Raises:
        CheckpointError: it is no mapping of names to tensors; the message names the first entry that is something else.
    """
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found a {type(state).__name__}")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {key} is a {type(value).__name__}, expected a state dict of named tensors")
        if value.layout != torch.strided or value.is_complex() or value.is_quantized:
            raise CheckpointError(f"{path}: {key} is {value.layout} of {value.dtype}, expected a plain tensor")
    return dict(state)


def tensors_at(
    document: Mapping[str, Any], path: Path, keys: Sequence[str], leftovers: Collection[str] = ()
) -> dict[str, Tensor]:
    """The state dict under ``document[keys[0]][keys[1]]...``, ``document`` being what :func:`read_tensors` read.

    Args:
        path: where the document came from, for messages.
        leftovers: other keys that may stand beside ``keys``: other networks, or what training leaves behind.

    Raises:
        CheckpointError: there is none, it holds something else than tensors, or an unknown key stands beside it.
    """
    inner = document
    for key in keys:
        unknown = [str(name) for name in inner if name != key and name not in leftovers]
        if unknown:
            raise CheckpointError(f"{path}: does not fit, has unknown {', '.join(sorted(unknown)[:3])}")
        found = inner.get(key)
        if not isinstance(found, Mapping):
            raise CheckpointError(f"{path}: does not fit, lacks a state dict {'.'.join(keys)}")
        inner = found
    wrong = [str(name) for name, value in inner.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if wrong:
        raise CheckpointError(f"{path}: does not fit, {', '.join(wrong[:3])} is no tensor")
    return dict(inner)


def load_strict(
    module: nn.Module, state: Mapping[str, Tensor], path: Path, ignored_prefixes: Iterable[str] = ()
) -> None:
    """Load ``state`` into ``module``: every parameter must be there with its shape, and nothing unknown besides.

    A module built on the meta device (see :func:`network_from`) gets copies of the tensors, in its own dtypes.

    Args:
        path: where the state came from, for messages.
        ignored_prefixes: key prefixes that are known not to be needed for inference.

    Raises:
        CheckpointError: naming the first missing, unknown or wrongly shaped entries.
    """
    prefixes = tuple(ignored_prefixes)
    own = module.state_dict()
    given = {key: value for key, value in state.items() if key in own or not key.startswith(prefixes or ("\0",))}
    missing = [key for key in own if key not in given]
    unknown = [key for key in given if key not in own]
    shapes = [
        f"{key} {list(given[key].shape)} instead of {list(own[key].shape)}"
        for key in own
        if key in given and given[key].shape != own[key].shape
    ]
    for problem, keys in (("lacks", missing), ("has unknown", unknown), ("has wrongly shaped", shapes)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise CheckpointError(f"{path}: does not fit, {problem} {', '.join(keys[:3])}{more}")
    on_meta = any(value.is_meta for value in own.values())
    module.load_state_dict(
        {key: value.to(own[key].dtype, copy=on_meta) for key, value in given.items()}, assign=on_meta
    )
