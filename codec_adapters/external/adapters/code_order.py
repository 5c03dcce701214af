"""The axes of somebody else's codes: any order of batch, codebooks and frames, told or found out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codec_adapters.base import Setup
from codec_adapters.errors import CheckpointError, OutputError
from codec_adapters.external.axes import CodeOrder


def to_order(codes: Tensor, order: CodeOrder) -> Tensor:
    """Codes ``[batch, codebooks, frames]`` with the axes as in ``order``."""
    return codes.permute(*("BKT".index(axis) for axis in order)) if len(order) == 3 else _two_axes(codes, order)


def _two_axes(codes: Tensor, order: CodeOrder) -> Tensor:
    return codes[:, 0] if order == "BT" else codes[:, 0].T


def from_order(name: str, codes: Tensor, order: CodeOrder) -> Tensor:
    """Codes with the axes as in ``order`` as ``[batch, codebooks, frames]``.

    Raises:
        OutputError: they have another number of axes.
    """
    if codes.ndim != len(order):
        raise OutputError(f"{name}: its encoder gave codes {list(codes.shape)}, the codec file says {order}")
    if len(order) == 3:
        return codes.permute(*(order.index(axis) for axis in "BKT"))
    return (codes if order == "BT" else codes.T)[:, None]


def code_form(
    setup: Setup, encode: Callable[[Tensor], Any], given: CodeOrder | None, device: torch.device
) -> tuple[CodeOrder, int] | tuple[None, None]:
    """The order of the axes of codes, ``given`` or found out with silence, and how many codebooks there are; ``None``
    twice for continuous latents.

    Args:
        encode: gives what the codec's own encoder gives for float32 ``[batch, samples]``.
        device: where the encoder wants its input.

    Raises:
        CheckpointError: the order cannot be told.
    """
    probe = torch.zeros(1, probe_samples(setup.spec.hop), device=device)
    found = encode(probe)
    if not isinstance(found, Tensor) or found.is_floating_point():
        return None, None
    order = given or guessed_order(setup.spec.name, encode, probe)
    return order, from_order(setup.spec.name, found, order).shape[1]


def probe_samples(hop: int) -> int:
    """How long an input is that an encoder is tried with: eight frames, or, where their length is not known yet (hop
    1), a length that the hops of most codecs divide."""
    return 8 * hop if hop > 1 else 2**11 * 3 * 5**2


def guessed_order(name: str, encode: Callable[[Tensor], Tensor], wav: Tensor) -> CodeOrder:
    """The order of the axes of codes: frames are the axis that grows with the input, items that of two items.

    Args:
        encode: gives codes of unknown order.
        wav: float32 ``[1, samples]``, of several frames.

    Raises:
        CheckpointError: the shapes leave more than one answer.
    """
    one, longer = list(encode(wav).shape), list(encode(wav.repeat(1, 2)).shape)
    try:
        two = list(encode(wav.repeat(2, 1)).shape)
    except Exception:  # noqa: BLE001 - a graph for one item says so in many ways
        two = one
    if len(one) not in (2, 3):
        raise CheckpointError(f"{name}: its encoder gives codes of {len(one)} axes {one}, expected 2 or 3")
    fitting = [order for order in CODE_ORDERS if len(order) == len(one) and _fits(order, one, longer, two)]
    if len(one) == 3 and one.count(1) == 2 and fitting:
        fitting = fitting[:1]  # batch of one and one codebook: the same memory whichever way round
    if len(fitting) != 1:
        raise CheckpointError(
            f"{name}: its encoder gives codes {one}, {longer} for twice the input and {two} for two items, from which "
            f"their order cannot be told; give codes: one of {', '.join(CODE_ORDERS)}"
        )
    return fitting[0]


CODE_ORDERS: tuple[CodeOrder, ...] = ("BKT", "KBT", "BTK", "TBK", "KTB", "TKB", "BT", "TB")


def _fits(order: CodeOrder, one: list[int], longer: list[int], two: list[int]) -> bool:
    """Whether the sizes of codes are those of one item, of twice the input, and of two items (or of one again)."""
    if not len(order) == len(longer) == len(two):
        return False
    sizes, grown, doubled = (dict(zip(order, found, strict=True)) for found in (one, longer, two))
    frames_alone = grown["T"] > sizes["T"] and grown == {**sizes, "T": grown["T"]}
    return sizes["B"] == 1 and frames_alone and (two == one or doubled == {**sizes, "B": 2})
