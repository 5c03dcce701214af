"""FunCodec at a few channels, in the time domain."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from torch import Tensor

from tools.small_networks.base import SmallCodec
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    half,
)


class Funcodec(SmallCodec):
    """FunCodec at 16 kHz and hop 640: 32 codebooks of 128."""

    variant, rate, hop = "funcodec_zh_en_nq32ds640", 16000, 640
    chains = (Chain(16, 128, (1,) * 32),)
    ratios: tuple[int, ...] = (8, 5, 4, 4)

    def __init__(self) -> None:
        from codec_adapters.families.funcodec import FuncodecNetwork
        from codec_adapters.families.funcodec_config import FuncodecConfig

        super().__init__()
        side = {
            "ratios": list(self.ratios),
            "norm": "time_group_norm",
            "causal": False,
            "n_filters": 4,
            "seq_model": "lstm",
            "seq_layer_num": 1,
        }
        self.config = {
            "model": "encodec",
            "input_size": 1,
            "encoder_conf": {**side, "dimension": 16},
            "decoder_conf": {**side},
            "quantizer": "costume_quantizer",
            "quantizer_conf": {
                "codebook_size": 128,
                "num_quantizers": 32,
                "sampling_rate": 16000,
                "encoder_hop_length": self.hop,
            },
            "model_conf": {
                "target_sample_hz": 16000,
                "audio_normalize": True,
                "segment_dur": None,
                "codec_domain": ["time", "time"],
            },
        }
        self.net = FuncodecNetwork(FuncodecConfig.model_validate(self.config))

    def levelled(self, wav: Tensor) -> Tensor:
        return wav / (wav.square().mean(dim=1, keepdim=True).sqrt() + 1e-8)

    def vectors(self, wav: Tensor) -> Tensor:
        return self.net.analyse(self.levelled(wav))

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        scale = wav.square().mean(dim=1, keepdim=True).sqrt() + 1e-8
        return self.net.synthesise(vectors) * scale

    def export(self, folder: Path) -> None:
        state = {k: v for k, v in self.net.state_dict().items() if k != "quantizer.rq.model.embed"}
        books = self.quantizer.codebooks(0)
        state["quantizer.rq.model.embed"] = books
        state["quantizer.rq.model.inited"] = torch.ones(32, 1)
        state["quantizer.rq.model.cluster_size"] = torch.ones(32, 128)
        torch.save(half(state), folder / "model.pth")
        (folder / "config.yaml").write_text(yaml.safe_dump(self.config), encoding="utf-8")
