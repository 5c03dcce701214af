"""AcademiCodec's two codecs: HiFi-Codec, and its own training of EnCodec.

Papers: Yang et al., "HiFi-Codec: Group-residual Vector quantization for High Fidelity Audio Codec", arXiv 2305.02765
(the codec and the toolkit); Defossez et al., arXiv 2210.13438 (EnCodec). Upstream: yangdongchao/AcademiCodec (MIT,
according to its readme); weights in the hub repository ``Dongchao/AcademiCodec``.

HiFi-Codec: a checkpoint folder holds one torch file without extension, ``{"generator": ..., "encoder": ...,
"quantizer": ...}``, and its JSON config (from the code repository).

EnCodec: a checkpoint is one flat state dict, ``encodec_16k_320d.pth`` (16 kHz, hop 320, 24 codebooks of 1024),
``encodec_24khz_240d.pth`` (24 kHz, hop 240, 12) or ``encodec_24khz_32d.pth`` (24 kHz, hop 32, 2). Every key begins with
``module.``. There is no config: all sizes are read from the tensors' shapes, and the sample rate is the variant's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.families.academicodec_network import STAGES, HifiCodec, HifiCodecConfig
from codec_adapters.families.seanet_adapter import SeanetAdapter
from codec_adapters.files import weights
from codec_adapters.files.checkpoint import (
    load_strict,
    network_from,
    read_tensors,
    tensor_state,
    tensors_at,
)
from codec_adapters.files.config import find_file, read_json, validated
from codec_adapters.layers.channels_last import fastest_layout
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.quantization import stack_encodec_codebooks, take_codebooks
from codec_adapters.layers.seanet import SeanetCodec
from codec_adapters.layers.seanet_settings import settings_of_encoder
from codec_adapters.layers.weight_norm import folded_state
from codec_adapters.spec import CodecSpec

_PARTS = ("encoder", "quantizer", "generator")
"""State dicts of a HiFi-Codec checkpoint file, and parts of :class:`HifiCodec`."""
_TRAINING = ("mpd", "msd", "mstftd", "optim_g", "optim_d", "steps", "epoch")
"""What HiFi-Codec's trainer keeps in the same file: discriminators, optimizers, counters."""
_PEAK = 0.95
"""Largest absolute sample after option ``peak_normalise``."""
_PARALLEL = "module."
"""What torch's DistributedDataParallel puts before every key of an EnCodec checkpoint."""
_LEVEL_LIMIT = 0.99
"""Largest absolute sample that the EnCodec script writes."""


class HifiCodecAdapter(Adapter):
    """Adapter of HiFi-Codec (Yang et al., arXiv 2305.02765; yangdongchao/AcademiCodec).

    HiFi-Codec is a HiFi-GAN-type autoencoder around a group-residual quantizer: 16 kHz with hop 320, 24 kHz with hop
    240 or 320, that is 50, 100 or 75 frames/s. ``encode`` gives one tensor ``[batch, 4, samples // hop]`` of codes
    below 1024: two stages of two groups. ``decode`` gives ``frames * hop`` samples, so an output may be shorter than
    its input, as upstream's script writes it. Nothing is random. Quirk: the encoder's group norms average over the
    whole clip, so a zero appended to the input can change codes anywhere.

    Option ``peak_normalise`` scales the input to a peak of 0.95 first and does not undo it. Upstream's notebook and all
    its training do so; its current script does not.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        weights_path, config_path = find_files(setup)
        self.config = validated(HifiCodecConfig, read_json(config_path), config_path)
        network = load_network(self.config, read_tensors(weights_path), weights_path).to(setup.device)
        self.quantizer = network.quantizer
        self.encoder = in_precision(fastest_layout(network.encoder, setup.device), setup.dtype)
        self.generator = in_precision(fastest_layout(network.generator, setup.device), setup.dtype)

    @property
    def sample_rate(self) -> int:
        return self.config.sampling_rate

    @property
    def hop(self) -> int:
        return self.config.hop

    @property
    def codebooks(self) -> int:
        return STAGES * self.config.n_code_groups

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.codebooks * math.log2(self.config.n_codes)

    @property
    def length_multiple(self) -> int:
        return 1  # upstream pads nothing, and any padding changes codes

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return self._generate(self._codes(wav))

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale([self.config.n_codes] * self.codebooks)])

    def _encode(self, wav: Tensor) -> Codes:
        return Codes([self._codes(wav)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return self._generate(codes[0])

    def _codes(self, wav: Tensor) -> Tensor:
        if not self.config.frames(wav.shape[1]):
            raise InputError(f"{self.spec.name}: {wav.shape[1]} samples are less than one frame of {self.hop}")
        if self.options["peak_normalise"]:
            wav = peak_normalised(wav)
        return self.quantizer.encode(self.encoder(wav[:, None]))

    def _generate(self, codes: Tensor) -> Tensor:
        wav: Tensor = self.generator(self.quantizer.decode(codes))[:, 0]
        return wav


def find_files(setup: Setup) -> tuple[Path, Path]:
    """Return the weights file and the config file of a HiFi-Codec checkpoint.

    Each is found by its official name, or as the only file of its kind in the folder.

    Raises:
        CheckpointError: a file is missing, or the two belong to different models (the 16 and 24 kHz networks have the
            same shapes, so the weights alone cannot tell).
    """
    weights_path, config_path = setup.file("HiFi-Codec*"), setup.file("*.json")
    tag = re.fullmatch(r"config_(\d+k)_(\d+d)\.json", config_path.name)
    if weights_path.name.startswith("HiFi-Codec") and tag and "-".join(tag.groups()) not in weights_path.name:
        raise CheckpointError(f"{config_path}: is not the config of {weights_path.name}")
    return weights_path, config_path


def load_network(config: HifiCodecConfig, document: Mapping[str, Any], path: Path) -> HifiCodec:
    """Build HiFi-Codec's network from ``config`` and load the weights in ``document`` into it; eval mode, on the CPU.

    Args:
        document: what the checkpoint file holds.
        path: the checkpoint file, for messages.

    Raises:
        CheckpointError: config and weights do not fit together.
    """
    state: dict[str, Tensor] = {}
    for part in _PARTS:
        own = tensors_at(document, path, [part], (*_PARTS, *_TRAINING))
        # blocks of type 2 call their convolutions "convs"
        state.update({f"{part}.{key}".replace(".convs.", ".convs1."): value for key, value in own.items()})
    state = folded_state(state)
    for group in range(config.n_code_groups):
        stages = [f"quantizer.quantizer_modules{stage}.{group}.embedding.weight" for stage in ("", "2")]
        state[f"quantizer.groups.{group}.embed"] = take_codebooks(state, stages, path)
    width = _channels_out(state, "encoder.conv_pre.weight", path)
    latent = _channels_out(state, "encoder.conv_post.weight", path)
    with network_from(path):
        network = HifiCodec(config, width, latent)
    load_strict(network, state, path)
    return network.eval()


def _channels_out(state: Mapping[str, Tensor], key: str, path: Path) -> int:
    if key not in state or state[key].ndim != 3:
        raise CheckpointError(f"{path}: does not fit, lacks a convolution {key}")
    return state[key].shape[0]


def peak_normalised(wav: Tensor) -> Tensor:
    """Return ``wav`` ``[batch, samples]`` with each item scaled to a largest absolute sample of 0.95.

    Silence stays silence.
    """
    peak = wav.abs().amax(dim=1, keepdim=True)
    return wav / peak.where(peak >= torch.finfo(wav.dtype).tiny, 1.0) * _PEAK


class AcademiCodecEncodecAdapter(SeanetAdapter):
    """Adapter of AcademiCodec's EnCodec (upstream's class ``SoundStream``; yangdongchao/AcademiCodec).

    The network is a non-causal SEANet (arXiv 2210.13438) with codebooks of 1024. ``encode`` gives one tensor ``[batch,
    codebooks, ceil(samples / hop)]``, coarse to fine. Outputs are not cut to the input's length: ``frames * hop``
    samples. Nothing is random. Two switches of upstream's script are options:

    ``target_bw`` (kbit/s) sets how many of the checkpoint's codebooks are used: as many as fit into that rate, at least
    one, at most all. ``rescale``: the script never writes samples above 0.99 in absolute value; with ``rescale`` a
    louder clip is scaled down as a whole, without it samples are clipped.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.network = _load_encodec(_encodec_file(setup.folder, setup.spec)).eval().to(setup.device)
        self.network.to_precision(setup.dtype)
        target = float(setup.options["target_bw"])
        if not target > 0:
            raise OptionError(f"{setup.spec.name}: target_bw must be above 0 kbit/s, got {target}")
        frames_per_second = math.ceil(self.sample_rate / self.hop)
        kbps_per_codebook = self.network.quantizer.bits * frames_per_second / 1000
        fitting = math.floor(target / kbps_per_codebook)
        self.used = min(max(1, fitting), self.network.quantizer.stages)

    @property
    def sample_rate(self) -> int:
        return self.spec.sample_rate

    def _generate(self, codes: Tensor) -> Tensor:
        """Decode checked codes and limit the level of each item, upstream's last step before it writes a file."""
        wav = super()._generate(codes)
        if not self.options["rescale"]:
            return wav.clamp(-_LEVEL_LIMIT, _LEVEL_LIMIT)
        peak = wav.abs().amax(dim=1, keepdim=True)
        return wav * (_LEVEL_LIMIT / peak).clamp(max=1.0)


def _encodec_file(folder: Path, spec: CodecSpec) -> Path:
    """Return the variant's weights file, or the only one in the folder.

    Upstream's pages and scripts spell the file's name in several ways; each is accepted.
    """
    (official,) = weights.official_files(spec.checkpoint, "*.pth")
    spellings = (official, official.replace("k_", "khz_"), official.capitalize())
    present = [name for name in spellings if (folder / name).is_file()]
    return find_file(folder, present[0] if present else official, only="*.pth")


def _load_encodec(path: Path) -> SeanetCodec:
    """Build EnCodec's network, with all sizes read from the tensors' shapes."""
    state = folded_state(tensor_state(read_tensors(path), path))
    codebooks = stack_encodec_codebooks(state, f"{_PARALLEL}quantizer.", path)
    settings = settings_of_encoder(state, f"{_PARALLEL}encoder.", path)
    with network_from(path):
        network = SeanetCodec(settings, codebooks.shape)
    load_strict(nn.ModuleDict({"module": network}), state, path)
    return network
