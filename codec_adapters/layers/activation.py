"""Activations that the codecs' convolution stacks use. They work in place: memory is what such layers wait for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[int], nn.Module]
"""Builds the activation over so many channels."""


class Snake(nn.Module):
    """``x + sin(alpha x)^2 / alpha``, one ``alpha`` per channel (Ziyin et al., arXiv 2006.08195).

    ``[batch, channels, samples]``, parameter ``alpha`` ``[1, channels, 1]``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, signal: Tensor) -> Tensor:
        wave = (signal * self.alpha).sin_().square_()
        return signal.addcmul_(wave, (self.alpha + 1e-9).reciprocal())


def elu(channels: int) -> nn.Module:
    """ELU with alpha 1, whatever the channels."""
    return nn.ELU(inplace=True)
