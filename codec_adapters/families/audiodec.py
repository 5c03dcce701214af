"""AudioDec: a causal autoencoder with a residual quantizer, decoded by its own decoder or by a HiFi-GAN-type vocoder.

Paper: Wu et al., "AudioDec: An Open-source Streaming High-fidelity Neural Audio Codec", ICASSP 2023,
doi 10.1109/ICASSP49357.2023.10096509. Upstream: facebookresearch/AudioDec (CC BY-NC 4.0). 24 or 48 kHz, hop 300 (80 or
160 frames/s), 8 codebooks of 1024; one variant has hop 320 and 16 codebooks.

A checkpoint folder is upstream's ``exp`` folder or the one around it. A variant takes encoder, projector and codebooks
from one file and the decoder from another, the first and the second ``.pkl`` of its entry in ``weights.lock``, since
neither names nor contents tell which model's encoder goes with which decoder; beside each file lies its ``config.yml``.
A file is a torch file ``{"model": {"generator": state dict}}``. The statistics that a vocoder's config
names (``stats/*.npy``) are in its state dict too, and not read.

``samples`` become ``ceil(samples / hop)`` frames. Everything is causal, without look-ahead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.errors import CheckpointError
from codec_adapters.families.audiodec_network import Autoencoder, AutoencoderParams, Vocoder, VocoderParams
from codec_adapters.files import weights
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, take_stacked, tensors_at
from codec_adapters.files.config import ConfigModel, find_file, read_yaml, required_file, validated
from codec_adapters.layers.causal import keep_context_of
from codec_adapters.layers.channels_last import fastest_layout
from codec_adapters.layers.hifigan import split_groups
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.weight_norm import folded_state

TRAINING = ("optimizer", "scheduler", "steps", "epochs")
"""What upstream's trainer keeps beside the networks."""
STATE_LEFTOVERS = (".pad_buffer", ".cluster_size", ".embed_avg")
"""Entries of a state dict that inference needs not: streaming state and the quantizer's moving averages."""
WARMUP_SAMPLES = 8192
"""Zeros that upstream's file demo streams through before a file; longer than the encoder's receptive field."""


class AutoencoderConfig(ConfigModel):
    """An autoencoder's ``config.yml``."""

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
    """A vocoder's ``config.yml``; both types are one network."""

    model_type: Literal["HiFiGAN", "UnivNet"]
    sampling_rate: PositiveInt
    generator_params: VocoderParams

    @property
    def code_dim(self) -> int:
        return self.generator_params.in_channels

    @property
    def hop(self) -> int:
        return math.prod(self.generator_params.upsample_scales)


def load_autoencoder(params: AutoencoderParams, document: Mapping[str, Any], path: Path) -> Autoencoder:
    """The autoencoder of ``params`` with the weights ``document``, which came from the file ``path``.

    Raises:
        CheckpointError: the two do not fit.
    """
    state = _inference_state(document, path)
    stages = [f"quantizer.codebook.layers.{stage}.embed" for stage in range(params.codebook_num)]
    state["quantizer.embed"] = take_stacked(state, stages, path).transpose(-1, -2).contiguous()
    with network_from(path):
        network = Autoencoder(params)
    load_strict(network, state, path)
    return network.eval()


def load_vocoder(params: VocoderParams, document: Mapping[str, Any], path: Path) -> Vocoder:
    """As :func:`load_autoencoder`, for a vocoder."""
    state = _inference_state(document, path)
    if params.in_groups:
        state = split_groups(state, params.groups)
    with network_from(path):
        network = Vocoder(params)
    load_strict(network, state, path)
    return network.eval()


def _inference_state(document: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    state = tensors_at(document, path, ["model", "generator"], (*TRAINING, "discriminator"))
    return folded_state({key: value for key, value in state.items() if not key.endswith(STATE_LEFTOVERS)})


def load_part(path: Path) -> tuple[AutoencoderConfig | VocoderConfig, Autoencoder | Vocoder]:
    """The network of a checkpoint file, of the type that the ``config.yml`` beside it says, and that config."""
    config_path = required_file(path.parent, "config.yml")
    document = read_yaml(config_path)
    if document.get("model_type") in ("HiFiGAN", "UnivNet"):
        vocoder = validated(VocoderConfig, document, config_path)
        return vocoder, load_vocoder(vocoder.generator_params, read_tensors(path), path)
    autoencoder = validated(AutoencoderConfig, document, config_path)
    return autoencoder, load_autoencoder(autoencoder.generator_params, read_tensors(path), path)


class AudioDecAdapter(Adapter):
    """AudioDec.

    Option ``warmup`` true is upstream's file demo: encoder and decoder begin in the state that 8192 zeros leave in
    their streaming modules, and the output is cut to the input's length. False is upstream's test script: layers begin
    with zeros (transposed convolutions with their first frame twice), nothing is cut. The two differ in the first 0.3
    to 0.7 s: with biases in the layers, silence is not zero inside.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        paths = [find_file(setup.folder, name) for name in self.files(setup)]
        (self.config, sender), (receiver_config, receiver) = (load_part(path) for path in paths)
        if not isinstance(sender, Autoencoder):
            raise CheckpointError(f"{paths[0]}: is a vocoder, so it has no encoder")
        self.params = sender.params
        for fact in ("sampling_rate", "code_dim", "hop"):
            ours, theirs = getattr(self.config, fact), getattr(receiver_config, fact)
            if ours != theirs:
                raise CheckpointError(f"{paths[1]}: {fact} is {theirs}, but {ours} in {paths[0]}")
        encoder = fastest_layout(nn.Sequential(sender.encoder, sender.projector["project"]), setup.device)
        decoder = fastest_layout(receiver.decoder if isinstance(receiver, Autoencoder) else receiver, setup.device)
        self.quantizer = sender.quantizer
        if setup.options["warmup"]:
            self._warm_up(encoder, decoder)
        self.quantizer.to(setup.device)
        self.encoder = in_precision(encoder.to(setup.device), setup.dtype)
        self.decoder = in_precision(decoder.to(setup.device), setup.dtype)

    def files(self, setup: Setup) -> tuple[str, str]:
        """Names of the encoder's and the decoder's file below the checkpoint folder; a subclass may say others.

        Raises:
            CheckpointError: the variant's entry in ``weights.lock`` does not tell.
        """
        names = weights.official_files(setup.spec.checkpoint, "*.pkl")
        if len(names) != 2:
            raise CheckpointError(
                f"{setup.spec.name}: weights.lock does not say which files its encoder and decoder are"
            )
        return names[0], names[1]

    @property
    def sample_rate(self) -> int:
        return self.config.sampling_rate

    @property
    def hop(self) -> int:
        return self.config.hop

    @property
    def codebooks(self) -> int:
        return self.params.codebook_num

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.codebooks * math.log2(self.params.codebook_size)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        output = self._generate(self._codes(wav))
        return output[:, : wav.shape[1]] if self.options["warmup"] else output

    def _encode(self, wav: Tensor) -> Codes:
        return Codes([self._codes(wav)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return self._generate(self._checked_codes(codes, self.quantizer.entries))

    def _codes(self, wav: Tensor) -> Tensor:
        return self.quantizer.encode(self.encoder(wav[:, None]))

    def _generate(self, codes: Tensor) -> Tensor:
        wav: Tensor = self.decoder(self.quantizer.decode(codes))[:, 0]
        return wav

    @torch.no_grad()
    def _warm_up(self, encoder: nn.Module, decoder: nn.Module) -> None:
        """Streams silence through both, once: the demo does it for every file."""
        latent = keep_context_of(encoder, torch.zeros(1, 1, WARMUP_SAMPLES))
        keep_context_of(decoder, self.quantizer.decode(self.quantizer.encode(latent)))
