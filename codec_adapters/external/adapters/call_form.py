"""How a Python codec is called: the axes of its waveforms, the order of its codes, and what its ``decode`` takes.

A codec file states it. What it does not state is found by running the codec on a little noise, before the first clip
and on an object of its own, so that it is the same for every clip.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from torch import Tensor

from codec_adapters.errors import CodecError, OutputError
from codec_adapters.external.adapters.code_order import found_order, probe_samples
from codec_adapters.external.adapters.functions import one_line
from codec_adapters.external.adapters.outputs import as_wave, named_parts
from codec_adapters.external.axes import CallLayout, CodeOrder, DecoderTakes


@dataclass(frozen=True)
class CallForm:
    """How a codec is called; ``None`` is what is not known."""

    layout: CallLayout | None = None
    codes: CodeOrder | None = None
    decoder_takes: DecoderTakes | None = None
    unsettled: bool = False
    """True where the codec failed in every layout, for different reasons."""


Call = Callable[[Any], Any]


def laid_out(wav: Tensor, layout: CallLayout) -> Tensor:
    """Return ``wav`` ``[batch, samples]`` with its axes in ``layout``; ``S`` takes a batch of one."""
    return wav[:, None] if layout == "BCS" else wav[0] if layout == "S" else wav


def arguments_of(encoded: Any, takes: DecoderTakes) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of ``decode``, by place and by name, for what ``encode`` returned."""
    if takes == "whole":
        return (encoded,), {}
    named = named_parts(encoded)
    if takes == "parts" and named is not None and not isinstance(encoded, tuple):
        return (), named
    parts = tuple(named.values()) if named is not None else tuple(encoded)
    return (parts if takes == "parts" else parts[:1]), {}


def found_form(given: CallForm, name: str, hop: int, batched: bool, codec: tuple[Call, Callable[..., Any]]) -> CallForm:
    """Complete ``given`` by running a codec; what cannot be found stays ``None``.

    Where it fails in every layout, for different reasons, the form is ``unsettled``.

    Args:
        name: of the codec, for messages.
        hop: samples per frame.
        batched: the codec takes whole batches; it is tried with two clips, else with one.
        codec: its ``encode`` and ``decode``; of a round trip, the function and one that gives back its argument.
    """
    generator = torch.Generator().manual_seed(0)
    probe = 0.1 * torch.randn(2 if batched else 1, probe_samples(hop), generator=generator)
    layouts = (given.layout,) if given.layout else get_args(CallLayout)[: 2 if batched else 3]
    problems: dict[str, str] = {}
    for layout in layouts:
        try:
            takes, encoded = _decoded(given, name, laid_out(probe, layout), codec, probe.shape)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - code of the codec may raise anything
            problems[layout] = _reason(error, name)
            continue
        found = replace(given, layout=layout, decoder_takes=takes)
        return replace(found, codes=given.codes or _order(name, encoded, layout, codec[0], probe[:1]))
    if len({re.sub(r"\[.*?\]", "", reason) for reason in problems.values()}) < 2:  # the layout is not what is wrong
        return given
    return replace(given, unsettled=True)


def _reason(error: BaseException, name: str) -> str:
    """Return what went wrong, shorter than the message of a clip says it."""
    return one_line(error).removeprefix(f"{OutputError.__name__}: {name}: ").partition(", expected")[0]


def _decoded(
    given: CallForm, name: str, wav: Tensor, codec: tuple[Call, Callable[..., Any]], shape: torch.Size
) -> tuple[DecoderTakes, Any]:
    """Return what ``decode`` takes so that a waveform comes back, and what ``encode`` returned.

    Raises:
        OutputError: whatever it gets, it gives no waveform about as long as the input; also what the codec raises.
    """
    encode, decode = codec
    encoded = encode(wav)
    ways = (given.decoder_takes,) if given.decoder_takes else _ways(encoded, decode)
    problems: list[str] = []
    for takes in ways:
        try:
            places, names = arguments_of(encoded, takes)
            made = as_wave(name, decode(*places, **names), shape[0])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - code of the codec may raise anything
            problems.append(_reason(error, name))
            continue
        if shape[1] / 2 <= made.shape[1] <= 2 * shape[1]:
            return takes, encoded
        problems.append(f"gave {made.shape[1]} samples for {shape[1]}")
    raise OutputError(f"{name}: {problems[0]}")


def _ways(encoded: Any, decode: Callable[..., Any]) -> list[DecoderTakes]:
    """Return what ``decode`` may take, likeliest first: several parts where it asks for as many arguments."""
    named = named_parts(encoded)
    count = len(named) if named is not None else len(encoded) if isinstance(encoded, list | tuple) else 1
    if named is None and not (isinstance(encoded, list | tuple) and count):
        return ["whole"]
    try:
        parameters = inspect.signature(decode).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return ["parts", "whole", "first"] if len(needed) == count > 1 else ["whole", "parts", "first"]


def _order(name: str, encoded: Any, layout: CallLayout, encode: Call, probe: Tensor) -> CodeOrder | None:
    """Return the order of the axes of codes, where ``encode`` returns one tensor of integers and it can be told."""
    if not isinstance(encoded, Tensor) or encoded.is_floating_point() or encoded.dtype == torch.bool or layout == "S":
        return None
    try:
        return found_order(name, lambda wav: encode(laid_out(wav, layout)), probe)
    except (CodecError, SystemExit, Exception):  # noqa: BLE001 - it is not needed to make clips
        return None
