"""FunCodec: RVQ codecs over the waveform (``encodec`` releases) and over its spectrogram (``freq_codec``).

Paper: Du et al., "FunCodec: A Fundamental, Reproducible and Integrable Open-source Toolkit for Neural Speech Codec",
arXiv 2309.07405. Upstream: modelscope/FunCodec (MIT); the model cards state MIT for the weights. A checkpoint is
``config.yaml`` (a dump of the training arguments, which describe the whole network) and ``model.pth`` (a flat state
dict, the discriminator included).
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import InputError, OptionError
from codec_adapters.families.funcodec_config import FuncodecConfig, QuantizerConfig
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import find_file, read_yaml, required_file, validated
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.quantization import ResidualVectorQuantizer
from codec_adapters.layers.seanet import SeanetDecoder, SeanetEncoder
from codec_adapters.layers.spectrum import MagnitudeAngle, MagnitudePhase, Waveform
from codec_adapters.layers.weight_norm import folded_state

_NOT_FOR_INFERENCE = (
    "discriminator.",
    "mel_spec_transforms.",
    "enc_trans_func.",
    "dec_trans_func.",
    "quantizer.rq.model.embed_avg",
    "quantizer.rq.model.cluster_size",
    "quantizer.rq.model.inited",
)
"""Beginnings of the keys in ``model.pth`` that only training needs, and of the Hann windows of the spectral domains."""

_SILENCE = 1e-8
"""Upstream adds this to the RMS, so that digital silence does not lead to a division by zero."""


class Quantizer(nn.Module):
    """Residual quantizer, with a projection before and after if its codewords have another width than the latent."""

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__()
        width = config.codec_dim or dimension
        codebooks = ResidualVectorQuantizer(config.num_quantizers, config.codebook_size, width)
        self.rq = nn.ModuleDict({"model": codebooks})
        self.input_proj = nn.Linear(dimension, width) if width != dimension else nn.Identity()
        self.output_proj = nn.Linear(width, dimension) if width != dimension else nn.Identity()
        self.range = config.codec_range

    @property
    def codebooks(self) -> ResidualVectorQuantizer:
        """The residual quantizer itself."""
        return cast(ResidualVectorQuantizer, self.rq["model"])

    def encode(self, latent: Tensor, stages: int) -> Tensor:
        """Quantize a latent ``[batch, dimension, frames]`` to int64 codes ``[batch, stages, frames]``."""
        vectors = self.input_proj(latent.transpose(1, 2))
        if self.range is not None:
            vectors = vectors.tanh() * self.range
        return self.codebooks.encode(vectors.transpose(1, 2), stages)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the quantized latent ``[batch, dimension, frames]`` of codes ``[batch, stages, frames]``."""
        return self.output_proj(self.codebooks.decode(codes).transpose(1, 2)).transpose(1, 2)


class FuncodecNetwork(nn.Module):
    """Encoder, quantizer and decoder of a FunCodec model, for waveforms of unit RMS."""

    def __init__(self, config: FuncodecConfig) -> None:
        super().__init__()
        self.encoder: nn.Module = SeanetEncoder(config.encoder_conf.settings)
        self.quantizer = Quantizer(config.quantizer_conf, config.encoder_conf.dimension)
        self.decoder: nn.Module = SeanetDecoder(config.decoder_conf.settings)
        self.domain = _domain(config)
        self.frames_per_code = config.encoder_conf.settings.hop

    def analyse(self, wav: Tensor) -> Tensor:
        """Return the latent ``[batch, dimension, frames]`` of ``wav`` ``[batch, samples]``."""
        return self.encoder(self.domain.analyse(wav))

    def synthesise(self, latent: Tensor) -> Tensor:
        """Return the waveform ``[batch, samples]`` of a quantized latent, not cut to the input's length."""
        return self.domain.synthesise(self.decoder(latent))

    def check_sizes(self) -> None:
        """Run an empty image through encoder and decoder; meant for the meta device, where it costs nothing.

        Raises:
            ValueError, RuntimeError: encoder, decoder and domain do not fit together.
        """
        image = torch.empty(1, *self.domain.shape(2 * self.frames_per_code))
        decoded = self.decoder(self.encoder(image))
        if decoded.shape != image.shape:
            raise ValueError(f"{list(image.shape[1:])} becomes {list(decoded.shape[1:])}")


def _domain(config: FuncodecConfig) -> Waveform:
    """Return the domain that the network codes: the waveform or one of the two spectrograms."""
    sizes = config.model_conf.domain_conf
    match config.domain:
        case "mag_phase":
            return MagnitudePhase(sizes.n_fft, sizes.hop_length)
        case "mag_angle":
            return MagnitudeAngle(sizes.n_fft, sizes.hop_length)
        case _:
            return Waveform()


class FuncodecAdapter(Adapter):
    """Adapter of FunCodec (Du et al., arXiv 2309.07405; modelscope/FunCodec), in upstream's ``inference`` mode.

    16 kHz, hop 320 or 640 (50 or 25 frames/s), 32 codebooks of 1024, 500 or 250 bit/s each. An utterance is coded in
    one piece: scaled to unit RMS, coded, scaled back to its level and cut to its length. ``encode`` gives one tensor
    ``[batch, codebooks, frames]``, coarse to fine, and the level as ``codes.side["scale"]`` ``[batch, 1]``. Codes
    without it decode at unit RMS, which is upstream's ``decode`` mode. Nothing is random. Quirk: a norm over the whole
    utterance follows every convolution, so a single sample of padding changes every code; utterances should have their
    own length.

    Option ``bit_width`` (bit/s) sets how many codebooks are used: as many as fit into that rate, at least one; 0 means
    all.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        config_path = find_file(setup.folder, "config.yaml")
        config = validated(FuncodecConfig, read_yaml(config_path), config_path)
        with network_from(config_path):
            self.network = FuncodecNetwork(config).eval()
            self.network.check_sizes()
        weights = required_file(config_path.parent, "model.pth")
        state = tensor_state(read_tensors(weights), weights)
        needed = {key: value for key, value in state.items() if not key.startswith(_NOT_FOR_INFERENCE)}
        load_strict(self.network, folded_state(needed), weights)
        self.network.to(setup.device)
        self.network.encoder = in_precision(self.network.encoder, setup.dtype, float32=(nn.LSTM,))
        self.network.decoder = in_precision(self.network.decoder, setup.dtype, float32=(nn.LSTM,))
        self.normalize = config.model_conf.audio_normalize
        self.sizes = config.quantizer_conf
        self.rate = config.model_conf.target_sample_hz
        self.stages = _stages(int(setup.options["bit_width"]), self.sizes, setup.spec.name)

    @property
    def sample_rate(self) -> int:
        return self.rate

    @property
    def hop(self) -> int:
        return self.network.domain.hop * self.network.frames_per_code

    @property
    def codebooks(self) -> int:
        return self.stages

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.stages * self.network.quantizer.codebooks.bits

    @property
    def length_multiple(self) -> int:
        return 1  # the norms and the RMS see every sample: an appended zero changes all codes

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale(self.network.quantizer.codebooks.entries, least=1)])

    def _encode(self, wav: Tensor) -> Codes:
        if wav.shape[1] < self.network.domain.min_samples:
            raise InputError(f"{self.spec.name}: needs {self.network.domain.min_samples} samples, got {wav.shape[1]}")
        side = {}
        if self.normalize:
            side["scale"] = wav.square().mean(dim=1, keepdim=True).sqrt() + _SILENCE
            wav = wav / side["scale"]
        return Codes([self.network.quantizer.encode(self.network.analyse(wav), self.stages)], side)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        codes = self._encode(wav)
        return self._generate(codes[0], codes.side.get("scale"))[:, : wav.shape[1]]

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        scale = codes.side.get("scale")
        if scale is not None and scale.shape != (len(codes[0]), 1):
            raise InputError(f"{self.spec.name}: side 'scale' must be [{len(codes[0])}, 1], got {list(scale.shape)}")
        return self._generate(codes[0], scale)

    def _generate(self, codes: Tensor, scale: Tensor | None) -> Tensor:
        wav = self.network.synthesise(self.network.quantizer.decode(codes))
        return wav if scale is None else wav * scale


def _stages(bit_width: int, sizes: QuantizerConfig, name: str) -> int:
    """Return how many codebooks fit into ``bit_width`` bit/s, at least one; all for 0."""
    if bit_width < 0:
        raise OptionError(f"{name}: option 'bit_width' must be 0 (all codebooks) or bit/s, got {bit_width}")
    if bit_width == 0:
        return sizes.num_quantizers
    per_stage = math.log2(sizes.codebook_size) * sizes.sampling_rate / sizes.encoder_hop_length
    return min(max(1, math.floor(bit_width / per_stage)), sizes.num_quantizers)
