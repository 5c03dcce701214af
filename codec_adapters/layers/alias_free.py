"""Anti-aliased periodic activation: SnakeBeta at twice the rate, between an interpolating and a decimating lowpass.

Source: BigVGAN (Lee et al., arXiv 2206.04658), after StyleGAN3 (Karras et al., arXiv 2106.12423). Both lowpasses are
short FIR filters that checkpoints carry; signals are continued at both ends by repeating their last value.

The doubled signal is never interleaved: its even and its odd samples are two signals at the old rate, each of which
half of a filter's taps makes and the other half reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad


class SnakeBeta(nn.Module):
    """``x + sin(alpha * x)^2 * beta`` per channel, in place; of the parameters :func:`folded_activations` leaves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.ones(channels))

    def forward(self, signal: Tensor) -> Tensor:
        wave = (signal * self.alpha[:, None]).sin_().square_()
        return signal.addcmul_(wave, self.beta[:, None])


class Lowpass(nn.Module):
    """Buffer ``filter``: ``[1, 1, taps]``, the taps for even samples before those for odd ones."""

    filter: Tensor

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.register_buffer("filter", torch.zeros(1, 1, taps))

    def halves(self, channels: int) -> tuple[Tensor, Tensor]:
        """``[channels, 1, taps / 2]`` for even and for odd samples."""
        even, odd = self.filter.expand(channels, -1, -1).chunk(2, dim=2)
        return even, odd


class AliasFreeSnake(nn.Module):
    """``[batch, channels, samples]`` to the same shape; ``taps`` must be a multiple of 4.

    Raises:
        ValueError: it is not.
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
        reach = self.upsample.filter.shape[-1] // 4  # of a half filter, to its longer side
        signal = pad(signal, (2 * reach - 1, 2 * reach - 1), mode="replicate")
        even_taps, odd_taps = self.upsample.halves(channels)
        # samples 2n from n = 1 - reach on, and samples 2n + 1 from n = -reach on
        even = self.act(conv1d(signal, even_taps, groups=channels))
        odd = self.act(conv1d(signal, odd_taps, groups=channels))
        first, last = reach - 1, samples + reach - 1
        odd[..., : first + 1] = even[..., first : first + 1]
        even[..., :first] = even[..., first : first + 1]
        even[..., last:] = odd[..., last : last + 1]
        odd[..., last + 1 :] = odd[..., last : last + 1]
        even_taps, odd_taps = cast(Lowpass, self.downsample["lowpass"]).halves(channels)
        return conv1d(even, even_taps, groups=channels).add_(conv1d(odd, odd_taps, groups=channels))


def folded_activations(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict whose activations are ready to run, under the names they have.

    Checkpoints store the logarithms of frequency (``.act.alpha``) and inverse magnitude (``.act.beta``), and filters
    with their taps in order and of unit gain, where interpolation needs the gain 2. Everything else passes through.
    """
    folded = dict(state)
    for key, value in state.items():
        if key.endswith(".act.alpha"):
            folded[key] = value.exp()
        elif key.endswith(".act.beta"):
            folded[key] = (value.exp() + 1e-9).reciprocal()
        elif value.ndim != 3:
            continue  # no filter: left for the strict load to name
        elif key.endswith(".upsample.filter"):
            backwards = 2 * value.flip(-1)
            folded[key] = torch.cat([backwards[..., ::2], backwards[..., 1::2]], dim=-1)
        elif key.endswith(".downsample.lowpass.filter"):
            folded[key] = torch.cat([value[..., 1::2], value[..., ::2]], dim=-1)
    return folded
