"""AudioDec's ``config.yml``: the keys that shape an autoencoder or a vocoder.

Keys of training are ignored. A value whose network is not built here (none was released) is refused.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from codec_adapters.files.config import ConfigModel, OddInt, PositiveInt, PositiveInts


class AutoencoderParams(ConfigModel):
    """Section ``generator_params`` of an autoencoder's config."""

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
        """Whether there are activations between the blocks and a tanh at the output."""
        return self.codec == "activate_audiodec"


class LeakyReluParams(ConfigModel):
    """Section ``nonlinear_activation_params`` of a vocoder's config."""

    negative_slope: float = 0.01


class VocoderParams(ConfigModel):
    """Section ``generator_params`` of a vocoder's config."""

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
        """Whether a stage is one residual block per group instead of the mean of blocks of different kernels."""
        return len(self.resblock_kernel_sizes) == 1 and self.groups > 1


class AutoencoderConfig(ConfigModel):
    """``config.yml`` of an autoencoder."""

    model_type: Literal["symAudioDec", "symAudioDecUniv"]
    sampling_rate: PositiveInt
    generator_params: AutoencoderParams

    @property
    def code_dim(self) -> int:
        return self.generator_params.code_dim

    @property
    def hop(self) -> int:
        return math.prod(self.generator_params.enc_strides)


class VocoderConfig(ConfigModel):
    """``config.yml`` of a vocoder. Both model types are the same network."""

    model_type: Literal["HiFiGAN", "UnivNet"]
    sampling_rate: PositiveInt
    generator_params: VocoderParams

    @property
    def code_dim(self) -> int:
        return self.generator_params.in_channels

    @property
    def hop(self) -> int:
        return math.prod(self.generator_params.upsample_scales)
