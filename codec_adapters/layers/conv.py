"""Convolutions of EnCodec's family: padded so that a stride of ``s`` gives ``ceil(samples / s)`` frames, and back.

Layout: Defossez et al., arXiv 2210.13438, over time (``[batch, channels, time]``) or, as FunCodec has them
(arXiv 2309.07405), over frequency and time (``[batch, channels, frequency, time]``). The layers sit two names deep
(``conv.conv``, ``convtr.convtr``, beside them ``norm`` where there is one), which is how the family's checkpoints
spell them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

Norm = Callable[[int], nn.Module]
"""Builds the normalisation that follows a convolution of so many channels."""

Sizes = tuple[int, ...]
"""One number per axis: ``(time,)`` or ``(frequency, time)``."""


@dataclass(frozen=True)
class Padding:
    """How signals are padded for convolutions, and the overhang of transposed ones cut."""

    mode: Literal["reflect", "replicate", "constant"] = "reflect"
    causal: bool = False
    """Along time, everything but what the last window lacks goes to the left."""
    trim_right_ratio: float = 1.0
    """Share of a causal transposed convolution's overhang that is cut on the right."""


def pad_reflect(signal: Tensor, axis: int, left: int, right: int) -> Tensor:
    """``signal`` mirrored at both ends of ``axis``.

    A signal too short to be mirrored that far is first lengthened with zeros; they are cut off again at the end.
    """
    if left == right == 0:
        return signal
    size = signal.shape[axis]
    missing = max(left, right) + 1 - size
    if missing > 0:
        longer = pad(signal, [0, 0] * (signal.ndim - 1 - axis) + [0, missing])
        return pad_reflect(longer, axis, left, right).narrow(axis, 0, left + size + right)
    # joined by hand, which takes half the time of torch's reflection padding
    before, after = signal.narrow(axis, 1, left).flip(axis), signal.narrow(axis, size - 1 - right, right).flip(axis)
    return torch.cat((before, signal, after), dim=axis)


def _padded(signal: Tensor, paddings: Sequence[tuple[int, int]], mode: str) -> Tensor:
    if not any(left or right for left, right in paddings):
        return signal
    is_image = len(paddings) == 2
    is_short = any(max(ends) >= size for ends, size in zip(paddings, signal.shape[2:], strict=True))
    if mode == "reflect" and (is_short or not is_image):  # torch's own is the faster one for images
        for axis, (left, right) in enumerate(paddings, start=2):
            signal = pad_reflect(signal, axis, left, right)
        return signal
    flat = [amount for ends in reversed(paddings) for amount in ends]  # torch counts axes from the last one
    return pad(signal, flat, mode)


def _named(name: str, layer: Any, norm: Norm | None) -> nn.Sequential:
    """The convolution under ``name`` and, where there is one, its norm under ``norm``."""
    parts = OrderedDict({name: layer})
    if norm is not None:
        parts["norm"] = norm(layer.out_channels)
    return nn.Sequential(parts)


class SteadyConv1d(nn.Conv1d):
    """Convolution, without padding, that gives an item alone exactly what it gets in a batch.

    For small items, torch chooses its CPU kernel by the size of the batch too. The kernels round differently, and a
    code can hang on a rounding. Here small items are convolved as a product of the weights with all windows, which is
    the same at any batch size, and faster than torch's kernels for a batch. Convolutions in groups are torch's.
    """

    _SMALL = 20480
    """Elements of an item up to which torch has another kernel for one than for several."""

    def forward(self, signal: Tensor) -> Tensor:
        if signal[0].numel() > self._SMALL or signal.device.type != "cpu" or self.bias is None or self.groups > 1:
            return super().forward(signal)
        span = (self.kernel_size[0] - 1) * self.dilation[0] + 1
        windows = signal.unfold(2, span, self.stride[0])[..., :: self.dilation[0]]
        columns = windows.transpose(2, 3).flatten(1, 2)
        return torch.bmm(self.weight.flatten(1).expand(len(signal), -1, -1), columns).add_(self.bias[:, None])


class PaddedConv(nn.Module):
    """Convolution over a padded signal, then the norm; of ``time`` steps it makes ``ceil(time / stride)``.

    Where the padding cannot be split evenly, the left side has the odd step. What the last window lacks is added to
    the right end of a signal of one axis, and to the left end of time in one of two, as FunCodec does it; frequency
    gets none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sizes,
        stride: Sizes | None = None,
        dilation: Sizes | None = None,
        groups: int = 1,
        padding: Padding = Padding(),
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        ones = (1,) * len(kernel)
        self.stride, self.padding = stride or ones, padding
        dilation = dilation or ones
        conv: Any = (SteadyConv1d, nn.Conv2d)[len(kernel) - 1]
        self.conv = _named("conv", conv(inputs, outputs, kernel, self.stride, 0, dilation, groups), norm)
        self.totals = [(k - 1) * d - (s - 1) for k, d, s in zip(kernel, dilation, self.stride, strict=True)]

    def forward(self, signal: Tensor) -> Tensor:
        output: Tensor = self.conv(_padded(signal, self._paddings(signal.shape[-1]), self.padding.mode))
        return output

    def _paddings(self, time: int) -> list[tuple[int, int]]:
        """(left, right) per axis."""
        paddings = [(total - total // 2, total // 2) for total in self.totals]
        unfilled = -time % self.stride[-1]
        left, right = paddings[-1]
        if self.padding.causal:
            left, right = left + right, unfilled
        elif len(paddings) == 2:
            left += unfilled
        else:
            right += unfilled
        return [*paddings[:-1], (left, right)]


class TrimmedConvTranspose(nn.Module):
    """Transposed convolution of a kernel of twice the stride, then the norm, then the overhang cut off both ends.

    ``time`` steps become ``time * stride``. Where the overhang cannot be split evenly, the left side loses the odd
    step. The norm sees the steps that are cut.

    Args:
        keep: (left, right) per axis, what is kept of the overhang; none by default.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: Sizes,
        groups: int = 1,
        padding: Padding = Padding(),
        norm: Norm | None = None,
        keep: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__()
        conv: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d)[len(stride) - 1]
        kernel = tuple(2 * s for s in stride)
        self.convtr = _named("convtr", conv(inputs, outputs, kernel, stride, groups=groups), norm)
        self.trims = []
        for axis, overhang in enumerate(stride):
            causal = padding.causal and axis == len(stride) - 1
            right = math.ceil(overhang * padding.trim_right_ratio) if causal else overhang // 2
            keep_left, keep_right = keep[axis] if keep else (0, 0)
            self.trims.append((max(overhang - right - keep_left, 0), max(right - keep_right, 0)))

    def forward(self, signal: Tensor) -> Tensor:
        signal = self.convtr(signal)
        for axis, (left, right) in enumerate(self.trims, start=2):
            signal = signal.narrow(axis, left, signal.shape[axis] - left - right)
        return signal.contiguous()  # one copy here spares one in each of the layers that follow
