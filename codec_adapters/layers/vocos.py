"""Vocos decoder in WavTokenizer's form: a backbone at the frame rate, then an inverse Fourier transform.

Layout: Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders", arXiv 2306.00814.
WavTokenizer (Ji et al., arXiv 2408.16532) adds residual blocks and self-attention in front (``pos_net``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, pad, silu

from codec_adapters.layers.norm import SignalNorm

_EPSILON = 1e-6
_GROUPS = 32
_MAGNITUDE_LIMIT = 100.0


@dataclass(frozen=True)
class VocosSizes:
    """Sizes of a Vocos decoder."""

    input_channels: int
    dim: int
    """Channels of the backbone, a multiple of 32."""
    intermediate_dim: int
    num_layers: int
    conditions: int
    """Rows of the adaptive layer norms' tables; a bandwidth id selects one."""
    n_fft: int
    hop_length: int
    kernel_size: int = 7


class FrameNorm(SignalNorm):
    """Group norm of 32 groups over all frames."""

    def __init__(self, dim: int) -> None:
        super().__init__(_GROUPS, dim, _EPSILON)


class ConvResidualBlock(nn.Module):
    """Residual block: the input plus two rounds of group norm, SiLU and a convolution of three frames.

    ``[batch, dim, frames]`` in and out.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1 = FrameNorm(dim)
        self.conv1 = nn.Conv1d(dim, dim, 3, padding=1)
        self.norm2 = FrameNorm(dim)
        self.conv2 = nn.Conv1d(dim, dim, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        hidden = self.conv1(silu(self.norm1(frames), inplace=True))
        output: Tensor = self.conv2(silu(self.norm2(hidden), inplace=True))
        return output.add_(frames)


class AttentionBlock(nn.Module):
    """Group norm and single-head self-attention over all frames, plus the input; ``[batch, dim, frames]``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = FrameNorm(dim)
        self.q = nn.Conv1d(dim, dim, 1)
        self.k = nn.Conv1d(dim, dim, 1)
        self.v = nn.Conv1d(dim, dim, 1)
        self.proj_out = nn.Conv1d(dim, dim, 1)

    def forward(self, frames: Tensor) -> Tensor:
        normed = self.norm(frames)
        query, key, value = self.q(normed), self.k(normed), self.v(normed)
        weights = torch.bmm(query.transpose(1, 2) * query.shape[1] ** -0.5, key).softmax(dim=-1)
        output: Tensor = self.proj_out(torch.bmm(value, weights.transpose(1, 2)))
        return output.add_(frames)


class AdaptiveLayerNorm(nn.Module):
    """Layer norm over the last axis; scale and shift are row ``condition`` of two tables."""

    def __init__(self, conditions: int, dim: int) -> None:
        super().__init__()
        self.scale = nn.Embedding(conditions, dim)
        self.shift = nn.Embedding(conditions, dim)

    def forward(self, hidden: Tensor, condition: int) -> Tensor:
        scale, shift = self.scale.weight[condition], self.shift.weight[condition]
        return layer_norm(hidden, scale.shape, scale, shift, _EPSILON)


class ConvNextBlock(nn.Module):
    """ConvNeXt block: depthwise convolution, adaptive layer norm, two linear layers, plus the input.

    ``[batch, dim, frames]`` in and out.
    """

    def __init__(self, sizes: VocosSizes) -> None:
        super().__init__()
        dim = sizes.dim
        self.dwconv = nn.Conv1d(dim, dim, sizes.kernel_size, padding=sizes.kernel_size // 2, groups=dim)
        self.norm = AdaptiveLayerNorm(sizes.conditions, dim)
        self.pwconv1 = nn.Linear(dim, sizes.intermediate_dim)
        self.pwconv2 = nn.Linear(sizes.intermediate_dim, dim)
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, frames: Tensor, condition: int) -> Tensor:
        hidden = self.norm(self.dwconv(frames).transpose(1, 2), condition)
        hidden = self.pwconv2(gelu(self.pwconv1(hidden)))
        return torch.addcmul(frames, hidden.transpose(1, 2), self.gamma[:, None])


class VocosBackbone(nn.Module):
    """Backbone of the decoder: ``[batch, input_channels, frames]`` to ``[batch, frames, dim]``.

    Group norms and attention run over all frames, so every output frame depends on the whole clip.
    """

    def __init__(self, sizes: VocosSizes) -> None:
        super().__init__()
        dim = sizes.dim
        self.embed = nn.Conv1d(sizes.input_channels, dim, sizes.kernel_size, padding=sizes.kernel_size // 2)
        self.pos_net = nn.Sequential(
            ConvResidualBlock(dim),
            ConvResidualBlock(dim),
            AttentionBlock(dim),
            ConvResidualBlock(dim),
            ConvResidualBlock(dim),
            FrameNorm(dim),
        )
        self.norm = AdaptiveLayerNorm(sizes.conditions, dim)
        self.convnext = nn.ModuleList(ConvNextBlock(sizes) for _ in range(sizes.num_layers))
        self.final_layer_norm = nn.LayerNorm(dim, _EPSILON)

    def forward(self, features: Tensor, condition: int) -> Tensor:
        frames: Tensor = self.pos_net(self.embed(features))
        frames = self.norm(frames.transpose(1, 2), condition).transpose(1, 2)
        for block in self.convnext:
            frames = block(frames, condition)
        output: Tensor = self.final_layer_norm(frames.transpose(1, 2))
        return output


class Istft(nn.Module):
    """Inverse short-time Fourier transform with "same" padding: each frame gives ``hop_length`` samples.

    Complex spectrum ``[batch, frames, n_fft / 2 + 1]`` to ``[batch, frames * hop_length]``, one sample more if
    ``n_fft - hop_length`` is odd. ``torch.istft`` cannot do this, since the window is zero at the ends before trimming.

    Raises:
        ValueError: ``n_fft`` is odd or not above ``hop_length``.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        if n_fft % 2 or n_fft <= hop_length:
            raise ValueError(f"n_fft must be even and above hop_length {hop_length}, is {n_fft}")
        self.hop_length = hop_length
        self.register_buffer("window", torch.empty(n_fft))

    def forward(self, spectrum: Tensor) -> Tensor:
        n_fft, frames = self.window.shape[0], spectrum.shape[1]
        pieces = torch.fft.irfft(spectrum, n_fft).mul_(self.window)
        envelope = self.window.square().expand(1, frames, n_fft)
        margin = (n_fft - self.hop_length) // 2
        end = (frames - 1) * self.hop_length + n_fft - margin
        return self._overlap_added(pieces)[:, margin:end] / self._overlap_added(envelope)[:, margin:end]

    def _overlap_added(self, pieces: Tensor) -> Tensor:
        """Overlap and add ``pieces`` ``[batch, frames, n_fft]``, one hop after another, to ``[batch, samples]``."""
        batch, frames, n_fft = pieces.shape
        hops = -(-n_fft // self.hop_length)
        blocks = pad(pieces, (0, hops * self.hop_length - n_fft)).view(batch, frames, hops, self.hop_length)
        total = pieces.new_zeros(batch, frames + hops - 1, self.hop_length)
        for hop in range(hops):
            total[:, hop : hop + frames] += blocks[:, :, hop]
        return total.view(batch, -1)


class IstftHead(nn.Module):
    """Output layer: hidden states to magnitudes and phases, then to a waveform, in float32.

    ``[batch, frames, dim]`` to ``[batch, frames * hop_length]``. Magnitudes are limited to 100.
    """

    def __init__(self, sizes: VocosSizes) -> None:
        super().__init__()
        self.out = nn.Linear(sizes.dim, sizes.n_fft + 2)
        self.istft = Istft(sizes.n_fft, sizes.hop_length)

    def forward(self, hidden: Tensor) -> Tensor:
        log_magnitude, phase = self.out(hidden).chunk(2, dim=-1)
        magnitude = log_magnitude.exp().clamp_(max=_MAGNITUDE_LIMIT)
        wav: Tensor = self.istft(torch.complex(magnitude * phase.cos(), magnitude * phase.sin()))
        return wav
