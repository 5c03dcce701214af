"""SNAC through the ``snac`` package.

Paper: Siuzdak et al., "SNAC: Multi-Scale Neural Audio Codec", arXiv 2410.14411. Upstream: hubertsiuzdak/snac (MIT).
Checkpoints: hub snapshots ``hubertsiuzdak/snac_24khz``, ``hubertsiuzdak/snac_32khz`` and ``hubertsiuzdak/snac_44khz``,
each ``config.json`` and ``pytorch_model.bin`` (a flat state dict).
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import ConfigDict, Field
from snac import SNAC
from snac.layers import DecoderBlock, NoiseBlock
from torch import Generator, Tensor, nn

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, refuse_misfits, tensor_state
from codec_adapters.files.config import (
    ConfigModel,
    PositiveInt,
    PositiveInts,
    read_network_config,
    required_file,
    validated,
)
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.weight_norm import fold_weight_norm

_Frames = Annotated[int, Field(gt=0, le=1024)]
"""A number of frames that no tensor's shape tells: inputs are padded to multiples of it."""


class SnacConfig(ConfigModel):
    """The arguments of the class ``SNAC``, as ``config.json`` has them; it has defaults for what is not there."""

    model_config = ConfigDict(extra="forbid")

    sampling_rate: PositiveInt | None = None
    encoder_dim: PositiveInt | None = None
    encoder_rates: PositiveInts | None = None
    latent_dim: PositiveInt | None = None
    decoder_dim: PositiveInt | None = None
    decoder_rates: PositiveInts | None = None
    attn_window_size: _Frames | None = None
    codebook_size: PositiveInt | None = None
    codebook_dim: PositiveInt | None = None
    vq_strides: Annotated[list[_Frames], Field(min_length=1, max_length=64)] | None = None
    noise: bool = True
    depthwise: bool = True


class SnacAdapter(Adapter):
    """Adapter of SNAC (Siuzdak et al., arXiv 2410.14411; hubertsiuzdak/snac).

    ``encode`` gives 3 or 4 levels of codes, coarse to fine, each ``[batch, 1, frames_i]``. The decoder adds Gaussian
    noise, one draw per decoder block, also in eval mode. Here each item of a batch draws its noise from its own CPU
    generator, seeded with the item's seed, in block order. These are the draws that upstream makes at batch 1 after
    ``torch.manual_seed(seed)``, and they do not depend on the batch or the device. Option ``noise`` false leaves the
    noise out; no upstream path does that, it is meant for experiments.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        config_path = required_file(setup.folder, "config.json")
        config = validated(SnacConfig, read_network_config(config_path), config_path).model_dump(exclude_unset=True)
        weights = required_file(setup.folder, "pytorch_model.bin")
        state = tensor_state(read_tensors(weights), weights)
        with network_from(config_path):
            refuse_misfits(SNAC(**config), state, weights)  # before memory is taken for what the config describes
        self.model = SNAC(**config)
        load_strict(self.model, state, weights)
        self.model.eval().to(setup.device)
        fold_weight_norm(self.model)
        self.model.encoder = in_precision(self.model.encoder, setup.dtype)
        self.model.decoder.to(setup.dtype)

    @property
    def sample_rate(self) -> int:
        return int(self.model.sampling_rate)

    @property
    def hop(self) -> int:
        return int(self.model.hop_length)

    @property
    def codebooks(self) -> int:
        return int(self.model.n_codebooks)

    @property
    def bitrate(self) -> float:
        codes_per_frame = sum(1 / stride for stride in self.model.vq_strides)
        return self.frame_rate * codes_per_frame * math.log2(self.model.codebook_size)

    @property
    def length_multiple(self) -> int:
        return self.hop * math.lcm(self.model.vq_strides[0], self.model.attn_window_size or 1)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        latent, _ = self._quantize(wav)
        return self._generate(latent, seeds)[:, : wav.shape[1]]

    def _code_form(self) -> CodeForm:
        scales = [Scale([self.model.codebook_size], stride=stride) for stride in self.model.vq_strides]
        return CodeForm(scales, multiple=self.model.attn_window_size or 1)

    def _encode(self, wav: Tensor) -> Codes:
        _, codes = self._quantize(wav)
        return Codes([level[:, None] for level in codes])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return self._generate(self.model.quantizer.from_codes([level[:, 0] for level in codes]), seeds)

    def _quantize(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        latent, codes = self.model.quantizer(self.model.encoder(self.model.preprocess(wav[:, None])))
        return latent, codes

    def _generate(self, latent: Tensor, seeds: list[int]) -> Tensor:
        generators = [Generator().manual_seed(seed % 2**63) for seed in seeds]
        hidden = latent.to(self.dtype)
        for layer in _flat_layers(self.model.decoder.model):
            if isinstance(layer, NoiseBlock):
                hidden = hidden + self._noise(hidden, generators) * layer.linear(hidden)
            else:
                hidden = layer(hidden)
        return hidden[:, 0].float()

    def _noise(self, hidden: Tensor, generators: list[Generator]) -> Tensor:
        """Return the noise ``[batch, 1, frames]`` for a block with the input ``hidden``, one generator per item."""
        shape = (hidden.shape[0], 1, hidden.shape[2])
        if not self.options["noise"]:
            return hidden.new_zeros(shape)
        draws = [torch.randn((1, 1, shape[2]), generator=generator) for generator in generators]
        return torch.cat(draws).to(hidden)


def _flat_layers(model: nn.Sequential) -> list[nn.Module]:
    """Return the decoder's layers in order, with the layers of its blocks listed one by one.

    So the noise steps are layers of their own, and can be run with each item's generator.
    """
    layers: list[nn.Module] = []
    for part in model:
        layers.extend(part.block if isinstance(part, DecoderBlock) else [part])
    return layers
