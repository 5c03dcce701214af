"""What codes a codec takes, and the one check of codes before they reach a codebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codec_adapters.errors import InputError


@dataclass(frozen=True)
class Scale:
    """The codes of one scale: its codebooks, and how its frames stand to those of the finest scale."""

    entries: Sequence[int]
    """Number of entries of each codebook; an empty sequence where that is not known."""
    least: int | None = None
    """Fewest codebooks that a tensor must have, the first ones; ``None`` is all."""
    stride: int = 1
    """Frames of the finest scale in one frame of this one."""
    codebooks: int | None = None
    """Number of codebooks where :attr:`entries` is empty."""

    @property
    def most(self) -> int:
        """Most codebooks that a tensor may have."""
        return len(self.entries) or self.codebooks or 0


@dataclass(frozen=True)
class CodeForm:
    """The codes that a codec takes: one :class:`Scale` for each tensor, coarse to fine."""

    scales: Sequence[Scale]
    multiple: int = 1
    """The number of frames of the finest scale is a multiple of this."""


def check_tensors(name: str, codes: Any) -> None:
    """Check that ``codes`` are a list of int64 tensors ``[batch, codebooks, frames]``, of one batch and none empty.

    Args:
        name: of the codec, for messages.

    Raises:
        InputError: they are something else.
    """
    wanted = f"{name}: codes must be a list of int64 tensors [batch, codebooks, frames], not empty"
    if not isinstance(codes, list | tuple) or not codes:
        raise InputError(f"{wanted}; got {shown(codes)}")
    for tensor in codes:
        if (
            not isinstance(tensor, Tensor)
            or tensor.ndim != 3
            or tensor.dtype != torch.int64
            or tensor.layout != torch.strided
            or tensor.is_meta
            or 0 in tensor.shape
        ):
            raise InputError(f"{wanted}; got {shown(tensor)}")
    if len({len(tensor) for tensor in codes}) > 1:
        raise InputError(f"{name}: codes must be of one batch; got {_shapes(codes)}")


def check_side(name: str, side: Any, batch: int) -> None:
    """Check that what is transmitted beside codes are finite float tensors, the first axis the batch.

    Args:
        name: of the codec, for messages.
        side: name -> tensor.
        batch: number of items of the codes.

    Raises:
        InputError: it is something else.
    """
    for key, value in side.items():
        fits = isinstance(value, Tensor) and value.ndim and len(value) == batch and value.is_floating_point()
        if not fits or not bool(value.isfinite().all()):
            nature = "" if not fits else ", not all finite"
            raise InputError(f"{name}: side {key!r} must be finite floats [{batch}, ...]; got {shown(value)}{nature}")


def check_codes(name: str, codes: Sequence[Tensor], form: CodeForm) -> None:
    """Check that codes, which :func:`check_tensors` has passed, are entries of a codec's codebooks.

    Args:
        name: of the codec, for messages.

    Raises:
        InputError: another number of tensors, codebooks or frames, or a code that is no entry of its codebook.
    """
    if len(codes) != len(form.scales):
        wanted = _wanted(form.scales[0]) if len(form.scales) == 1 else f"{len(form.scales)} tensors, one per scale"
        raise InputError(f"{name}: codes must be {wanted}; got {_shapes(codes)}")
    for tensor, scale in zip(codes, form.scales, strict=True):
        if not (scale.least or scale.most) <= tensor.shape[1] <= scale.most:
            raise InputError(f"{name}: codes must be {_wanted(scale)}; got {_shapes(codes)}")
        _check_entries(name, tensor, scale.entries)
    finest = {tensor.shape[2] * scale.stride for tensor, scale in zip(codes, form.scales, strict=True)}
    if len(finest) > 1:
        ratio = ":".join(str(max(scale.stride for scale in form.scales) // scale.stride) for scale in form.scales)
        frames = ", ".join(str(tensor.shape[2]) for tensor in codes)
        raise InputError(f"{name}: codes must be frames as {ratio} over the scales; got {frames}")
    if (count := finest.pop()) % form.multiple:
        raise InputError(
            f"{name}: codes must be a multiple of {form.multiple} frames in the finest scale, as the codec pads its "
            f"input; got {count}"
        )


def _check_entries(name: str, codes: Tensor, entries: Sequence[int]) -> None:
    """Raise :class:`InputError` for a code that is no entry of its codebook; nothing where ``entries`` is empty."""
    if not entries:
        return
    given = entries[: codes.shape[1]]
    limits = torch.tensor(given, device=codes.device)[:, None]
    if bool(((codes < 0) | (codes >= limits)).any()):
        low, high = codes.aminmax()
        sizes = ", ".join(str(size) for size in sorted(set(given)))
        raise InputError(f"{name}: codes must be at least 0 and below {sizes}; got {int(low)} to {int(high)}")


def _wanted(scale: Scale) -> str:
    count = str(scale.most) if scale.least in (None, scale.most) else f"{scale.least} to {scale.most}"
    return f"one tensor [batch, {count} codebook{'' if count == '1' else 's'}, frames]"


def _shapes(codes: Sequence[Tensor]) -> str:
    return ", ".join(str(list(tensor.shape)) for tensor in codes)


def shown(value: Any, inside: bool = False) -> str:
    """Describe what came instead of a tensor, for a message: its type, with shape and dtype, or what a list holds.

    Args:
        inside: it is an item of a list, so that the items of its own are not listed.

    >>> shown(torch.zeros(1, 3))
    'float32 [1, 3]'
    >>> shown([torch.zeros(1), None])
    'list of 2: float32 [1], None'
    """
    if isinstance(value, Tensor):
        kind = "" if value.layout == torch.strided else f", {str(value.layout).removeprefix('torch.')}"
        place = ", on no device" if value.is_meta else ""
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}{kind}{place}"
    name = "None" if value is None else type(value).__name__
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{name} {value.dtype} {list(value.shape)}"
    if not isinstance(value, list | tuple):
        return name
    if inside or not value:
        return f"{name} of {len(value)}"
    more = ", ..." if len(value) > 3 else ""
    return f"{name} of {len(value)}: {', '.join(shown(item, inside=True) for item in value[:3])}{more}"
