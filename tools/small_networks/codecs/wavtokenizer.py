"""WavTokenizer at a few channels, with 75 and with 40 tokens per second."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import yaml
from torch import Tensor

from tools.small_networks.base import SmallCodec
from tools.small_networks.codecs.seanet import seanet_settings, seanet_state
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    encodec_codebooks,
    half,
)


class WavTokenizer(SmallCodec):
    """WavTokenizer at 75 tokens per second: one codebook of 4,096, Vocos as its decoder."""

    variant, rate, hop = "wavtokenizer_small_75tps", 24000, 320
    chains = (Chain(12, 4096, (1,)),)
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    n_fft = 640
    checkpoint_stem = "WavTokenizer_small_320_24k_4096"

    def __init__(self) -> None:
        from codec_adapters.families.wavtokenizer import WavTokenizer as Network
        from codec_adapters.layers.vocos import ConvNextBlock, VocosBackbone, VocosSizes

        super().__init__()
        decoder = VocosSizes(12, 32, 192, 4, 4, self.n_fft, self.hop)
        self.net = Network(seanet_settings(4, 12, self.ratios), (1, 4096, 12), decoder)
        self.net.head.istft.window.copy_(torch.hann_window(self.n_fft))
        backbone = cast(VocosBackbone, self.net.backbone)
        blocks = cast("list[ConvNextBlock]", list(backbone.convnext))
        for block in blocks:
            block.gamma.data.fill_(0.25)
        for norm in (backbone.norm, *(block.norm for block in blocks)):
            norm.scale.weight.data.fill_(1.0)
            norm.shift.weight.data.zero_()

    def vectors(self, wav: Tensor) -> Tensor:
        return self.net.encodec.latent(wav)

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.net.head(self.net.backbone(vectors, 0))
        return audio

    def export(self, folder: Path) -> None:
        state = seanet_state(self.net.feature_extractor)
        state = {f"feature_extractor.{key}": value for key, value in state.items()}
        prefix = "feature_extractor.encodec.quantizer."
        state.update(encodec_codebooks(self.quantizer.codebooks(0), prefix))
        rest = self.net.state_dict()
        state.update({key: value for key, value in rest.items() if not key.startswith("feature_extractor.")})
        torch.save({"state_dict": half(state)}, folder / f"{self.checkpoint_stem}.ckpt")
        extractor = {"num_quantizers": 1, "dowmsamples": list(self.ratios), "vq_bins": 4096}
        backbone = {
            "input_channels": 12,
            "dim": 32,
            "intermediate_dim": 192,
            "num_layers": 4,
            "adanorm_num_embeddings": 4,
        }
        head = {"dim": 32, "n_fft": self.n_fft, "hop_length": self.hop, "padding": "same"}
        parts = {"feature_extractor": extractor, "backbone": backbone, "head": head}
        init = {"sample_rate": self.rate, **{name: {"init_args": part} for name, part in parts.items()}}
        text = yaml.safe_dump({"model": {"init_args": init}}, sort_keys=False)
        (folder / f"{self.checkpoint_stem}.yaml").write_text(text, encoding="utf-8")


class WavTokenizer40(WavTokenizer):
    """WavTokenizer at 40 tokens per second."""

    variant, rate, hop = "wavtokenizer_small_40tps", 24000, 600
    ratios = (6, 5, 5, 4)
    n_fft = 1200
    checkpoint_stem = "WavTokenizer_small_600_24k_4096"
