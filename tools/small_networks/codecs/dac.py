"""DAC at a few channels: the trained 16 kHz network, and random ones."""

from __future__ import annotations

from pathlib import Path

import torch

from tools.small_networks.base import ProjectedCodec
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    angular,
    factorized,
    save_transformers,
)


class Dac(ProjectedCodec):
    """DAC at 16 kHz: 12 codebooks of 256, searched by angle."""

    variant, rate, hop = "dac_16khz", 16000, 320
    chains = (Chain(15, 256, (1,) * 12),)

    def __init__(self) -> None:
        from transformers import DacConfig, DacModel

        super().__init__()
        self.model = DacModel(
            DacConfig(
                encoder_hidden_size=4,
                downsampling_ratios=[2, 4, 5, 8],
                decoder_hidden_size=64,
                upsampling_ratios=[8, 5, 4, 2],
                n_codebooks=12,
                codebook_size=256,
                codebook_dim=16,
                sampling_rate=16000,
            )
        )
        self.project(64, seed=11)

    def export(self, folder: Path) -> None:
        stages = angular(self.quantizer.codebooks(0), self.quantizer.rms(0))
        for stage, (words, constant) in zip(self.model.quantizer.quantizers, stages, strict=True):
            stage.load_state_dict({**factorized(self.basis, constant), "codebook.weight": words})
        save_transformers(self.model, folder)

    def restore(self, folder: Path) -> None:
        from transformers import DacModel

        self.model.load_state_dict(DacModel.from_pretrained(folder, dtype=torch.float32).state_dict())


def random_dac(folder: Path, codebooks: int = 12, rate: int = 16000, ratios: tuple[int, ...] = (2, 4, 5, 8)) -> Path:
    """DAC's layout; the product of the ratios is the hop."""
    from transformers import DacConfig, DacModel

    torch.manual_seed(2)
    config = DacConfig(
        encoder_hidden_size=8,
        downsampling_ratios=list(ratios),
        decoder_hidden_size=64,
        upsampling_ratios=list(reversed(ratios)),
        n_codebooks=codebooks,
        codebook_size=64,
        codebook_dim=4,
        sampling_rate=rate,
    )
    DacModel(config).eval().save_pretrained(folder)
    return folder
