"""The axes of somebody else's codes: any order of batch, codebooks and frames, told or found out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codec_adapters.added.ways import CodeOrder
from codec_adapters.base import Setup
from codec_adapters.errors import CheckpointError, OutputError


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


def code_order(
    setup: Setup, encode: Callable[[Tensor], Any], given: CodeOrder | None, device: torch.device
) -> CodeOrder | None:
    """The order of the axes of codes, ``given`` or found out with silence; ``None`` for continuous latents.

    Args:
        encode: gives what the codec's own encoder gives for float32 ``[batch, samples]``.
        device: where the encoder wants its input.

    Raises:
        CheckpointError: the order cannot be told, or there are not as many codebooks as the codec file says.
    """
    name, codebooks = setup.spec.name, setup.spec.codebooks
    probe = torch.zeros(1, setup.spec.hop * max(8, codebooks + 2), device=device)
    found = encode(probe)
    if not isinstance(found, Tensor) or found.is_floating_point():
        return None
    order = given or guessed_order(name, encode, probe, codebooks)
    if (count := from_order(name, found, order).shape[1]) != codebooks:
        raise CheckpointError(
            f"{name}: codec.codebooks is {codebooks} in its codec file; its encoder gives codes {list(found.shape)}, "
            f"as {order} of {count} codebooks"
        )
    return order


def guessed_order(name: str, encode: Callable[[Tensor], Tensor], wav: Tensor, codebooks: int) -> CodeOrder:
    """The order of the axes of codes, from one item and, where the encoder takes them, two of different content.

    Args:
        encode: gives codes of unknown order.
        wav: float32 ``[1, samples]``, at least two frames.
        codebooks: how many there are.

    Raises:
        CheckpointError: the shapes leave more than one answer.
    """
    one = list(encode(wav).shape)
    if len(one) not in (2, 3):
        raise CheckpointError(f"{name}: its encoder gives codes of {len(one)} axes {one}, expected 2 or 3")
    try:
        two = list(encode(wav.expand(2, -1).contiguous()).shape)
    except Exception:  # noqa: BLE001 - a graph for one item says so in many ways
        two = one
    if len(one) == len(two):
        fitting = [order for order in CODE_ORDERS if len(order) == len(one) and _fits(order, one, two, codebooks)]
        if len(one) == 3 and one.count(1) == 2 and codebooks == 1 and fitting:
            fitting = fitting[:1]  # batch of one and one codebook: the same memory whichever way round
        if len(fitting) == 1:
            return fitting[0]
    raise CheckpointError(
        f"{name}: its encoder gives codes {one}, and {two} for two items, from which their order cannot be told for "
        f"{codebooks} codebooks; give codes: one of {', '.join(CODE_ORDERS)}"
    )


CODE_ORDERS: tuple[CodeOrder, ...] = ("BKT", "KBT", "BTK", "TBK", "KTB", "TKB", "BT", "TB")


def _fits(order: CodeOrder, one: list[int], two: list[int], codebooks: int) -> bool:
    sizes, doubled = dict(zip(order, one, strict=True)), dict(zip(order, two, strict=True))
    if sizes["B"] != 1 or (two != one and doubled != {**sizes, "B": 2}):
        return False
    return sizes["T"] > 1 and sizes.get("K", 1) == codebooks
