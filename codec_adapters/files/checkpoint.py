"""Reading checkpoints safely: safetensors, and pickles that hold nothing but tensors; loading them into networks.

Whatever a file holds, what goes wrong is a :class:`CheckpointError` of one line that names the file.
"""

from __future__ import annotations

import math
import pickle
import threading
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from codec_adapters.errors import CheckpointError, first_line
from codec_adapters.files.config import read_json, required_file

_MOST_PARTS = 15_000
"""Most modules, parameters and buffers of a network; the largest that is run here has some thousands."""


@contextmanager
def network_from(path: Path, stored: int | None = None) -> Iterator[None]:
    """Build the network of checkpoint ``path`` in this context, without memory or random numbers.

    The parameters live on torch's meta device until :func:`load_strict` puts the checkpoint's own in their place.

    Args:
        stored: as of :func:`bounded_network`.

    Raises:
        CheckpointError: torch cannot build what the config describes, or it is too large.
    """
    try:
        with bounded_network(path, stored), torch.device("meta"):
            yield
    except CheckpointError:
        raise
    except (ValueError, RuntimeError, TypeError, ArithmeticError, LookupError, AssertionError, MemoryError) as error:
        reason = first_line(error)
        raise CheckpointError(f"{path}: its config describes no network that can be built ({reason})") from error


@contextmanager
def bounded_network(path: Path, stored: int | None = None, spare: int = 0) -> Iterator[None]:
    """Stop a network that is built in this context, by this thread, as soon as it is larger than its weights.

    A config may ask for 10^9 layers or 10^12 entries; on the meta device only the first cost anything, but then memory
    is taken for what was built.

    Args:
        path: the config, for messages.
        stored: elements of all tensors in the file of weights; ``None`` where every tensor is held against its own
            before memory is taken (:func:`load_strict`).
        spare: elements that the file may lack.

    Raises:
        CheckpointError: more parts than any network has, or more elements than the weights.
    """
    thread, parts, elements = threading.get_ident(), 0, 0
    # normed weights are there twice while they are built; tables that are no weights are small
    most = None if stored is None else 3 * stored + 2**26 + spare

    def count(module: nn.Module, name: str, part: Any) -> None:
        nonlocal parts, elements
        if threading.get_ident() != thread:
            return
        parts += 1
        if parts > _MOST_PARTS:
            raise CheckpointError(f"{path}: its config describes a network of more than {_MOST_PARTS} parts")
        if isinstance(part, Tensor) and part.is_meta:
            elements += part.numel()
            if most is not None and elements > most:
                raise CheckpointError(
                    f"{path}: its config describes a network of more than {most} elements, its weights have {stored}"
                )

    hooks = [
        register(count)
        for register in (
            register_module_parameter_registration_hook,
            register_module_buffer_registration_hook,
            register_module_module_registration_hook,
        )
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def stored_elements(path: Path) -> int:
    """Return the number of elements of all tensors in a file of weights, without reading these.

    Args:
        path: ``.safetensors``, the index of several (``.json``), or a torch file that holds a flat state dict.

    Raises:
        CheckpointError: it cannot be read, a part that the index names is missing, or a tensor claims more than the
            file holds.
    """
    if path.suffix == ".json":
        names = read_json(path).get("weight_map")
        parts = sorted({str(name) for name in names.values()}) if isinstance(names, dict) else []
        return sum(stored_elements(required_file(path.parent, PurePath(part).name)) for part in parts)
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with _readable(path), safe_open(path, framework="pt") as file:
            return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - no dict
    with _readable(path):
        loaded = torch.load(path, map_location="meta", weights_only=True, mmap=zipfile.is_zipfile(path))
    return sum(value.numel() for value in _state_dict(loaded, path).values() if isinstance(value, Tensor))


def read_tensors(path: Path) -> dict[str, Any]:
    """Read what a ``.safetensors`` or a torch file holds, on the CPU, without executing anything.

    Raises:
        CheckpointError: the file is truncated, no checkpoint, or needs arbitrary unpickling.
    """
    with _readable(path):
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        try:
            # mapped, not read: much of a training checkpoint is nothing that anybody touches here
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except pickle.UnpicklingError as error:
            raise CheckpointError(
                f"{path}: refused, since it holds more than tensors and plain data (or is damaged); "
                "loading it would execute code from the file"
            ) from error
    return _state_dict(loaded, path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what reading ``path`` raises in this context into a :class:`CheckpointError`."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        said = first_line(error)
        raise CheckpointError(f"{path}: cannot be read, truncated or not a checkpoint ({said})") from error


def _state_dict(loaded: object, path: Path) -> dict[str, Any]:
    """Return what a torch file holds, if it is a mapping whose tensors claim no more than the file has bytes for.

    Raises:
        CheckpointError: it is not.
    """
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found a {type(loaded).__name__}")
    _refuse_more_than_stored(loaded, path)
    return dict(loaded)


def _refuse_more_than_stored(document: Mapping[Any, Any], path: Path) -> None:
    """Raise :class:`CheckpointError` for tensors that claim more elements than their file has bytes for.

    A torch file may say that one number, repeated 10^12 times, is a tensor; a copy of it would take terabytes.
    """
    size = path.stat().st_size
    waiting: list[tuple[str, Any]] = [(str(key), value) for key, value in document.items()]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{key}.{name}", part) for name, part in value.items()]
        elif isinstance(value, Tensor) and value.numel() * value.element_size() > size:
            raise CheckpointError(f"{path}: {key} claims {list(value.shape)}, more than the file's {size} bytes hold")


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
    given = refuse_misfits(module, state, path, ignored_prefixes)
    own = module.state_dict()
    on_meta = any(value.is_meta for value in own.values())
    module.load_state_dict(
        {key: value.to(own[key].dtype, copy=on_meta) for key, value in given.items()}, assign=on_meta
    )


def refuse_misfits(
    module: nn.Module, state: Mapping[str, Tensor], path: Path, ignored_prefixes: Iterable[str] = ()
) -> dict[str, Tensor]:
    """Return the entries of ``state`` that ``module`` has; arguments and errors as of :func:`load_strict`."""
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
    return given
