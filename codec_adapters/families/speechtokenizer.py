"""SpeechTokenizer: a SEANet codec whose first codebook was distilled from HuBERT.

Paper: Zhang et al., "SpeechTokenizer: Unified Speech Tokenizer for Speech Language Models", arXiv 2308.16692.
Upstream: ZhangXInFD/SpeechTokenizer (Apache-2.0). Releases: ``speechtokenizer_hubert_avg`` in the hub repository
``fnlp/SpeechTokenizer`` and a version with Snake activations in ``fnlp/AnyGPT-speech-modules``.

A checkpoint is a folder with a JSON configuration and a flat state dict (``SpeechTokenizer.pt``, or ``ckpt.dev``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from codec_adapters.base import Setup
from codec_adapters.families.seanet_adapter import SeanetAdapter
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import (
    ConfigModel,
    NonNegativeInt,
    PositiveInt,
    PositiveInts,
    find_file,
    read_json,
    validated,
)
from codec_adapters.layers.activation import Activation, Snake, elu
from codec_adapters.layers.quantization import stack_encodec_codebooks
from codec_adapters.layers.seanet import SeanetCodec
from codec_adapters.layers.seanet_settings import SeanetSettings, settings_of_encoder
from codec_adapters.layers.weight_norm import folded_state

_ACTIVATIONS: Mapping[str, Activation] = {"ELU": elu, "Snake": Snake}
_TRAINING_ONLY = ("transform.",)
"""A projection of the codes to HuBERT's width, for the distillation loss."""


class SpeechTokenizerConfig(ConfigModel):
    """The keys of the configuration that shape the network."""

    n_filters: PositiveInt
    strides: PositiveInts
    dimension: PositiveInt
    lstm_layers: NonNegativeInt
    bidirectional: bool
    dilation_base: PositiveInt
    residual_kernel_size: PositiveInt
    n_residual_layers: NonNegativeInt
    activation: Literal["ELU", "Snake"]
    codebook_size: PositiveInt
    n_q: PositiveInt
    sample_rate: PositiveInt

    def settings(self, found: SeanetSettings) -> SeanetSettings:
        """Return the network's settings: the configuration's own, and for the rest those ``found`` in the weights."""
        return replace(
            found,
            filters=self.n_filters,
            dimension=self.dimension,
            ratios=tuple((stride,) for stride in self.strides),
            residual_kernel_size=self.residual_kernel_size,
            residual_layers=self.n_residual_layers,
            dilation_base=self.dilation_base,
            lstm_layers=self.lstm_layers,
            bidirectional=self.bidirectional,
            activation=_ACTIVATIONS[self.activation],
        )


class SpeechTokenizerAdapter(SeanetAdapter):
    """Adapter of SpeechTokenizer (Zhang et al., arXiv 2308.16692; ZhangXInFD/SpeechTokenizer).

    16 kHz mono, hop 320 (50 frames/s), 8 codebooks of 1024. ``encode`` gives one tensor ``[batch, codebooks,
    ceil(samples / hop)]``; row 0 is the semantic codebook. Option ``codebooks`` is how many of the checkpoint's
    codebooks are used, the first ones. Nothing is random. The encoder's LSTM runs in both directions, so every code
    depends on the whole clip. Outputs are not cut to the input's length (``frames * hop`` samples) and not limited to
    [-1, 1].
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        weights_path = setup.file("*.pt", "*.dev")
        config_path = find_file(weights_path.parent, "config.json", only="*.json")
        self.config = validated(SpeechTokenizerConfig, read_json(config_path), config_path)
        self.network = _load(weights_path, self.config, config_path).eval().to(setup.device)
        self.network.to_precision(setup.dtype)
        self.used = setup.codebooks(self.network.quantizer.stages)

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate


def _load(path: Path, config: SpeechTokenizerConfig, config_path: Path) -> SeanetCodec:
    """Build the network; sizes that the configuration does not state are read from the tensors' shapes."""
    state = folded_state(tensor_state(read_tensors(path), path))
    stack_encodec_codebooks(state, "quantizer.", path)
    settings = config.settings(settings_of_encoder(state, "encoder.", path))
    with network_from(config_path):
        network = SeanetCodec(settings, (config.n_q, config.codebook_size, config.dimension))
    load_strict(network, state, path, _TRAINING_ONLY)
    return network
