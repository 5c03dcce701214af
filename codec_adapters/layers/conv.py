"""Convolutions of EnCodec's family: padded so that a stride of ``s`` gives ``ceil(samples / s)`` frames, and back.

Layout: Defossez et al., arXiv 2210.13438, in the non-causal setting. The layers sit two names deep (``conv.conv``,
``convtr.convtr``, beside them ``norm`` where there is one), which is how the family's checkpoints spell them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

Norm = Callable[[int], nn.Module]
"""Builds the normalisation that follows a convolution of so many channels."""


def pad_reflect(signal: Tensor, left: int, right: int) -> Tensor:
    """``signal`` ``[batch, channels, samples]`` mirrored at both ends.

    A signal too short to be mirrored that far is first lengthened with zeros; they are cut off again at the end.
    """
    if left == right == 0:
        return signal
    missing = max(left, right) + 1 - signal.shape[-1]
    if missing > 0:
        return pad_reflect(pad(signal, (0, missing)), left, right)[..., :-missing]
    # joined by hand, which takes half the time of torch's reflection padding
    ends = signal[..., 1 : left + 1].flip(-1), signal[..., signal.shape[-1] - 1 - right : -1].flip(-1)
    return torch.cat((ends[0], signal, ends[1]), dim=-1)


def _named(name: str, layer: nn.Module, norm: nn.Module | None) -> nn.Sequential:
    parts = OrderedDict({name: layer})
    if norm is not None:
        parts["norm"] = norm
    return nn.Sequential(parts)


class SteadyConv1d(nn.Conv1d):
    """Convolution, without padding or groups, that gives an item alone exactly what it gets in a batch.

    For small items, torch chooses its CPU kernel by the size of the batch too. The kernels round differently, and a
    code can hang on a rounding. Here small items are convolved as a product of the weights with all windows, which is
    the same at any batch size, and faster than torch's kernels for a batch.
    """

    _SMALL = 20480
    """Elements of an item up to which torch has another kernel for one than for several."""

    def forward(self, signal: Tensor) -> Tensor:
        if signal[0].numel() > self._SMALL or signal.device.type != "cpu" or self.bias is None:
            return super().forward(signal)
        span = (self.kernel_size[0] - 1) * self.dilation[0] + 1
        windows = signal.unfold(2, span, self.stride[0])[..., :: self.dilation[0]]
        columns = windows.transpose(2, 3).flatten(1, 2)
        return torch.bmm(self.weight.flatten(1).expand(len(signal), -1, -1), columns).add_(self.bias[:, None])


class PaddedConv1d(nn.Module):
    """Convolution over a signal mirrored at both ends; the right end gets what makes the last window full.

    ``[batch, in_channels, samples]`` to ``[batch, out_channels, ceil(samples / stride)]``. Where the padding cannot be
    split evenly, the left side has the odd sample.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        layer = SteadyConv1d(in_channels, out_channels, kernel_size, stride, dilation=dilation)
        self.conv = _named("conv", layer, norm(out_channels) if norm else None)
        total = (kernel_size - 1) * dilation + 1 - stride
        self.stride = stride
        self.right = total // 2
        self.left = total - self.right

    def forward(self, signal: Tensor) -> Tensor:
        unfilled = -signal.shape[-1] % self.stride
        output: Tensor = self.conv(pad_reflect(signal, self.left, self.right + unfilled))
        return output


class TrimmedConvTranspose1d(nn.Module):
    """Transposed convolution, its overhang cut off both ends.

    ``[batch, in_channels, frames]`` to ``[batch, out_channels, frames * stride]``. Where the overhang cannot be split
    evenly, the left side loses the odd sample. ``kernel_size`` must be at least ``stride``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, norm: Norm | None = None
    ) -> None:
        super().__init__()
        layer = nn.ConvTranspose1d(in_channels, out_channels, kernel_size, stride)
        self.convtr = _named("convtr", layer, norm(out_channels) if norm else None)
        overhang = kernel_size - stride
        self.right = overhang // 2
        self.left = overhang - self.right

    def forward(self, frames: Tensor) -> Tensor:
        full: Tensor = self.convtr(frames)
        return full[..., self.left : full.shape[-1] - self.right]
