"""HiFi-Codec of AcademiCodec: a HiFi-GAN-type autoencoder around a group-residual quantizer.

Paper: Yang et al., "HiFi-Codec: Group-residual Vector quantization for High Fidelity Audio Codec", arXiv 2305.02765.
Upstream: yangdongchao/AcademiCodec (MIT, says its readme). 16 kHz with hop 320, 24 kHz with hop 240 or 320: 50, 100 or
75 frames/s of 4 codebooks of 1024 (two stages of two groups). A checkpoint is one torch file ``{"generator": ...,
"encoder": ..., "quantizer": ...}`` without extension (hub repository ``Dongchao/AcademiCodec``) and its JSON config
(from the code repository) in the same folder. The hop is the product of ``upsample_rates``; the config's own
``hop_size`` is a setting of the training loss.

Input ``[batch, samples]`` becomes ``samples // hop`` frames and those become ``frames * hop`` samples: an output
shorter than the input, as upstream's script writes it. The encoder's group norms average over the whole clip, so that
nothing is local and a zero appended changes codes anywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.errors import CheckpointError, InputError
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, take_stacked, tensors_at
from codec_adapters.files.config import ConfigModel, OddInt, PositiveInts, read_json, validated
from codec_adapters.layers.channels_last import fastest_layout
from codec_adapters.layers.hifigan import ResidualBlock, fused, same_conv1d
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.quantization import GroupedResidualVectorQuantizer
from codec_adapters.layers.weight_norm import folded_state

PARTS = ("encoder", "quantizer", "generator")
"""State dicts of a checkpoint file, and parts of :class:`HifiCodec`."""
TRAINING = ("mpd", "msd", "mstftd", "optim_g", "optim_d", "steps", "epoch")
"""What upstream's trainer keeps: discriminators, optimizers, counters."""
SLOPE = 0.1
"""Leaky ReLU, but for the one at the end of the encoder, which has torch's default of 0.01."""
CHANNELS_PER_NORM_GROUP = 16
STAGES = 2
"""Residual stages of the quantizer; no setting for it in the config."""
PEAK = 0.95
"""Where option ``peak_normalise`` puts the largest absolute sample."""


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
    def resamplings(self) -> list[tuple[int, int]]:
        """(stride, kernel) per stage of the generator; the encoder has them the other way round."""
        return list(zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True))

    def residual_blocks(self, channels: int) -> list[ResidualBlock]:
        """The blocks of one stage of the generator; the encoder has them the other way round."""
        count = {"1": 3, "2": 2}[self.resblock]
        settings = list(zip(self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=True))
        if any(len(dilations) < count for _, dilations in settings):
            raise ValueError(f"resblock {self.resblock} needs {count} dilations per block")
        paired = self.resblock == "1"
        return [ResidualBlock(channels, k, d[:count], paired=paired, slope=SLOPE) for k, d in settings]


def _padding(kernel: int, stride: int) -> int:
    if kernel < stride:
        raise ValueError(f"kernel {kernel} is smaller than stride {stride}")
    return (kernel - stride) // 2


def _in_stages(modules: nn.ModuleList, stages: int) -> list[list[nn.Module]]:
    """The blocks of each stage, from the flat list that they have in a checkpoint."""
    flat = list(modules)
    size = len(flat) // stages
    return [flat[first : first + size] for first in range(0, len(flat), size)]


class Encoder(nn.Module):
    """Waveform ``[batch, 1, samples]`` to latent ``[batch, latent, frames]``."""

    def __init__(self, config: HifiCodecConfig, width: int, latent: int) -> None:
        super().__init__()
        self.conv_pre = same_conv1d(1, width, 7)
        self.ups, self.resblocks, self.normalize = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stride, kernel in reversed(config.resamplings):
            self.ups.append(nn.Conv1d(width, 2 * width, kernel, stride, padding=_padding(kernel, stride)))
            width *= 2
            for block in reversed(config.residual_blocks(width)):
                self.resblocks.append(block)
                self.normalize.append(nn.GroupNorm(width // CHANNELS_PER_NORM_GROUP, width, eps=1e-6))
        self.conv_post = same_conv1d(width, latent, 3)

    def forward(self, wav: Tensor) -> Tensor:
        hidden = self.conv_pre(wav)
        stages = len(self.ups)
        for down, blocks, norms in zip(
            self.ups, _in_stages(self.resblocks, stages), _in_stages(self.normalize, stages), strict=True
        ):
            hidden = self._fused(blocks, norms, down(leaky_relu(hidden, SLOPE, inplace=True)))
        latent: Tensor = self.conv_post(leaky_relu(hidden, inplace=True))
        return latent

    @staticmethod
    def _fused(blocks: list[nn.Module], norms: list[nn.Module], hidden: Tensor) -> Tensor:
        """Fusion as in the generator, but the running sum, not each branch, is normalised after every term."""
        total: Tensor = norms[0](blocks[0](hidden))
        for block, norm in zip(blocks[1:], norms[1:], strict=True):
            total = norm(total.add_(block(hidden)))
        return total.div_(len(blocks))


class Generator(nn.Module):
    """Latent ``[batch, latent, frames]`` to waveform ``[batch, 1, frames * hop]``: HiFi-GAN without a spectrogram."""

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
        for up, blocks in zip(self.ups, _in_stages(self.resblocks, len(self.ups)), strict=True):
            hidden = fused(blocks, up(leaky_relu(hidden, SLOPE, inplace=True)))
        wav: Tensor = self.conv_post(leaky_relu(hidden, SLOPE, inplace=True))
        return wav.tanh_()


class HifiCodec(nn.Module):
    """The three parts of a checkpoint; ``width`` of the encoder's first layer and ``latent`` have no config key."""

    def __init__(self, config: HifiCodecConfig, width: int, latent: int) -> None:
        super().__init__()
        if latent % config.n_code_groups:
            raise ValueError(f"{latent} channels do not split into {config.n_code_groups} groups")
        self.encoder = Encoder(config, width, latent)
        self.quantizer = GroupedResidualVectorQuantizer(config.n_code_groups, STAGES, config.n_codes, latent)
        self.generator = Generator(config, latent)


def load_network(config: HifiCodecConfig, document: Mapping[str, Any], path: Path) -> HifiCodec:
    """The network of ``config`` with the weights ``document``, which came from the file ``path``.

    Raises:
        CheckpointError: the two do not fit.
    """
    state: dict[str, Tensor] = {}
    for part in PARTS:
        own = tensors_at(document, path, [part], (*PARTS, *TRAINING))
        # blocks of type 2 call their convolutions "convs"
        state.update({f"{part}.{key}".replace(".convs.", ".convs1."): value for key, value in own.items()})
    state = folded_state(state)
    for group in range(config.n_code_groups):
        stages = [f"quantizer.quantizer_modules{stage}.{group}.embedding.weight" for stage in ("", "2")]
        state[f"quantizer.groups.{group}.embed"] = take_stacked(state, stages, path)
    with network_from(path):
        width, latent = (_channels_out(state, f"encoder.conv_{end}.weight", path) for end in ("pre", "post"))
        network = HifiCodec(config, width, latent)
    load_strict(network, state, path)
    return network.eval()


def _channels_out(state: Mapping[str, Tensor], key: str, path: Path) -> int:
    if key not in state or state[key].ndim != 3:
        raise CheckpointError(f"{path}: does not fit, lacks a convolution {key}")
    return state[key].shape[0]


def find_files(setup: Setup) -> tuple[Path, Path]:
    """The weights and the config of a checkpoint, by their official names or as the only ones there.

    Raises:
        CheckpointError: one is missing, or they are of two models (16 and 24 kHz have networks of the same shapes).
    """
    weights_path, config_path = setup.file("HiFi-Codec*"), setup.file("*.json")
    tag = re.fullmatch(r"config_(\d+k)_(\d+d)\.json", config_path.name)
    if weights_path.name.startswith("HiFi-Codec") and tag and "-".join(tag.groups()) not in weights_path.name:
        raise CheckpointError(f"{config_path}: is not the config of {weights_path.name}")
    return weights_path, config_path


def peak_normalised(wav: Tensor) -> Tensor:
    """``wav`` ``[batch, samples]``, each item scaled to a largest absolute sample of 0.95; silence stays silence."""
    peak = wav.abs().amax(dim=1, keepdim=True)
    return wav / peak.where(peak >= torch.finfo(wav.dtype).tiny, 1.0) * PEAK


class HifiCodecAdapter(Adapter):
    """HiFi-Codec.

    Option ``peak_normalise`` scales the input to a peak of 0.95 first and does not undo it, as upstream's notebook and
    all its training did and its current script does not.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        weights, config = find_files(setup)
        self.config = validated(HifiCodecConfig, read_json(config), config)
        network = load_network(self.config, read_tensors(weights), weights).to(setup.device)
        self.quantizer = network.quantizer
        self.encoder = in_precision(fastest_layout(network.encoder, setup.device), setup.dtype)
        self.generator = in_precision(fastest_layout(network.generator, setup.device), setup.dtype)

    @property
    def sample_rate(self) -> int:
        return self.config.sampling_rate

    @property
    def hop(self) -> int:
        return math.prod(self.config.upsample_rates)

    @property
    def codebooks(self) -> int:
        return STAGES * self.config.n_code_groups

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.codebooks * math.log2(self.config.n_codes)

    @property
    def length_multiple(self) -> int:
        return 1  # no padding by itself, and any padding changes codes

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return self._generate(self._codes(wav))

    def _encode(self, wav: Tensor) -> Codes:
        return Codes([self._codes(wav)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return self._generate(self._checked_codes(codes, [self.config.n_codes] * self.codebooks))

    def _codes(self, wav: Tensor) -> Tensor:
        if not self._frames(wav.shape[1]):
            raise InputError(f"{self.spec.name}: {wav.shape[1]} samples are less than one frame of {self.hop}")
        if self.options["peak_normalise"]:
            wav = peak_normalised(wav)
        return self.quantizer.encode(self.encoder(wav[:, None]))

    def _generate(self, codes: Tensor) -> Tensor:
        wav: Tensor = self.generator(self.quantizer.decode(codes))[:, 0]
        return wav

    def _frames(self, samples: int) -> int:
        for stride, kernel in reversed(self.config.resamplings):
            samples = max(0, (samples + 2 * _padding(kernel, stride) - kernel) // stride + 1)
        return samples
