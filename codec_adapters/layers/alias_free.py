"""Anti-aliased periodic activation: SnakeBeta at twice the rate, between an interpolating and a decimating lowpass.

Source: BigVGAN (Lee et al., arXiv 2206.04658), after StyleGAN3 (Karras et al., arXiv 2106.12423). Both lowpasses are
short FIR filters that the checkpoint stores. A signal is extended at both ends by repeating its last value.

The signal at twice the rate is never stored as one tensor. Its even samples and its odd samples are two signals at the
old rate. Each filter is split in the same way: one half of its taps belongs to the even samples, the other half to the
odd ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad


class SnakeBeta(nn.Module):
    """SnakeBeta activation, ``x + sin(alpha * x)^2 * beta`` per channel.

    ``alpha`` and ``beta`` ``[channels]`` are not those of the checkpoint but what :func:`folded_activations` makes of
    them. Input and output ``[batch, channels, samples]``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.ones(channels))

    def forward(self, signal: Tensor) -> Tensor:
        wave = (signal * self.alpha[:, None]).sin_().square_()
        return signal.addcmul_(wave, self.beta[:, None])


class Lowpass(nn.Module):
    """FIR lowpass. Buffer ``filter`` ``[1, 1, taps]`` holds the taps for even samples, then those for odd samples."""

    filter: Tensor

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.register_buffer("filter", torch.zeros(1, 1, taps))

    def halves(self, channels: int) -> tuple[Tensor, Tensor]:
        """Return the taps for even and for odd samples, each ``[channels, 1, taps / 2]``."""
        even, odd = self.filter.expand(channels, -1, -1).chunk(2, dim=2)
        return even, odd


class AliasFreeSnake(nn.Module):
    """Anti-aliased SnakeBeta; input and output ``[batch, channels, samples]``.

    Args:
        taps: length of both filters, a multiple of 4.

    Raises:
        ValueError: ``taps`` is not a multiple of 4.
    """

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        if taps < 4 or taps % 4:
            raise ValueError(f"anti-aliasing filters need 4, 8, 12, ... taps, not {taps}")
        self.act = SnakeBeta(channels)
        self.upsample = Lowpass(taps)
        self.downsample = nn.ModuleDict({"lowpass": Lowpass(taps)})

    def forward(self, signal: Tensor) -> Tensor:
        channels, samples = signal.shape[1:]
        reach = self.upsample.filter.shape[-1] // 4  # samples that a half filter covers on its longer side
        signal = pad(signal, (2 * reach - 1, 2 * reach - 1), mode="replicate")
        even_taps, odd_taps = self.upsample.halves(channels)
        # even samples 2n start at n = 1 - reach, odd samples 2n + 1 at n = -reach
        even = self.act(conv1d(signal, even_taps, groups=channels))
        odd = self.act(conv1d(signal, odd_taps, groups=channels))
        first, last = reach - 1, samples + reach - 1
        # before the signal's first sample and after its last, the signal at twice the rate repeats its end values too
        odd[..., : first + 1] = even[..., first : first + 1]
        even[..., :first] = even[..., first : first + 1]
        even[..., last:] = odd[..., last : last + 1]
        odd[..., last + 1 :] = odd[..., last : last + 1]
        even_taps, odd_taps = cast(Lowpass, self.downsample["lowpass"]).halves(channels)
        return conv1d(even, even_taps, groups=channels).add_(conv1d(odd, odd_taps, groups=channels))


def folded_activations(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` with its activations in the form that :class:`AliasFreeSnake` runs; keys stay the same.

    A checkpoint stores the logarithm of the frequency (``.act.alpha``) and of the inverse magnitude (``.act.beta``),
    and filters with their taps in order and a gain of 1. Interpolation needs a gain of 2, and the taps are regrouped
    into even and odd ones. All other tensors are passed on unchanged.
    """
    folded = dict(state)
    for key, value in state.items():
        if key.endswith(".act.alpha"):
            folded[key] = value.exp()
        elif key.endswith(".act.beta"):
            folded[key] = (value.exp() + 1e-9).reciprocal()
        elif value.ndim != 3:
            continue  # not a filter; if it should be one, the strict load reports it
        elif key.endswith(".upsample.filter"):
            backwards = 2 * value.flip(-1)
            folded[key] = torch.cat([backwards[..., ::2], backwards[..., 1::2]], dim=-1)
        elif key.endswith(".downsample.lowpass.filter"):
            folded[key] = torch.cat([value[..., 1::2], value[..., ::2]], dim=-1)
    return folded
