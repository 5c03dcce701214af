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
"""Function that builds a length-preserving convolution: ``(channels, channels, kernel, dilation=, groups=, bias=)``."""


def same_conv1d(
    channels_in: int, channels_out: int, kernel: int, dilation: int = 1, groups: int = 1, bias: bool = True
) -> nn.Conv1d:
    """Return a convolution that keeps the length (odd kernels), with as many zeros before the signal as after it."""
    padding = (kernel - 1) * dilation // 2
    return nn.Conv1d(channels_in, channels_out, kernel, padding=padding, dilation=dilation, groups=groups, bias=bias)


class ResidualBlock(nn.Module):
    """HiFi-GAN's residual block: one residual step per dilation, ``[batch, channels, frames]`` in and out.

    A step of type 1 (``paired``) is ``x + convs2(act(convs1(act(x))))``, where only ``convs1`` is dilated. A step of
    type 2 is ``x + convs1(act(x))``, dilated. ``act`` is a leaky ReLU of negative slope ``slope``.
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
            hidden = branch.add_(hidden)  # in place: nothing else uses the convolution's output
        return hidden


def fused(blocks: Iterable[nn.Module], hidden: Tensor) -> Tensor:
    """Return the mean of the outputs of ``blocks`` for ``hidden``: HiFi-GAN's multi-receptive-field fusion."""
    first, *others = blocks
    total: Tensor = first(hidden)
    for block in others:
        total += block(hidden)
    return total.div_(1 + len(others))


class MultiReceptiveField(nn.Module):
    """Mean of residual blocks with different kernels; ``[batch, channels, frames]`` in and out."""

    def __init__(self, blocks: Iterable[ResidualBlock]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, hidden: Tensor) -> Tensor:
        return fused(self.blocks, hidden)


class GroupedFusion(nn.Module):
    """AudioDec's fusion: residual blocks of one kernel side by side, then a 1x1 convolution over all their outputs.

    In AudioDec's checkpoints the blocks are one block of grouped convolutions; :func:`split_groups` splits it. One
    block per group computes the same, and is twice as fast on CPUs where channels are few.
    """

    def __init__(self, channels: int, groups: Iterable[ResidualBlock]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(groups)
        self.conv_out = nn.Conv1d(channels * len(self.groups), channels, 1, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = self.conv_out(torch.cat([group(hidden) for group in self.groups], dim=1))
        return output


def split_groups(state: Mapping[str, Tensor], groups: int) -> dict[str, Tensor]:
    """Split grouped convolutions into one per group, as :class:`GroupedFusion` has them.

    These are ``<block>.convs1...`` and ``<block>.convs2...`` of ``state``; other entries are passed on unchanged.
    """
    split: dict[str, Tensor] = {}
    for key, value in state.items():
        block, found, layer = key.partition(".convs")
        if found and value.ndim:
            split.update({f"{block}.groups.{i}{found}{layer}": part for i, part in enumerate(value.chunk(groups))})
        else:
            split[key] = value
    return split
