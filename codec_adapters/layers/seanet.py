"""SEANet: convolutional encoder and decoder with an LSTM between their strided stages and the latent, as in EnCodec.

Layout: Tagliasacchi et al., arXiv 2009.02095, and Defossez et al., arXiv 2210.13438. FunCodec (arXiv 2309.07405) has a
second form over spectrograms: each stage strides over (frequency, time), and the LSTM runs over time once frequency has
shrunk to one. Both forms are the same layers here, with one axis or two, time last.

Encoder and decoder are one flat sequence each, ``model.0``, ``model.1``, ..., numbered with the activations, as in the
family's checkpoints. Names inside are ``conv.conv``, ``convtr.convtr``, ``norm``, ``block.{1,3}``, ``shortcut`` and
``lstm``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from codec_adapters.layers.conv import PaddedConv, TrimmedConvTranspose
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.quantization import ResidualVectorQuantizer
from codec_adapters.layers.seanet_settings import SeanetSettings


class SkipLstm(nn.Module):
    """LSTM over time, plus its input if ``skip``; ``[batch, channels, frames]``, computed in float32 at any precision.

    A bidirectional LSTM gives ``2 * channels`` channels and adds the input to each half.
    """

    def __init__(self, channels: int, layers: int, bidirectional: bool = False, skip: bool = True) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, layers, bidirectional=bidirectional)
        self.skip = skip

    def forward(self, hidden: Tensor) -> Tensor:
        steps = hidden.permute(2, 0, 1).float()
        output: Tensor = self.lstm(steps)[0]
        if self.skip:
            output += steps.repeat(1, 1, 2) if self.lstm.bidirectional else steps
        return output.permute(1, 2, 0).to(hidden.dtype)


class ResidualUnit(nn.Module):
    """Residual unit: a shortcut plus activation, dilated convolution, activation and convolution of kernel 1.

    The first activation changes the unit's input in place, so the shortcut is computed first.

    Args:
        layer: place of the unit in its stage, from 0; it sets the dilation.
    """

    def __init__(self, settings: SeanetSettings, channels: int, layer: int) -> None:
        super().__init__()
        hidden, ones = channels // settings.compress, (1,) * settings.axes
        groups = settings.groups(hidden)
        dilated = PaddedConv(
            channels,
            hidden,
            (settings.residual_kernel_size,) * settings.axes,
            dilation=(*ones[:-1], settings.dilation_base**layer),
            groups=groups,
            padding=settings.padding,
            norm=settings.norm,
        )
        pointwise = settings.conv(hidden, channels, ones, groups=groups)
        self.block = nn.Sequential(settings.activation(channels), dilated, settings.activation(hidden), pointwise)
        self.shortcut: nn.Module = nn.Identity()
        if settings.conv_shortcut:
            groups = settings.groups(channels)
            self.shortcut = settings.conv(channels, channels, ones, groups=groups)

    def forward(self, signal: Tensor) -> Tensor:
        skipped: Tensor = self.shortcut(signal) if isinstance(self.shortcut, PaddedConv) else signal.clone()
        return skipped.add_(self.block(signal))


class Squeeze(nn.Module):
    """Removal of the frequency axis, which must have shrunk to one."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden.squeeze(2)


class Unsqueeze(nn.Module):
    """Insertion of a frequency axis of one."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden.unsqueeze(2)


class SeanetEncoder(nn.Module):
    """SEANet's encoder: ``[batch, channels, (frequency,) time]`` to latent ``[batch, dimension, ceil(time / hop)]``."""

    def __init__(self, settings: SeanetSettings) -> None:
        super().__init__()
        width = settings.filters
        layers: list[nn.Module] = [settings.conv(settings.channels, width, (settings.kernel_size,) * settings.axes)]
        for stride in reversed(settings.ratios):
            layers += [ResidualUnit(settings, width, layer) for layer in range(settings.residual_layers)]
            kernel, groups = tuple(2 * s for s in stride), settings.groups(width)
            layers += [settings.activation(width), settings.conv(width, 2 * width, kernel, stride, groups)]
            width *= 2
        layers += [Squeeze()] * (settings.axes - 1)
        if settings.lstm_layers:
            layers.append(SkipLstm(width, settings.lstm_layers, settings.bidirectional, settings.lstm_skip))
            width *= 2 if settings.bidirectional else 1
        layers.append(settings.activation(width))
        layers.append(settings.conv(width, settings.dimension, (settings.last_kernel_size,)))
        self.model = nn.Sequential(*layers)

    def forward(self, signal: Tensor) -> Tensor:
        latent: Tensor = self.model(signal)
        return latent


class SeanetDecoder(nn.Module):
    """SEANet's decoder: latent ``[batch, dimension, frames]`` to ``[batch, channels, (frequency,) frames * hop]``.

    The output is not limited to [-1, 1].
    """

    def __init__(self, settings: SeanetSettings) -> None:
        super().__init__()
        width = settings.width
        layers: list[nn.Module] = [settings.conv(settings.dimension, width, (settings.kernel_size,))]
        if settings.lstm_layers:
            layers.append(SkipLstm(width, settings.lstm_layers, skip=settings.lstm_skip))
        layers += [Unsqueeze()] * (settings.axes - 1)
        for stage, stride in enumerate(settings.ratios, start=1):
            is_last_of_two_axes = settings.axes == 2 and stage == len(settings.ratios)
            upsample = TrimmedConvTranspose(
                width,
                width // 2,
                stride,
                groups=settings.groups(width, transposed=True),
                padding=settings.padding,
                norm=settings.norm,
                keep=settings.last_overhang_kept if is_last_of_two_axes else (),
            )
            layers += [settings.activation(width), upsample]
            width //= 2
            layers += [ResidualUnit(settings, width, layer) for layer in range(settings.residual_layers)]
        last = settings.conv(width, settings.channels, (settings.last_kernel_size,) * settings.axes)
        layers += [settings.activation(width), last]
        self.model = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        signal: Tensor = self.model(latent)
        return signal


class SeanetCodec(nn.Module):
    """SEANet around a residual vector quantizer.

    Args:
        codebooks: shape of the codebooks, (stages, entries, dim).
    """

    def __init__(self, settings: SeanetSettings, codebooks: Sequence[int]) -> None:
        super().__init__()
        self.hop = settings.hop
        self.encoder: nn.Module = SeanetEncoder(settings)
        self.quantizer = ResidualVectorQuantizer(*codebooks)
        self.decoder: nn.Module = SeanetDecoder(settings)

    def to_precision(self, dtype: torch.dtype) -> None:
        """Convert the convolutions to ``dtype``; LSTMs and the quantizer stay in float32."""
        self.encoder = in_precision(self.encoder, dtype, float32=(nn.LSTM,))
        self.decoder = in_precision(self.decoder, dtype, float32=(nn.LSTM,))

    def latent(self, wav: Tensor) -> Tensor:
        """Return the latent ``[batch, dimension, ceil(samples / hop)]`` of ``wav``, float32 ``[batch, samples]``."""
        latent: Tensor = self.encoder(wav[:, None])
        return latent

    def encode(self, wav: Tensor, stages: int) -> Tensor:
        """Return int64 codes ``[batch, stages, ceil(samples / hop)]`` of ``wav``, float32 ``[batch, samples]``."""
        return self.quantizer.encode(self.latent(wav), stages)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the waveform, float32 ``[batch, frames * hop]``, of codes ``[batch, stages, frames]``."""
        wav: Tensor = self.decoder(self.quantizer.decode(codes))
        return wav[:, 0]
