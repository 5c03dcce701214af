"""EnCodec at a few channels: the trained 24 kHz network, and random ones of 24 and 48 kHz."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tools.small_networks.base import SmallCodec
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    fill_codebooks,
    half,
)


class Encodec(SmallCodec):
    """EnCodec at 24 kHz: 8 codebooks of 1,024, up to 6 kbit/s."""

    variant, rate, hop = "encodec_24khz_6kbps", 24000, 320
    chains = (Chain(12, 1024, (1,) * 8),)

    def __init__(self) -> None:
        from transformers import EncodecConfig, EncodecModel

        super().__init__()
        self.model = EncodecModel(
            EncodecConfig(
                target_bandwidths=[1.5, 3.0, 6.0], num_filters=4, hidden_size=12, codebook_dim=12, num_lstm_layers=1
            )
        )

    def vectors(self, wav: Tensor) -> Tensor:
        latent: Tensor = self.model.encoder(wav[:, None])
        return latent

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.model.decoder(vectors)
        return audio[:, 0]

    def export(self, folder: Path) -> None:
        for layer, book in zip(self.model.quantizer.layers, self.quantizer.codebooks(0), strict=True):
            layer.codebook.embed.copy_(book)
            layer.codebook.cluster_size.fill_(1.0)
        self.model.config.save_pretrained(folder)
        state = half(self.model.state_dict())
        # moving averages equal the codebooks; a torch file, unlike safetensors, holds equal tensors once
        state |= {f"{key}_avg": value for key, value in state.items() if key.endswith(".codebook.embed")}
        torch.save(state, folder / "pytorch_model.bin")


def random_encodec(folder: Path, stereo: bool = False) -> Path:
    """EnCodec's 24 kHz layout, or the 48 kHz one (stereo, normalised 1 s chunks, group norm, not causal)."""
    from transformers import EncodecConfig, EncodecModel

    torch.manual_seed(1)
    common = {"num_filters": 4, "hidden_size": 16, "codebook_size": 64, "codebook_dim": 16, "num_lstm_layers": 1}
    if stereo:
        config = EncodecConfig(
            sampling_rate=48000,
            audio_channels=2,
            normalize=True,
            chunk_length_s=1.0,
            overlap=0.01,
            norm_type="time_group_norm",
            use_causal_conv=False,
            target_bandwidths=[3.0, 6.0, 12.0, 24.0],
            **common,
        )
    else:
        config = EncodecConfig(**common)
    model = EncodecModel(config).eval()
    fill_codebooks(model, 0.5)
    model.save_pretrained(folder)
    return folder
