"""AudioDec: a causal autoencoder with a residual quantizer, decoded by its own decoder or by a HiFi-GAN-type vocoder.

Paper: Wu et al., "AudioDec: An Open-source Streaming High-fidelity Neural Audio Codec", ICASSP 2023,
doi 10.1109/ICASSP49357.2023.10096509. Upstream: facebookresearch/AudioDec (CC BY-NC 4.0).

A checkpoint folder is upstream's ``exp`` folder or the one around it. A variant takes encoder, projector and codebooks
from one file and the decoder from another: the first and the second ``.pkl`` of its entry in ``weights.lock``. Neither
names nor contents of the files tell which encoder goes with which decoder. Beside each file lies its ``config.yml``.
A file is a torch file ``{"model": {"generator": state dict}}``. The statistics that a vocoder's config names
(``stats/*.npy``) are also in its state dict, and are read from there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import CheckpointError
from codec_adapters.families.audiodec_config import (
    AutoencoderConfig,
    AutoencoderParams,
    VocoderConfig,
    VocoderParams,
)
from codec_adapters.families.audiodec_network import Autoencoder, Vocoder
from codec_adapters.files import weights
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensors_at
from codec_adapters.files.config import find_file, read_yaml, required_file, validated
from codec_adapters.layers.causal import keep_context_of
from codec_adapters.layers.channels_last import fastest_layout
from codec_adapters.layers.hifigan import split_groups
from codec_adapters.layers.precision import in_precision
from codec_adapters.layers.quantization import take_codebooks
from codec_adapters.layers.weight_norm import folded_state

_TRAINING = ("optimizer", "scheduler", "steps", "epochs")
"""What upstream's trainer keeps beside the networks."""
_NOT_FOR_INFERENCE = (".pad_buffer", ".cluster_size", ".embed_avg")
"""Ends of keys that inference does not need: streaming state and the quantizer's moving averages."""
_WARMUP_SAMPLES = 8192
"""Zeros that upstream's file demo streams before a file. They are more than the encoder's receptive field."""


def load_autoencoder(params: AutoencoderParams, document: Mapping[str, Any], path: Path) -> Autoencoder:
    """Build the autoencoder of ``params`` and load the weights in ``document`` into it; eval mode, on the CPU.

    Args:
        document: what the checkpoint file holds.
        path: the checkpoint file, for messages.

    Raises:
        CheckpointError: config and weights do not fit together.
    """
    state = _inference_state(document, path)
    stages = [f"quantizer.codebook.layers.{stage}.embed" for stage in range(params.codebook_num)]
    state["quantizer.embed"] = take_codebooks(state, stages, path).transpose(-1, -2).contiguous()
    with network_from(path):
        network = Autoencoder(params)
    load_strict(network, state, path)
    return network.eval()


def load_vocoder(params: VocoderParams, document: Mapping[str, Any], path: Path) -> Vocoder:
    """Build the vocoder of ``params`` and load the weights in ``document``; as :func:`load_autoencoder`."""
    state = _inference_state(document, path)
    if params.in_groups:
        state = split_groups(state, params.groups)
    with network_from(path):
        network = Vocoder(params)
    load_strict(network, state, path)
    return network.eval()


def _inference_state(document: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint that inference needs, with weight norm folded."""
    state = tensors_at(document, path, ["model", "generator"], (*_TRAINING, "discriminator"))
    return folded_state({key: value for key, value in state.items() if not key.endswith(_NOT_FOR_INFERENCE)})


def load_part(path: Path) -> tuple[AutoencoderConfig | VocoderConfig, Autoencoder | Vocoder]:
    """Load a checkpoint file as the kind of network that the ``config.yml`` beside it names.

    Returns:
        The config and the network, in eval mode on the CPU.
    """
    config_path = required_file(path.parent, "config.yml")
    document = read_yaml(config_path)
    if document.get("model_type") in ("HiFiGAN", "UnivNet"):
        vocoder = validated(VocoderConfig, document, config_path)
        return vocoder, load_vocoder(vocoder.generator_params, read_tensors(path), path)
    autoencoder = validated(AutoencoderConfig, document, config_path)
    return autoencoder, load_autoencoder(autoencoder.generator_params, read_tensors(path), path)


class AudioDecAdapter(Adapter):
    """Adapter of AudioDec (Wu et al., doi 10.1109/ICASSP49357.2023.10096509; facebookresearch/AudioDec).

    AudioDec runs at 24 or 48 kHz with hop 300 (80 or 160 frames/s) and 8 codebooks of 1024; one variant has hop 320 and
    16 codebooks. ``encode`` gives one tensor ``[batch, codebooks, ceil(samples / hop)]``, coarse to fine. Everything is
    causal, without look-ahead, and nothing is random. Upstream has two paths, and option ``warmup`` chooses one:

    True is upstream's file demo: encoder and decoder start in the state that 8192 zeros leave in their streaming
    layers, and the output is cut to the input's length. False is upstream's test script: layers start with zeros
    (transposed convolutions with a copy of their first frame), and nothing is cut. The two differ in the first 0.3 to
    0.7 s, because the layers' biases make silence non-zero inside the network.
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
        """Return the names of the encoder's file and the decoder's file in the checkpoint folder.

        A subclass may name other files.

        Raises:
            CheckpointError: the variant's entry in ``weights.lock`` does not list exactly two ``.pkl`` files.
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

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale(self.quantizer.entries)])

    def _encode(self, wav: Tensor) -> Codes:
        return Codes([self._codes(wav)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return self._generate(codes[0])

    def _codes(self, wav: Tensor) -> Tensor:
        return self.quantizer.encode(self.encoder(wav[:, None]))

    def _generate(self, codes: Tensor) -> Tensor:
        wav: Tensor = self.decoder(self.quantizer.decode(codes))[:, 0]
        return wav

    @torch.no_grad()
    def _warm_up(self, encoder: nn.Module, decoder: nn.Module) -> None:
        """Set the state that silence leaves in both. The demo streams it before every file; here it is done once."""
        latent = keep_context_of(encoder, torch.zeros(1, 1, _WARMUP_SAMPLES))
        keep_context_of(decoder, self.quantizer.decode(self.quantizer.encode(latent)))
