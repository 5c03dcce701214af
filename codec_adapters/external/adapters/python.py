"""Adapter of backend ``python``: an adapter class, an object with encode and decode, or a function wave to wave.

The object is code, which runs with the user's rights.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codec_adapters.base import Adapter, Setup
from codec_adapters.errors import CheckpointError, CodecError
from codec_adapters.external.adapters.functions import Functions, FunctionsAdapter, seeded


@dataclass(frozen=True)
class CallStyle:
    """How a Python object is called."""

    batched: bool
    """With whole batches; else with one item at a time."""
    numpy: bool
    """With numpy arrays; else with tensors."""
    factory: bool
    """It is a function that makes the codec; else a function is the codec itself."""


def make_adapter(setup: Setup, where: str, imported: Callable[[], ModuleType], name: str, style: CallStyle) -> Adapter:
    """Make the adapter of a Python object.

    Args:
        where: module and name, for messages.
        imported: returns the module that holds the object.
        name: of the object in the module, with dots.
        style: how the object is called.

    Raises:
        CheckpointError: it cannot be imported or made, is no codec, or works at another rate than its codec file says.
    """
    try:
        found: Any = imported()
        for part in name.split("."):
            found = getattr(found, part)
        if isinstance(found, type) and issubclass(found, Adapter):
            made: Any = found(setup)
        elif isinstance(found, type) or style.factory:
            made = found(**_arguments(found, setup))
        else:
            made = found
    except CodecError:
        raise
    except Exception as error:  # code of the codec may raise anything; the user gets one line
        reason = str(error).splitlines()[0] if str(error) else ""
        raise CheckpointError(f"{where}: cannot be made ({type(error).__name__}: {reason})") from error
    rate = getattr(made, "sample_rate", None)
    if isinstance(rate, int) and rate != setup.spec.sample_rate:
        raise CheckpointError(f"{where}: works at {rate} Hz, its codec file says {setup.spec.sample_rate} Hz")
    if isinstance(made, Adapter):
        return made
    paired = callable(getattr(made, "encode", None)) and callable(getattr(made, "decode", None))
    if not paired and not callable(made):
        raise CheckpointError(f"{where}: is a {type(made).__name__}, neither encode and decode nor a function")
    return FunctionsAdapter(setup, _functions(made, paired, style), whole_frames=False)


def _functions(made: Any, paired: bool, style: CallStyle) -> Functions:
    """Return a codec object as functions; one thread at a time calls it, since it may not allow several."""
    lock = threading.Lock()
    into: Callable[[Any], Any] = _array if style.numpy else _same
    back: Callable[[Any], Any] = _tensor if style.numpy else _same

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(given: Any, **seeds: Any) -> Any:
            with lock:
                return back(function(into(given), **seeds))

        return call

    if paired:
        return Functions(encode=guarded(made.encode), decode=guarded(made.decode), batched=style.batched)
    run, wants = guarded(made), _parameters(made)

    def round_trip(wav: Tensor, seeds: Sequence[int]) -> Any:
        named = {"seeds": list(seeds)} if "seeds" in wants else {"seed": seeds[0]} if "seed" in wants else {}
        with seeded(seeds[0], wav.device):
            return run(wav, **named)

    return Functions(round_trip=round_trip, batched=style.batched)


def _same(value: Any) -> Any:
    return value


def _array(value: Any) -> Any:
    return value.cpu().numpy() if isinstance(value, Tensor) else value


def _tensor(value: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def _arguments(made_by: Any, setup: Setup) -> dict[str, Any]:
    """Return the arguments that make a codec: the options by name, and ``device`` where the callable takes it."""
    given: dict[str, Any] = dict(setup.options)
    if "device" in _parameters(made_by):
        given.setdefault("device", str(setup.device))
    return given


def _parameters(function: Any) -> frozenset[str]:
    """Return the names of a callable's parameters; none where Python cannot tell."""
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return frozenset()
