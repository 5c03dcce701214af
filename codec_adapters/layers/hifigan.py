"""HiFi-GAN's residual blocks and their multi-receptive-field fusion.

Paper: Kong et al., "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech Synthesis",
arXiv 2010.05646.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

Convolution = Callable[..., nn.Module]
"""Makes a length-preserving convolution: ``make(channels, channels, kernel, dilation=, groups=, bias=)``."""


def same_conv1d(
    channels_in: int, channels_out: int, kernel: int, dilation: int = 1, groups: int = 1, bias: bool = True
) -> nn.Conv1d:
    """A convolution that keeps the length (odd kernels), with as many zeros before the signal as after it."""
    padding = (kernel - 1) * dilation // 2
    return nn.Conv1d(channels_in, channels_out, kernel, padding=padding, dilation=dilation, groups=groups, bias=bias)


class ResidualBlock(nn.Module):
    """One residual step per dilation, ``[batch, channels, frames]`` in and out.

    Type 1 (``paired``): ``x + convs2(act(convs1_dilated(act(x))))``, the second convolution undilated; type 2:
    ``x + convs1_dilated(act(x))``. ``act`` is a leaky ReLU.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        dilations: Sequence[int],
        *,
        paired: bool = True,
        slope: float = 0.1,
        convolution: Convolution = same_conv1d,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.slope = slope

        def conv(dilation: int) -> nn.Module:
            return convolution(channels, channels, kernel, dilation=dilation, groups=groups, bias=bias)

        self.convs1 = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations) if paired else None

    def forward(self, hidden: Tensor) -> Tensor:
        for step, conv in enumerate(self.convs1):
            branch = conv(leaky_relu(hidden, self.slope))
            if self.convs2 is not None:
                branch = self.convs2[step](leaky_relu(branch, self.slope, inplace=True))
            hidden = branch.add_(hidden)  # a convolution's output is nobody else's, so it may be changed in place
        return hidden


def fused(blocks: Iterable[nn.Module], hidden: Tensor) -> Tensor:
    """Multi-receptive-field fusion: the mean of what ``blocks``, of different kernels, make of ``hidden``."""
    first, *others = blocks
    total: Tensor = first(hidden)
    for block in others:
        total += block(hidden)
    return total.div_(1 + len(others))


class MultiReceptiveField(nn.Module):
    """The mean of residual blocks of different kernels."""

    def __init__(self, blocks: Iterable[ResidualBlock]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, hidden: Tensor) -> Tensor:
        return fused(self.blocks, hidden)


class GroupedFusion(nn.Module):
    """Fusion by groups: one residual block per group, all of one kernel, and a 1x1 convolution of them together.

    AudioDec has the groups in one block of grouped convolutions (:func:`split_groups`). Each group by itself is the
    same arithmetic, and on CPUs twice as fast where channels are few.
    """

    def __init__(self, channels: int, groups: Iterable[ResidualBlock]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(groups)
        self.conv_out = nn.Conv1d(channels * len(self.groups), channels, 1, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = self.conv_out(torch.cat([group(hidden) for group in self.groups], dim=1))
        return output


def split_groups(state: Mapping[str, Tensor], groups: int) -> dict[str, Tensor]:
    """The state dict of grouped blocks, ``<block>.convs1...`` and ``<block>.convs2...``, for :class:`GroupedFusion`."""
    split: dict[str, Tensor] = {}
    for key, value in state.items():
        block, found, layer = key.partition(".convs")
        if found and value.ndim:
            split.update({f"{block}.groups.{i}{found}{layer}": part for i, part in enumerate(value.chunk(groups))})
        else:
            split[key] = value
    return split
