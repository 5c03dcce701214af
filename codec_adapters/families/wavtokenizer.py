"""WavTokenizer: one large codebook, a SEANet encoder and a Vocos decoder.

Paper: Ji et al., "WavTokenizer: an Efficient Acoustic Discrete Codec Tokenizer for Audio Language Modeling",
arXiv 2408.16532. Upstream: jishengpeng/WavTokenizer (MIT). Releases: hub repositories ``novateur/WavTokenizer`` (small)
and ``novateur/WavTokenizer-medium-...``, ``-large-...``, which differ in training data only.

A checkpoint is a folder with a training configuration (``*.yaml``) and a training checkpoint (``*.ckpt``), of which
only the network's tensors are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, cast

import torch
from pydantic import AliasPath, Field
from torch import Tensor, nn

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import OptionError
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import ConfigModel, PositiveInt, PositiveInts, read_yaml, validated
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.quantization import ResidualVectorQuantizer, stack_encodec_codebooks
from codec_adapters.layers.seanet import SeanetEncoder
from codec_adapters.layers.seanet_settings import SeanetSettings, settings_of_encoder
from codec_adapters.layers.vocos import IstftHead, VocosBackbone, VocosSizes
from codec_adapters.layers.weight_norm import folded_state

_ENCODEC = "feature_extractor.encodec."
"""What the keys of encoder and quantizer begin with."""
_TRAINING_ONLY = (
    f"{_ENCODEC}decoder.",
    "multiperioddisc.",
    "multiresddisc.",
    "dac.",
    "dacdiscriminator.",
    "melspec_loss.",
)
"""Beginnings of the keys that only training needs."""


def _at(path: str) -> AliasPath:
    """Return the place of a network's setting, such as ``backbone.dim``, in the training configuration."""
    *part, key = path.split(".")
    return AliasPath("model", "init_args", *part, *["init_args"] * len(part), key)


class WavTokenizerConfig(ConfigModel):
    """The keys of the configuration that shape the network. The classes that it names are never imported."""

    sample_rate: Annotated[PositiveInt, Field(validation_alias=_at("sample_rate"))]
    ratios: Annotated[PositiveInts, Field(validation_alias=_at("feature_extractor.dowmsamples"))]  # upstream's spelling
    codebooks: Annotated[PositiveInt, Field(validation_alias=_at("feature_extractor.num_quantizers"))]
    entries: Annotated[PositiveInt, Field(validation_alias=_at("feature_extractor.vq_bins"))]
    dimension: Annotated[PositiveInt, Field(validation_alias=_at("backbone.input_channels"))]
    dim: Annotated[PositiveInt, Field(validation_alias=_at("backbone.dim"))]
    intermediate_dim: Annotated[PositiveInt, Field(validation_alias=_at("backbone.intermediate_dim"))]
    num_layers: Annotated[PositiveInt, Field(validation_alias=_at("backbone.num_layers"))]
    conditions: Annotated[PositiveInt, Field(validation_alias=_at("backbone.adanorm_num_embeddings"))]
    n_fft: Annotated[PositiveInt, Field(validation_alias=_at("head.n_fft"))]
    hop_length: Annotated[PositiveInt, Field(validation_alias=_at("head.hop_length"))]
    padding: Annotated[Literal["same"], Field(validation_alias=_at("head.padding"))]

    @property
    def decoder(self) -> VocosSizes:
        """Sizes of the decoder."""
        return VocosSizes(
            input_channels=self.dimension,
            dim=self.dim,
            intermediate_dim=self.intermediate_dim,
            num_layers=self.num_layers,
            conditions=self.conditions,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
        )


class WavTokenizerAdapter(Adapter):
    """Adapter of WavTokenizer (Ji et al., arXiv 2408.16532; jishengpeng/WavTokenizer).

    24 kHz mono, hop 320 or 600 (75 or 40 frames/s), one codebook of 4096. ``encode`` gives one tensor ``[batch, 1,
    ceil(samples / hop)]``. Option ``bandwidth_id`` is the row of the decoder's adaptive norms, 0 in all of upstream's
    recipes. Nothing is random. Attention and group norms in the decoder run over the whole clip. Outputs are not cut to
    the input's length (``frames * hop`` samples) and not limited to [-1, 1].
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        weights_path = setup.file("*.ckpt")
        config_path = setup.file("*.yaml")
        self.config = validated(WavTokenizerConfig, read_yaml(config_path), config_path)
        self.network = _load(weights_path, self.config, config_path).eval().to(setup.device)
        self.network.to_precision(setup.dtype)
        self.condition = int(setup.options["bandwidth_id"])
        if not 0 <= self.condition < self.config.conditions:
            raise OptionError(
                f"{setup.spec.name}: bandwidth_id must be 0 to {self.config.conditions - 1}, got {self.condition}"
            )

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @property
    def hop(self) -> int:
        return self.config.hop_length

    @property
    def codebooks(self) -> int:
        return 1

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.network.encodec.quantizer.bits

    @property
    def length_multiple(self) -> int:
        return 1  # the codec fills its last frame by mirroring the signal, not with zeros

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return self.network.decode(self.network.encodec(wav), self.condition)

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale(self.network.encodec.quantizer.entries[:1])])

    def _encode(self, wav: Tensor) -> Codes:
        return Codes([self.network.encodec(wav)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return self.network.decode(codes[0], self.condition)


class Encodec(nn.Module):
    """The encoder and quantizer that WavTokenizer takes from EnCodec.

    Args:
        codebooks: shape of the codebooks, (stages, entries, dim).
    """

    def __init__(self, settings: SeanetSettings, codebooks: Sequence[int]) -> None:
        super().__init__()
        self.encoder: nn.Module = SeanetEncoder(settings)
        self.quantizer = ResidualVectorQuantizer(*codebooks)

    def latent(self, wav: Tensor) -> Tensor:
        """Return the latent ``[batch, dimension, frames]`` of ``wav`` ``[batch, samples]``."""
        latent: Tensor = self.encoder(wav[:, None])
        return latent

    def forward(self, wav: Tensor) -> Tensor:
        """Return the codes ``[batch, 1, frames]`` of ``wav`` ``[batch, samples]``.

        Upstream's inference uses only the first codebook, whatever their number.
        """
        return self.quantizer.encode(self.latent(wav), 1)


class WavTokenizer(nn.Module):
    """The parts of the network that inference needs, under their names in training.

    Raises:
        ValueError: encoder and decoder have frames of different lengths.
    """

    def __init__(self, encoder: SeanetSettings, codebooks: Sequence[int], decoder: VocosSizes) -> None:
        super().__init__()
        if encoder.hop != decoder.hop_length:
            raise ValueError(f"frames of {encoder.hop} samples in, {decoder.hop_length} out")
        self.feature_extractor = nn.ModuleDict({"encodec": Encodec(encoder, codebooks)})
        self.backbone: nn.Module = VocosBackbone(decoder)
        self.head = IstftHead(decoder)

    @property
    def encodec(self) -> Encodec:
        """Encoder and quantizer."""
        return cast(Encodec, self.feature_extractor["encodec"])

    def to_precision(self, dtype: torch.dtype) -> None:
        """Convert encoder and backbone to ``dtype``; LSTM, quantizer and Fourier transform stay in float32."""
        self.encodec.encoder = in_precision(self.encodec.encoder, dtype, float32=(nn.LSTM,))
        self.backbone = in_precision(self.backbone, dtype)

    def decode(self, codes: Tensor, condition: int) -> Tensor:
        """Return the waveform, float32 ``[batch, frames * hop]``, of codes ``[batch, 1, frames]``."""
        wav: Tensor = self.head(self.backbone(self.encodec.quantizer.decode(codes), condition))
        return wav


def _load(path: Path, config: WavTokenizerConfig, config_path: Path) -> WavTokenizer:
    """Build the network; sizes that the configuration does not state are read from the tensors' shapes."""
    state = folded_state(tensor_state(read_tensors(path).get("state_dict"), path))
    stack_encodec_codebooks(state, f"{_ENCODEC}quantizer.", path)
    encoder = settings_of_encoder(state, f"{_ENCODEC}encoder.", path)
    encoder = replace(encoder, ratios=tuple((ratio,) for ratio in config.ratios), dimension=config.dimension)
    embed = state.get("backbone.embed.weight")
    decoder = config.decoder if embed is None else replace(config.decoder, kernel_size=embed.shape[-1])
    with network_from(config_path):
        network = WavTokenizer(encoder, (config.codebooks, config.entries, config.dimension), decoder)
    load_strict(network, state, path, _TRAINING_ONLY)
    return network
