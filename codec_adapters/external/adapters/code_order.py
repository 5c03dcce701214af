"""Order of the axes of an external codec's codes: stated in the codec file, or found by trying the encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codec_adapters.base import Setup
from codec_adapters.errors import CheckpointError, OutputError
from codec_adapters.external.axes import CodeOrder


def to_order(codes: Tensor, order: CodeOrder) -> Tensor:
    """Return codes ``[batch, codebooks, frames]`` with their axes in ``order``.

    >>> to_order(torch.zeros(2, 8, 50), "KTB").shape
    torch.Size([8, 50, 2])
    """
    return codes.permute(*("BKT".index(axis) for axis in order)) if len(order) == 3 else _two_axes(codes, order)


def _two_axes(codes: Tensor, order: CodeOrder) -> Tensor:
    return codes[:, 0] if order == "BT" else codes[:, 0].T


def from_order(name: str, codes: Tensor, order: CodeOrder) -> Tensor:
    """Return codes whose axes are in ``order`` as ``[batch, codebooks, frames]``.

    Args:
        name: the variant's, for messages.

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
    """Run an encoder on silence; return the order of its codes' axes and the number of codebooks.

    Args:
        encode: the codec's own encoder, of float32 ``[batch, samples]``.
        given: the order that the codec file states; ``None`` finds it.
        device: of the encoder's input.

    Returns:
        order and codebooks; ``None`` twice where the encoder gives continuous latents.

    Raises:
        CheckpointError: the order cannot be found.
    """
    probe = torch.zeros(1, probe_samples(setup.spec.hop), device=device)
    found = encode(probe)
    if not isinstance(found, Tensor) or found.is_floating_point():
        return None, None
    order = given or found_order(setup.spec.name, encode, probe)
    return order, from_order(setup.spec.name, found, order).shape[1]


def probe_samples(hop: int) -> int:
    """Return the length, in samples, of the silence that an encoder is tried with.

    It is eight frames; or, where their length is not known yet (hop 1), a multiple of the hops of most codecs.
    """
    return 8 * hop if hop > 1 else 2**11 * 3 * 5**2


def found_order(name: str, encode: Callable[[Tensor], Tensor], wav: Tensor) -> CodeOrder:
    """Find the order of the axes of codes: frames grow with the input's length, the batch with the number of items.

    Args:
        encode: an encoder whose codes have an unknown order.
        wav: float32 ``[1, samples]``, of several frames.

    Raises:
        CheckpointError: more than one order fits the shapes, or none.
    """
    one, longer = list(encode(wav).shape), list(encode(wav.repeat(1, 2)).shape)
    try:
        two = list(encode(wav.repeat(2, 1)).shape)
    except Exception:  # noqa: BLE001 - graphs of one item raise errors of many kinds
        two = one
    if len(one) not in (2, 3):
        raise CheckpointError(f"{name}: its encoder gives codes of {len(one)} axes {one}, expected 2 or 3")
    fitting = [order for order in CODE_ORDERS if len(order) == len(one) and _fits(order, one, longer, two)]
    if len(one) == 3 and one.count(1) == 2 and fitting:
        fitting = fitting[:1]  # batch of one and one codebook: either order is the same memory
    if len(fitting) != 1:
        raise CheckpointError(
            f"{name}: its encoder gives codes {one}, {longer} for twice the input and {two} for two items, from which "
            f"their order cannot be told; give codes: one of {', '.join(CODE_ORDERS)}"
        )
    return fitting[0]


CODE_ORDERS: tuple[CodeOrder, ...] = ("BKT", "KBT", "BTK", "TBK", "KTB", "TKB", "BT", "TB")


def _fits(order: CodeOrder, one: list[int], longer: list[int], two: list[int]) -> bool:
    """Tell whether ``order`` explains the sizes of codes of one item, of twice the input, and of two items (or one)."""
    if not len(order) == len(longer) == len(two):
        return False
    sizes, grown, doubled = (dict(zip(order, found, strict=True)) for found in (one, longer, two))
    frames_alone = grown["T"] > sizes["T"] and grown == {**sizes, "T": grown["T"]}
    return sizes["B"] == 1 and frames_alone and (two == one or doubled == {**sizes, "B": 2})
