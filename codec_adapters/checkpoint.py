"""Reading checkpoint files safely: JSON, safetensors, and pickles that hold nothing but tensors."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codec_adapters.errors import CheckpointError


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


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: expected a JSON object, found a {type(document).__name__}")
    return document


def read_tensors(path: Path) -> dict[str, Any]:
    """What a ``.safetensors`` or a torch file holds, on the CPU, without executing anything.

    Raises:
        CheckpointError: the file is truncated, no checkpoint, or needs arbitrary unpickling.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
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


def load_strict(
    module: nn.Module, state: Mapping[str, Tensor], path: Path, ignored_prefixes: Iterable[str] = ()
) -> None:
    """Load ``state`` into ``module``: every parameter must be there with its shape, and nothing unknown besides.

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
    module.load_state_dict(given)
