"""Adapter of backend ``python``: an adapter class, an object with encode and decode, or a function wave to wave.

The object is code, which runs with the user's rights.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codec_adapters.base import Adapter, Setup
from codec_adapters.errors import CheckpointError, CodecError, InputError, OutputError
from codec_adapters.external.adapters.call_form import CallForm, arguments_of, found_form, laid_out
from codec_adapters.external.adapters.code_order import from_order, to_order
from codec_adapters.external.adapters.functions import Functions, FunctionsAdapter, failing_clips, one_line, seeded
from codec_adapters.external.adapters.outputs import as_wave


@dataclass(frozen=True)
class CallStyle:
    """How a Python object is called."""

    batched: bool
    """With whole batches; else with one item at a time."""
    numpy: bool
    """With numpy arrays; else with tensors."""
    factory: bool
    """It is a function that makes the codec; else a function is the codec itself."""


class PythonAdapter(FunctionsAdapter):
    """Adapter of a Python object that is no adapter itself."""

    def __init__(self, setup: Setup, functions: Functions, form: CallForm) -> None:
        super().__init__(setup, functions, whole_frames=False)
        self.form = form
        """How the object is called: what the codec file states, and what was found."""


def make_adapter(
    setup: Setup, where: str, imported: Callable[[], ModuleType], name: str, style: CallStyle, form: CallForm
) -> Adapter:
    """Make the adapter of a Python object.

    Args:
        where: module and name, for messages.
        imported: returns the module that holds the object.
        name: of the object in the module, with dots.
        style: how the object is called.
        form: what the codec file states of the object's tensors; the rest is found by trying.

    Raises:
        CheckpointError: it cannot be imported or made, is no codec, or works at another rate than its codec file says.
    """
    made = _made(setup, where, imported, name, style)
    if isinstance(made, Adapter):
        return made
    paired = callable(getattr(made, "encode", None)) and callable(getattr(made, "decode", None))
    if not paired and not callable(made):
        raise CheckpointError(f"{where}: is a {type(made).__name__}, neither encode and decode nor a function")
    if form.layout is None or (paired and form.decoder_takes is None):
        known = form if paired else replace(form, decoder_takes="whole")
        encode, decode = _called(made, paired, style, setup)
        named = {} if paired else _named_seeds(made, [0, 0] if style.batched else [0])
        codec = partial(encode, **named), decode
        with torch.inference_mode(), seeded(0, setup.device):
            found = found_form(known, setup.spec.name, setup.spec.hop, style.batched, codec)
        form = found if paired else replace(found, decoder_takes=None)
        made = _made(setup, where, imported, name, style)  # a new one, which has seen no clip
    return PythonAdapter(setup, _functions(setup, made, paired, style, form), form)


def _made(setup: Setup, where: str, imported: Callable[[], ModuleType], name: str, style: CallStyle) -> Any:
    """Return the codec object; raises as :func:`make_adapter` does."""
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
        rate = getattr(made, "sample_rate", None)
    except CodecError:
        raise
    except (Exception, SystemExit) as error:  # code of the codec may raise anything; the user gets one line
        raise CheckpointError(f"{where}: cannot be made ({one_line(error)})") from error
    if isinstance(rate, int) and rate != setup.spec.sample_rate:
        raise CheckpointError(f"{where}: works at {rate} Hz, its codec file says {setup.spec.sample_rate} Hz")
    return made


def _called(made: Any, paired: bool, style: CallStyle, setup: Setup) -> tuple[Callable[[Any], Any], Callable[..., Any]]:
    """Return ``encode`` and ``decode`` of tensors; of a round trip, the function and one that gives back its argument.

    One thread at a time calls the codec, since it may not allow several.
    """
    lock = threading.Lock()
    into: Callable[[Any], Any] = _array if style.numpy else _same
    back: Callable[[Any], Any] = _tensor if style.numpy else _same

    def guarded(function: Callable[..., Any], on_device: bool = False) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            places = [value.to(setup.device) if on_device and isinstance(value, Tensor) else value for value in given]
            with lock:
                return back(function(*map(into, places), **{key: into(value) for key, value in named.items()}))

        return call

    if paired:
        return guarded(made.encode, on_device=True), guarded(made.decode)
    return guarded(made, on_device=True), _same


def _functions(setup: Setup, made: Any, paired: bool, style: CallStyle, form: CallForm) -> Functions:
    """Return a codec object as functions on waveforms ``[batch, samples]``."""
    name, layout = setup.spec.name, form.layout or "BS"
    encode, decode = _called(made, paired, style, setup)
    hint = "; called as BS, since no layout could be found by trying: state python.layout" if form.unsettled else ""

    @contextmanager
    def failing(seed: int, device: torch.device) -> Iterator[None]:
        try:
            with seeded(seed, device), failing_clips(name):
                yield
        except OutputError as error:
            raise OutputError(f"{error}{hint}") from error

    if not paired:

        def run(wav: Tensor, seeds: Sequence[int]) -> Any:
            named = _named_seeds(made, seeds)
            with failing(seeds[0], wav.device):
                return as_wave(name, encode(laid_out(wav, layout), **named), len(wav))

        return Functions(round_trip=run, batched=style.batched)

    def round_trip(wav: Tensor, seeds: Sequence[int]) -> Any:
        with failing(seeds[0], wav.device):
            places, named = arguments_of(encode(laid_out(wav, layout)), form.decoder_takes or "whole")
            return as_wave(name, decode(*places, **named), len(wav))

    def codes_of(wav: Tensor) -> Any:
        with failing_clips(name):
            codes = encode(laid_out(wav, layout))
        if not isinstance(codes, Tensor) or codes.is_floating_point():
            return codes
        if form.codes is None:
            raise InputError(f"{name}: gives codes {list(codes.shape)}; python.codes must say the order of their axes")
        return from_order(name, codes, form.codes)

    def wave_of(codes: Tensor) -> Any:
        with failing_clips(name):
            return decode(to_order(codes, form.codes) if form.codes else codes)

    return Functions(round_trip=round_trip, encode=codes_of, decode=wave_of, batched=style.batched)


def _same(value: Any) -> Any:
    return value


def _array(value: Any) -> Any:
    return value.cpu().numpy() if isinstance(value, Tensor) else value


def _tensor(value: Any) -> Any:
    """Return an array of numbers as a tensor, and anything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        return value
    return torch.from_numpy(np.ascontiguousarray(value))


def _named_seeds(function: Any, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the seeds of a batch under the name by which a function takes them; nothing where it takes none."""
    wants = _parameters(function)
    return {"seeds": list(seeds)} if "seeds" in wants else {"seed": seeds[0]} if "seed" in wants else {}


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
