"""The networks of AudioDec (see :mod:`codec_adapters.families.audiodec`), and the settings that they are built from.

Names of layers are those of upstream's state dicts, but for the vocoder's grouped blocks, which are one block per group
here. All convolutions are causal.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu

from codec_adapters.files.config import ConfigModel, OddInt, PositiveInts
from codec_adapters.layers.causal import CausalConv1d, CausalConvTranspose1d
from codec_adapters.layers.hifigan import GroupedFusion, MultiReceptiveField, ResidualBlock
from codec_adapters.layers.quantization import ResidualVectorQuantizer

DILATIONS = (1, 3, 9)
"""Of a block's residual units; no config key."""


class AutoencoderParams(ConfigModel):
    """``generator_params`` of an autoencoder."""

    input_channels: Literal[1]
    output_channels: Literal[1]
    encode_channels: PositiveInt
    decode_channels: PositiveInt
    code_dim: PositiveInt
    codebook_num: PositiveInt
    codebook_size: PositiveInt
    bias: bool
    enc_ratios: PositiveInts
    dec_ratios: PositiveInts
    enc_strides: PositiveInts
    dec_strides: PositiveInts
    mode: Literal["causal"]
    codec: Literal["audiodec", "activate_audiodec"]
    projector: Literal["conv1d"]
    quantier: Literal["residual_vq"]
    nonlinear_activation: Literal["ELU"] = "ELU"

    @property
    def activated(self) -> bool:
        """Whether the blocks have activations between them, and the output a tanh."""
        return self.codec == "activate_audiodec"


class LeakyReluParams(ConfigModel):
    """``nonlinear_activation_params`` of a vocoder."""

    negative_slope: float = 0.01


class VocoderParams(ConfigModel):
    """``generator_params`` of a vocoder."""

    in_channels: PositiveInt
    out_channels: Literal[1]
    channels: PositiveInt
    kernel_size: OddInt
    upsample_scales: PositiveInts
    upsample_kernel_sizes: PositiveInts
    resblock_kernel_sizes: Annotated[list[OddInt], Field(min_length=1)]
    resblock_dilations: list[PositiveInts]
    groups: PositiveInt
    bias: bool
    use_additional_convs: bool
    nonlinear_activation: Literal["LeakyReLU"]
    nonlinear_activation_params: LeakyReluParams
    stats: str | None = None

    @property
    def slope(self) -> float:
        return self.nonlinear_activation_params.negative_slope

    @property
    def in_groups(self) -> bool:
        """Whether a stage is one residual block per group, not the mean of blocks of different kernels."""
        return len(self.resblock_kernel_sizes) == 1 and self.groups > 1


class ResidualUnit(nn.Module):
    """``x + conv1x1(ELU(conv7_dilated(ELU(x))))``."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = CausalConv1d(channels, channels, 7, dilation=dilation, bias=False)
        self.conv2 = nn.Conv1d(channels, channels, 1, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        branch: Tensor = self.conv2(elu(self.conv1(elu(hidden)), inplace=True))
        return branch.add_(hidden)


class Block(nn.Module):
    """Residual units and a resampling convolution; the encoder resamples last, the decoder first."""

    def __init__(self, channels: int, conv: nn.Module, resample_first: bool) -> None:
        super().__init__()
        self.res_units = nn.ModuleList(ResidualUnit(channels, dilation) for dilation in DILATIONS)
        self.conv = conv
        self.resample_first = resample_first

    def forward(self, hidden: Tensor) -> Tensor:
        if self.resample_first:
            hidden = self.conv(hidden)
        for unit in self.res_units:
            hidden = unit(hidden)
        return hidden if self.resample_first else self.conv(hidden)


class Encoder(nn.Module):
    """Waveform ``[batch, 1, samples]`` to ``[batch, channels, frames]``."""

    def __init__(self, params: AutoencoderParams) -> None:
        super().__init__()
        width = params.encode_channels
        self.conv = CausalConv1d(1, width, 7, bias=False)
        self.conv_blocks = nn.ModuleList()
        for ratio, stride in zip(params.enc_ratios, params.enc_strides, strict=True):
            wider = params.encode_channels * ratio
            down = CausalConv1d(width, wider, 2 * stride, stride=stride, bias=params.bias)
            self.conv_blocks.append(Block(width, down, resample_first=False))
            width = wider
        if params.activated:
            self.conv_blocks.append(nn.ELU(inplace=True))
        self.channels_out = width

    def forward(self, wav: Tensor) -> Tensor:
        hidden: Tensor = self.conv(wav)
        for block in self.conv_blocks:
            hidden = block(hidden)
        return hidden


class Decoder(nn.Module):
    """Latent ``[batch, code_dim, frames]`` to waveform ``[batch, 1, frames * hop]``."""

    def __init__(self, params: AutoencoderParams) -> None:
        super().__init__()
        widths = [params.decode_channels * ratio for ratio in (*params.dec_ratios, 1)]
        self.conv1 = CausalConv1d(params.code_dim, widths[0], 7, bias=False)
        self.conv_blocks = nn.ModuleList()
        for width, narrower, stride in zip(widths[:-1], widths[1:], params.dec_strides, strict=True):
            up = CausalConvTranspose1d(width, narrower, stride, bias=params.bias)
            block = Block(narrower, up, resample_first=True)
            self.conv_blocks.append(nn.Sequential(nn.ELU(inplace=True), block) if params.activated else block)
        if params.activated:
            self.conv_blocks.append(nn.ELU(inplace=True))
        self.conv2 = CausalConv1d(widths[-1], 1, 7, bias=False)
        self.activated = params.activated

    def forward(self, latent: Tensor) -> Tensor:
        hidden = self.conv1(latent)
        for block in self.conv_blocks:
            hidden = block(hidden)
        wav: Tensor = self.conv2(hidden)
        return wav.tanh_() if self.activated else wav


class Autoencoder(nn.Module):
    """All of an autoencoder's checkpoint file."""

    def __init__(self, params: AutoencoderParams) -> None:
        super().__init__()
        self.params = params
        self.encoder = Encoder(params)
        self.projector = nn.ModuleDict(
            {"project": CausalConv1d(self.encoder.channels_out, params.code_dim, 3, bias=False)}
        )
        self.quantizer = ResidualVectorQuantizer(params.codebook_num, params.codebook_size, params.code_dim)
        self.decoder = Decoder(params)


def fusion(params: VocoderParams, channels: int) -> nn.Module:
    """What follows an upsampling to ``channels``."""
    settings = list(zip(params.resblock_kernel_sizes, params.resblock_dilations, strict=True))
    block = partial(
        ResidualBlock,
        channels,
        paired=params.use_additional_convs,
        slope=params.slope,
        convolution=CausalConv1d,
        bias=params.bias,
    )
    if params.in_groups:
        return GroupedFusion(channels, [block(*settings[0]) for _ in range(params.groups)])
    return MultiReceptiveField([block(*setting, groups=params.groups) for setting in settings])


class Vocoder(nn.Module):
    """HiFi-GAN on latents: ``[batch, code_dim, frames]``, normalised, to waveform ``[batch, 1, frames * hop]``."""

    mean: Tensor | None
    scale: Tensor | None

    def __init__(self, params: VocoderParams) -> None:
        super().__init__()
        for name in ("mean", "scale"):
            self.register_buffer(name, torch.zeros(params.in_channels) if params.stats else None)
        width = params.channels
        self.input_conv = CausalConv1d(params.in_channels, width, params.kernel_size)
        self.upsamples, self.blocks = nn.ModuleList(), nn.ModuleList()
        for stride, kernel in zip(params.upsample_scales, params.upsample_kernel_sizes, strict=True):
            if kernel != 2 * stride:
                raise ValueError(f"upsampling kernel {kernel} is not twice its stride {stride}")
            self.upsamples.append(CausalConvTranspose1d(width, width // 2, stride))
            width //= 2
            self.blocks.append(fusion(params, width))
        self.output_conv = CausalConv1d(width, 1, params.kernel_size)
        self.slope = params.slope

    def forward(self, latent: Tensor) -> Tensor:
        if self.mean is not None and self.scale is not None:
            latent = ((latent.transpose(1, -1) - self.mean) / self.scale).transpose(1, -1)
        hidden = self.input_conv(latent)
        for upsample, block in zip(self.upsamples, self.blocks, strict=True):
            hidden = block(upsample(leaky_relu(hidden, self.slope, inplace=True)))
        wav: Tensor = self.output_conv(leaky_relu(hidden, inplace=True))  # torch's slope, whatever the config's
        return wav.tanh_()
