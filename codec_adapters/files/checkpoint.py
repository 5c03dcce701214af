"""Reading checkpoints safely: safetensors, and pickles that hold nothing but tensors; loading them into networks.

Whatever a file holds, what goes wrong is a :class:`CheckpointError` of one line that names the file.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codec_adapters.errors import CheckpointError


@contextmanager
def network_from(path: Path) -> Iterator[None]:
    """Build the network of checkpoint ``path`` in this context, without memory or random numbers.

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
    """Read what a ``.safetensors`` or a torch file holds, on the CPU, without executing anything.

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
    """Return ``state``, which came from ``path``, if it is a flat state dict of plain tensors (dense and real).

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
    """Return the state dict under ``document[keys[0]][keys[1]]...``, ``document`` being what was read from ``path``.

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
