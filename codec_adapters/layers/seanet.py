"""SEANet: the convolutional encoder and decoder with a recurrent middle that EnCodec made common.

Layout: Tagliasacchi et al., arXiv 2009.02095, and Defossez et al., arXiv 2210.13438, non-causal. One flat sequence per
side, ``model.0``, ``model.1``, ..., activations counted, as the family's checkpoints number it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from codec_adapters.errors import CheckpointError
from codec_adapters.layers.activation import Activation, elu
from codec_adapters.layers.conv import Norm, PaddedConv1d, TrimmedConvTranspose1d
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.quantization import ResidualVectorQuantizer


@dataclass(frozen=True)
class SeanetSizes:
    """All sizes of a SEANet; ``ratios`` in the decoder's order, the encoder takes them from the end."""

    filters: int
    """Channels of the outermost stage; each stage doubles them."""
    dimension: int
    """Channels of the latent."""
    ratios: tuple[int, ...]
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    residual_layers: int = 1
    """Residual units per stage; the j-th has dilation ``dilation_base ** j``."""
    dilation_base: int = 2
    compress: int = 2
    """Channels inside a residual unit are fewer by this factor."""
    conv_shortcut: bool = True
    """Residual units add a 1x1 convolution of their input, not the input itself."""
    lstm_layers: int = 2
    bidirectional: bool = False
    """The encoder's LSTM runs both ways and doubles the channels; the decoder's never does."""

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return math.prod(self.ratios)

    @property
    def width(self) -> int:
        """Channels of the innermost stage."""
        return self.filters << len(self.ratios)


class SkipLstm(nn.Module):
    """LSTM over time plus its own input, in float32 at any precision around it; ``[batch, channels, frames]``.

    A bidirectional one gives ``2 * channels`` and adds the input to each half.
    """

    def __init__(self, channels: int, layers: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, layers, bidirectional=bidirectional)

    def forward(self, hidden: Tensor) -> Tensor:
        steps = hidden.permute(2, 0, 1).float()
        output: Tensor = self.lstm(steps)[0]
        output += steps.repeat(1, 1, 2) if self.lstm.bidirectional else steps
        return output.permute(1, 2, 0).to(hidden.dtype)


class ResidualUnit(nn.Module):
    """Shortcut plus a narrow branch: activation, dilated convolution, activation, 1x1 convolution.

    The activation works in place, on the unit's own input, so the shortcut comes first.
    """

    def __init__(
        self, channels: int, sizes: SeanetSizes, dilation: int, activation: Activation, norm: Norm | None
    ) -> None:
        super().__init__()
        hidden = channels // sizes.compress
        self.block = nn.Sequential(
            activation(channels),
            PaddedConv1d(channels, hidden, sizes.residual_kernel_size, dilation=dilation, norm=norm),
            activation(hidden),
            PaddedConv1d(hidden, channels, 1, norm=norm),
        )
        self.shortcut = PaddedConv1d(channels, channels, 1, norm=norm) if sizes.conv_shortcut else nn.Identity()

    def forward(self, signal: Tensor) -> Tensor:
        skipped: Tensor = self.shortcut(signal) if isinstance(self.shortcut, PaddedConv1d) else signal.clone()
        return skipped.add_(self.block(signal))


def _residual_units(channels: int, sizes: SeanetSizes, activation: Activation, norm: Norm | None) -> list[ResidualUnit]:
    dilations = [sizes.dilation_base**index for index in range(sizes.residual_layers)]
    return [ResidualUnit(channels, sizes, dilation, activation, norm) for dilation in dilations]


class SeanetEncoder(nn.Module):
    """``[batch, 1, samples]`` to the latent ``[batch, dimension, ceil(samples / hop)]``."""

    def __init__(self, sizes: SeanetSizes, activation: Activation = elu, norm: Norm | None = None) -> None:
        super().__init__()
        channels = sizes.filters
        layers: list[nn.Module] = [PaddedConv1d(1, channels, sizes.kernel_size, norm=norm)]
        for ratio in reversed(sizes.ratios):
            layers += _residual_units(channels, sizes, activation, norm)
            layers += [activation(channels), PaddedConv1d(channels, 2 * channels, 2 * ratio, ratio, norm=norm)]
            channels *= 2
        if sizes.lstm_layers:
            layers.append(SkipLstm(channels, sizes.lstm_layers, sizes.bidirectional))
            channels *= 2 if sizes.bidirectional else 1
        layers += [activation(channels), PaddedConv1d(channels, sizes.dimension, sizes.last_kernel_size, norm=norm)]
        self.model = nn.Sequential(*layers)

    def forward(self, wav: Tensor) -> Tensor:
        latent: Tensor = self.model(wav)
        return latent


class SeanetDecoder(nn.Module):
    """Latent ``[batch, dimension, frames]`` to ``[batch, 1, frames * hop]``, unbounded."""

    def __init__(self, sizes: SeanetSizes, activation: Activation = elu, norm: Norm | None = None) -> None:
        super().__init__()
        channels = sizes.width
        layers: list[nn.Module] = [PaddedConv1d(sizes.dimension, channels, sizes.kernel_size, norm=norm)]
        if sizes.lstm_layers:
            layers.append(SkipLstm(channels, sizes.lstm_layers))
        for ratio in sizes.ratios:
            upsample = TrimmedConvTranspose1d(channels, channels // 2, 2 * ratio, ratio, norm=norm)
            channels //= 2
            layers += [activation(2 * channels), upsample, *_residual_units(channels, sizes, activation, norm)]
        layers += [activation(channels), PaddedConv1d(channels, 1, sizes.last_kernel_size, norm=norm)]
        self.model = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        wav: Tensor = self.model(latent)
        return wav


class SeanetCodec(nn.Module):
    """SEANet around a residual vector quantizer. The codebooks' shape is ``[stages, entries, dim]``."""

    def __init__(self, sizes: SeanetSizes, codebooks: Sequence[int], activation: Activation = elu) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder: nn.Module = SeanetEncoder(sizes, activation)
        self.quantizer = ResidualVectorQuantizer(*codebooks)
        self.decoder: nn.Module = SeanetDecoder(sizes, activation)

    def to_precision(self, dtype: torch.dtype) -> None:
        """Convolutions in ``dtype``; LSTMs and quantizer stay in float32."""
        self.encoder = in_precision(self.encoder, dtype, float32=(nn.LSTM,))
        self.decoder = in_precision(self.decoder, dtype, float32=(nn.LSTM,))

    def latent(self, wav: Tensor) -> Tensor:
        """Float32 ``[batch, samples]`` to what is quantized: ``[batch, dimension, ceil(samples / hop)]``."""
        latent: Tensor = self.encoder(wav[:, None])
        return latent

    def encode(self, wav: Tensor, stages: int) -> Tensor:
        """Float32 ``[batch, samples]`` to int64 codes ``[batch, stages, ceil(samples / hop)]``."""
        return self.quantizer.encode(self.latent(wav), stages)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[batch, stages, frames]`` to float32 ``[batch, frames * hop]``."""
        wav: Tensor = self.decoder(self.quantizer.decode(codes))
        return wav[:, 0]


def sizes_of_encoder(state: Mapping[str, Tensor], prefix: str, path: Path) -> SeanetSizes:
    """The sizes of the encoder whose tensors (weight norm folded) are ``<prefix>model.0.conv.conv.weight`` and so on.

    Everything but the dilations can be read off the shapes: a strided convolution's kernel is twice its stride, and
    ``dilation_base`` stays at its default.

    Raises:
        CheckpointError: the state, from ``path``, holds no such encoder.
    """
    convolutions = _shapes(state, prefix, r"conv\.conv\.weight")
    branches = _shapes(state, prefix, r"block\.1\.conv\.conv\.weight")
    gates = _shapes(state, prefix, r"lstm\.weight_ih_l\d+(?:_reverse)?")
    if len(convolutions) < 3 or any(len(shape) != 3 or 0 in shape for shape in [*convolutions, *branches]):
        raise CheckpointError(f"{path}: does not fit, lacks a SEANet encoder {prefix}model")
    first, *strided, last = convolutions
    hidden, channels, kernel = branches[-1] if branches else (1, 2, 3)
    reverse = any(key.startswith(prefix) and key.endswith(".lstm.weight_ih_l0_reverse") for key in state)
    return SeanetSizes(
        filters=first[0],
        dimension=last[0],
        ratios=tuple(max(shape[2] // 2, 1) for shape in reversed(strided)),
        kernel_size=first[2],
        last_kernel_size=last[2],
        residual_kernel_size=kernel,
        residual_layers=len(branches) // len(strided),
        compress=max(channels // hidden, 1),
        conv_shortcut=any(key.startswith(prefix) and ".shortcut." in key for key in state),
        lstm_layers=len(gates) // (2 if reverse else 1),
        bidirectional=reverse,
    )


def _shapes(state: Mapping[str, Tensor], prefix: str, suffix: str) -> list[list[int]]:
    """Shapes of the tensors ``<prefix>model.<index>.<suffix>``, by index."""
    pattern = re.compile(rf"{re.escape(prefix)}model\.(\d+)\.{suffix}")
    matches = [match for match in map(pattern.fullmatch, state) if match]
    return [list(state[match.string].shape) for match in sorted(matches, key=lambda match: int(match[1]))]
