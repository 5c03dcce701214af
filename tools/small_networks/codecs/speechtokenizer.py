"""SpeechTokenizer at a few channels."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from tools.small_networks.base import SmallCodec
from tools.small_networks.codecs.seanet import seanet_settings, seanet_state
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    encodec_codebooks,
    half,
)


class SpeechTokenizer(SmallCodec):
    """SpeechTokenizer at 16 kHz: 8 codebooks of 256."""

    variant, rate, hop = "speechtokenizer_hubert_avg", 16000, 320
    chains = (Chain(16, 256, (1,) * 8),)

    def __init__(self) -> None:
        from codec_adapters.families.speechtokenizer import SpeechTokenizerConfig
        from codec_adapters.layers.seanet import SeanetCodec

        super().__init__()
        self.config = {
            "n_filters": 4,
            "strides": [8, 5, 4, 2],
            "dimension": 16,
            "lstm_layers": 1,
            "bidirectional": True,
            "dilation_base": 2,
            "residual_kernel_size": 3,
            "n_residual_layers": 1,
            "activation": "ELU",
            "codebook_size": 256,
            "n_q": 8,
            "sample_rate": 16000,
        }
        settings = SpeechTokenizerConfig.model_validate(self.config).settings(seanet_settings(4, 16, (8, 5, 4, 2)))
        self.net = SeanetCodec(settings, (8, 256, 16))

    def vectors(self, wav: Tensor) -> Tensor:
        return self.net.latent(wav)

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.net.decoder(vectors)
        return audio[:, 0]

    def export(self, folder: Path) -> None:
        state = seanet_state(self.net)
        state.update(encodec_codebooks(self.quantizer.codebooks(0), "quantizer."))
        (folder / "config.json").write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")
        torch.save(half(state), folder / "SpeechTokenizer.pt")
