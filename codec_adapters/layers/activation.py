"""Activations of the codecs' convolution stacks. They work in place, because memory traffic is their main cost."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[int], nn.Module]
"""Function that builds the activation for a number of channels."""


class Snake(nn.Module):
    """Snake activation, ``x + sin(alpha x)^2 / alpha`` with one ``alpha`` per channel (Ziyin et al., arXiv 2006.08195).

    Input and output ``[batch, channels, samples]``; parameter ``alpha`` ``[1, channels, 1]``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, signal: Tensor) -> Tensor:
        wave = (signal * self.alpha).sin_().square_()
        return signal.addcmul_(wave, (self.alpha + 1e-9).reciprocal())


def elu(channels: int) -> nn.Module:
    """Return an ELU with alpha 1, which is the same for any number of ``channels``."""
    return nn.ELU(inplace=True)
