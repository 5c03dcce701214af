"""Padded convolutions of EnCodec's family: a stride of ``s`` gives ``ceil(samples / s)`` frames, and back.

Layout: Defossez et al., arXiv 2210.13438, over time (``[batch, channels, time]``) or, as FunCodec has them
(arXiv 2309.07405), over frequency and time (``[batch, channels, frequency, time]``). The layers' names are those
of the family's checkpoints: ``conv.conv``, ``convtr.convtr``, and ``conv.norm`` or ``convtr.norm`` if there is a norm.
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
"""Function that builds the normalisation after a convolution, from its number of output channels."""

Sizes = tuple[int, ...]
"""Kernel size, stride or dilation, one number per axis: ``(time,)`` or ``(frequency, time)``."""


@dataclass(frozen=True)
class Padding:
    """How inputs of convolutions are padded, and how the overhang of transposed convolutions is cut."""

    mode: Literal["reflect", "replicate", "constant"] = "reflect"
    causal: bool = False
    """Pad along time on the left only, apart from what completes the last window."""
    trim_right_ratio: float = 1.0
    """Share, 0 to 1, of a causal transposed convolution's overhang that is cut on the right."""


def pad_reflect(signal: Tensor, axis: int, left: int, right: int) -> Tensor:
    """Pad ``signal`` along ``axis`` by mirroring it at both ends, ``left`` and ``right`` steps.

    A signal that is too short for that is first extended with zeros on the right, as EnCodec does it; the zeros are cut
    off again afterwards.
    """
    if left == right == 0:
        return signal
    size = signal.shape[axis]
    missing = max(left, right) + 1 - size
    if missing > 0:
        longer = pad(signal, [0, 0] * (signal.ndim - 1 - axis) + [0, missing])
        return pad_reflect(longer, axis, left, right).narrow(axis, 0, left + size + right)
    # a concatenation takes half the time of torch's reflection padding
    before, after = signal.narrow(axis, 1, left).flip(axis), signal.narrow(axis, size - 1 - right, right).flip(axis)
    return torch.cat((before, signal, after), dim=axis)


def _padded(signal: Tensor, paddings: Sequence[tuple[int, int]], mode: str) -> Tensor:
    """Pad ``signal`` ``[batch, channels, ...]`` by (left, right) per axis after the second."""
    if not any(left or right for left, right in paddings):
        return signal
    is_image = len(paddings) == 2
    is_short = any(max(ends) >= size for ends, size in zip(paddings, signal.shape[2:], strict=True))
    if mode == "reflect" and (is_short or not is_image):  # for images, torch's own reflection is faster
        for axis, (left, right) in enumerate(paddings, start=2):
            signal = pad_reflect(signal, axis, left, right)
        return signal
    flat = [amount for ends in reversed(paddings) for amount in ends]  # torch expects the last axis first
    return pad(signal, flat, mode)


def _named(name: str, layer: Any, norm: Norm | None) -> nn.Sequential:
    """Return ``layer`` under the name ``name``, followed by its norm, if it has one, under ``norm``."""
    parts = OrderedDict({name: layer})
    if norm is not None:
        parts["norm"] = norm(layer.out_channels)
    return nn.Sequential(parts)


class SteadyConv1d(nn.Conv1d):
    """1-D convolution without padding whose result for an item does not depend on the batch around it.

    For small items, torch's choice of CPU kernel depends on the batch size too. The kernels round differently, and one
    rounding can change a code. Here, small items are convolved as a matrix product of the weights with all windows.
    That is the same for any batch size, and faster than torch's kernels for a batch. Grouped convolutions are torch's
    own.
    """

    _SMALL = 20480
    """Largest item, in elements, for which torch chooses another kernel for a single item than for several."""

    def forward(self, signal: Tensor) -> Tensor:
        if signal[0].numel() > self._SMALL or signal.device.type != "cpu" or self.bias is None or self.groups > 1:
            return super().forward(signal)
        span = (self.kernel_size[0] - 1) * self.dilation[0] + 1
        windows = signal.unfold(2, span, self.stride[0])[..., :: self.dilation[0]]
        columns = windows.transpose(2, 3).flatten(1, 2)
        return torch.bmm(self.weight.flatten(1).expand(len(signal), -1, -1), columns).add_(self.bias[:, None])


class PaddedConv(nn.Module):
    """Padding, convolution, then the norm, if there is one; ``time`` steps become ``ceil(time / stride)``.

    Where the padding cannot be split evenly, the left side gets the extra step. The steps that complete the last window
    are added on the right of a signal with one axis; with two axes they are added on the left of time, as FunCodec does
    it, and frequency gets none.
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
        """Return the padding (left, right) of each axis."""
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
    """Transposed convolution with kernel ``2 * stride``, then the norm, then a cut of the overhang at both ends.

    ``time`` steps become ``time * stride``. Where the overhang cannot be split evenly, the left side loses the extra
    step. The norm is computed before the cut, so it includes the steps that are cut off.

    Args:
        keep: (left, right) per axis: steps of the overhang that are kept; by default none.
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
        return signal.contiguous()  # one copy here avoids a copy in each of the following layers
