"""The network of HiFi-Codec (see :mod:`codec_adapters.families.academicodec`) and the config that it is built from.

Paper: Yang et al., arXiv 2305.02765. The layers have the names of upstream's state dicts.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from codec_adapters.files.config import ConfigModel, OddInt, PositiveInt, PositiveInts
from codec_adapters.layers.hifigan import ResidualBlock, fused, same_conv1d
from codec_adapters.layers.quantization import GroupedResidualVectorQuantizer

STAGES = 2
"""Residual stages of the quantizer. The config has no key for it."""
_SLOPE = 0.1
"""Negative slope of every leaky ReLU except the encoder's last one, which has torch's default of 0.01."""
_CHANNELS_PER_NORM_GROUP = 16


class HifiCodecConfig(ConfigModel):
    """The keys of the JSON config that the network is built from."""

    resblock: Literal["1", "2"]
    upsample_rates: PositiveInts
    upsample_kernel_sizes: PositiveInts
    upsample_initial_channel: PositiveInt
    resblock_kernel_sizes: Annotated[list[OddInt], Field(min_length=1)]
    resblock_dilation_sizes: list[PositiveInts]
    sampling_rate: PositiveInt
    n_code_groups: PositiveInt
    n_codes: PositiveInt

    @property
    def hop(self) -> int:
        """Samples per frame. The config's own ``hop_size`` is a setting of the training loss and not used."""
        return math.prod(self.upsample_rates)

    @property
    def resamplings(self) -> list[tuple[int, int]]:
        """(stride, kernel) of each stage, in the generator's order; the encoder has the reverse order."""
        return list(zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True))

    def frames(self, samples: int) -> int:
        """Return how many frames the encoder makes of ``samples`` samples; 0 for an input shorter than a frame."""
        for stride, kernel in reversed(self.resamplings):
            samples = max(0, (samples + 2 * _padding(kernel, stride) - kernel) // stride + 1)
        return samples

    def residual_blocks(self, channels: int) -> list[ResidualBlock]:
        """Return new residual blocks for one stage, in the generator's order; the encoder has the reverse order.

        Raises:
            ValueError: the config lists fewer dilations than the block type needs.
        """
        count = {"1": 3, "2": 2}[self.resblock]
        settings = list(zip(self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=True))
        if any(len(dilations) < count for _, dilations in settings):
            raise ValueError(f"resblock {self.resblock} needs {count} dilations per block")
        paired = self.resblock == "1"
        return [
            ResidualBlock(channels, kernel, dilations[:count], paired=paired, slope=_SLOPE)
            for kernel, dilations in settings
        ]


def _padding(kernel: int, stride: int) -> int:
    """Return the zeros to pad at each end of a resampling convolution."""
    if kernel < stride:
        raise ValueError(f"kernel {kernel} is smaller than stride {stride}")
    return (kernel - stride) // 2


def _by_stage(modules: nn.ModuleList, stages: int) -> list[list[nn.Module]]:
    """Split the flat list that a checkpoint has into one list of modules per stage."""
    flat = list(modules)
    size = len(flat) // stages
    return [flat[first : first + size] for first in range(0, len(flat), size)]


class Encoder(nn.Module):
    """Convolutional encoder: waveform ``[batch, 1, samples]`` to latent ``[batch, latent, frames]``.

    Its group norms average over the whole clip, so every sample has an effect on every frame.
    """

    def __init__(self, config: HifiCodecConfig, width: int, latent: int) -> None:
        super().__init__()
        self.conv_pre = same_conv1d(1, width, 7)
        self.ups, self.resblocks, self.normalize = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stride, kernel in reversed(config.resamplings):
            self.ups.append(nn.Conv1d(width, 2 * width, kernel, stride, padding=_padding(kernel, stride)))
            width *= 2
            for block in reversed(config.residual_blocks(width)):
                self.resblocks.append(block)
                self.normalize.append(nn.GroupNorm(width // _CHANNELS_PER_NORM_GROUP, width, eps=1e-6))
        self.conv_post = same_conv1d(width, latent, 3)

    def forward(self, wav: Tensor) -> Tensor:
        hidden = self.conv_pre(wav)
        stages = len(self.ups)
        all_blocks, all_norms = _by_stage(self.resblocks, stages), _by_stage(self.normalize, stages)
        for down, blocks, norms in zip(self.ups, all_blocks, all_norms, strict=True):
            hidden = self._fused(blocks, norms, down(leaky_relu(hidden, _SLOPE, inplace=True)))
        latent: Tensor = self.conv_post(leaky_relu(hidden, inplace=True))
        return latent

    @staticmethod
    def _fused(blocks: list[nn.Module], norms: list[nn.Module], hidden: Tensor) -> Tensor:
        """Fuse the blocks as the generator does, but normalise the running sum after each block is added."""
        total: Tensor = norms[0](blocks[0](hidden))
        for block, norm in zip(blocks[1:], norms[1:], strict=True):
            total = norm(total.add_(block(hidden)))
        return total.div_(len(blocks))


class Generator(nn.Module):
    """HiFi-GAN on latents: ``[batch, latent, frames]`` to waveform ``[batch, 1, frames * hop]`` within [-1, 1]."""

    def __init__(self, config: HifiCodecConfig, latent: int) -> None:
        super().__init__()
        width = config.upsample_initial_channel
        self.conv_pre = same_conv1d(latent, width, 7)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for stride, kernel in config.resamplings:
            self.ups.append(nn.ConvTranspose1d(width, width // 2, kernel, stride, padding=_padding(kernel, stride)))
            width //= 2
            self.resblocks.extend(config.residual_blocks(width))
        self.conv_post = same_conv1d(width, 1, 7)

    def forward(self, latent: Tensor) -> Tensor:
        hidden = self.conv_pre(latent)
        for up, blocks in zip(self.ups, _by_stage(self.resblocks, len(self.ups)), strict=True):
            hidden = fused(blocks, up(leaky_relu(hidden, _SLOPE, inplace=True)))
        wav: Tensor = self.conv_post(leaky_relu(hidden, _SLOPE, inplace=True))
        return wav.tanh_()


class HifiCodec(nn.Module):
    """Encoder, group-residual quantizer and generator of a HiFi-Codec checkpoint.

    Args:
        width: channels of the encoder's first layer; the config has no key for it.
        latent: channels of the latent; the config has no key for it.

    Raises:
        ValueError: the latent's channels cannot be split into the config's groups.
    """

    def __init__(self, config: HifiCodecConfig, width: int, latent: int) -> None:
        super().__init__()
        if latent % config.n_code_groups:
            raise ValueError(f"{latent} channels do not split into {config.n_code_groups} groups")
        self.encoder = Encoder(config, width, latent)
        self.quantizer = GroupedResidualVectorQuantizer(config.n_code_groups, STAGES, config.n_codes, latent)
        self.generator = Generator(config, latent)
