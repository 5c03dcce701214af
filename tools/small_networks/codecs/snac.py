"""SNAC at a few channels: the trained 24 kHz network, and random ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tools.small_networks.base import ProjectedCodec
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    angular,
    factorized,
    half,
    weight_normed,
)


class Snac(ProjectedCodec):
    """SNAC at 24 kHz: three levels of 1,024 codes, noise blocks."""

    variant, rate, hop = "snac_24khz", 24000, 512
    chains = (Chain(15, 1024, (4, 2, 1)),)
    seconds = 2048 * 10 / 24000

    def __init__(self) -> None:
        from snac import SNAC

        super().__init__()
        self.config = {
            "sampling_rate": 24000,
            "encoder_dim": 4,
            "encoder_rates": [2, 4, 8, 8],
            "decoder_dim": 64,
            "decoder_rates": [8, 8, 4, 2],
            "attn_window_size": None,
            "codebook_size": 1024,
            "codebook_dim": 16,
            "vq_strides": [4, 2, 1],
            "noise": True,
            "depthwise": False,
        }
        self.model = SNAC(**self.config)
        self.project(64, seed=6)

    def export(self, folder: Path) -> None:
        from snac import SNAC

        state = self.model.state_dict()
        stages = angular(self.quantizer.codebooks(0), self.quantizer.rms(0))
        for number, (words, constant) in enumerate(stages):
            prefix = f"quantizer.quantizers.{number}"
            state[f"{prefix}.codebook.weight"] = words
            for key, value in weight_normed(factorized(self.basis, constant), lambda layer: True).items():
                name = key.replace(".weight_g", ".parametrizations.weight.original0")
                state[f"{prefix}.{name.replace('.weight_v', '.parametrizations.weight.original1')}"] = value
        SNAC(**self.config).load_state_dict(state)
        (folder / "config.json").write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")
        torch.save(half(state), folder / "pytorch_model.bin")

    def restore(self, folder: Path) -> None:
        state = torch.load(folder / "pytorch_model.bin", weights_only=True)
        self.model.load_state_dict({name: value.float() for name, value in state.items()})


def random_snac(folder: Path, **changes: Any) -> Path:
    """SNAC's 24 kHz layout (three levels, noise on, no attention), but for ``changes`` of its configuration."""
    from snac import SNAC

    torch.manual_seed(4)
    config = {
        "sampling_rate": 24000,
        "encoder_dim": 4,
        "encoder_rates": [2, 4, 8, 8],
        "decoder_dim": 32,
        "decoder_rates": [8, 8, 4, 2],
        "attn_window_size": None,
        "codebook_size": 64,
        "codebook_dim": 8,
        "vq_strides": [4, 2, 1],
        "noise": True,
        "depthwise": True,
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.save(SNAC(**config).state_dict(), folder / "pytorch_model.bin")
    return folder
