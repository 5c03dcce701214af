"""Mimi at a few channels: the trained network of 8 codebooks, and a random one of 32."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tools.small_networks.base import ProjectedCodec
from tools.small_networks.quantizer import Chain
from tools.small_networks.state_dicts import (
    fill_codebooks,
    save_transformers,
)


class Mimi(ProjectedCodec):
    """Mimi: one semantic and seven acoustic codebooks of 256."""

    variant, rate, hop = "mimi_8codebooks", 24000, 1920
    chains = (Chain(6, 256, (1,)), Chain(18, 256, (1,) * 7))
    seconds = 1.28

    def __init__(self) -> None:
        from transformers import MimiConfig, MimiModel

        super().__init__()
        self.model = MimiModel(
            MimiConfig(
                hidden_size=48,
                num_filters=5,
                codebook_size=256,
                codebook_dim=24,
                vector_quantization_hidden_dimension=24,
                num_quantizers=8,
                num_hidden_layers=2,
                intermediate_size=96,
                num_attention_heads=3,
                num_key_value_heads=3,
                head_dim=16,
                upsample_groups=48,
                sliding_window=50,
                layer_scale_initial_scale=0.1,
            )
        )
        self.project(48, seed=5)

    def vectors(self, wav: Tensor) -> Tensor:
        return self.basis @ self.model.encoder(wav[:, None]).latents

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.model.decoder(self.basis.t() @ vectors).audio_values
        return audio[:, 0]

    def export(self, folder: Path) -> None:
        quantizer = self.model.quantizer
        parts = (quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer)
        first = 0
        for number, part in enumerate(parts):
            last = first + self.chains[number].dim
            mask = torch.zeros(24, 1)
            mask[first:last] = 1.0
            part.input_proj.weight.data = (self.basis * mask)[:, :, None].clone()
            part.output_proj.weight.data = (self.basis * mask).t()[:, :, None].clone()
            for layer, book in zip(part.layers, self.quantizer.codebooks(number), strict=True):
                layer.codebook.embed_sum.zero_()
                layer.codebook.embed_sum[:, first:last] = book
                layer.codebook.cluster_usage.fill_(1.0)
            first = last
        save_transformers(self.model, folder)


def random_mimi(folder: Path) -> Path:
    """Mimi's layout: SEANet, two transformers with a sliding window, split residual quantizer."""
    from transformers import MimiConfig, MimiModel

    torch.manual_seed(3)
    config = MimiConfig(
        hidden_size=32,
        num_filters=4,
        codebook_size=64,
        codebook_dim=16,
        vector_quantization_hidden_dimension=16,
        num_quantizers=32,
        num_hidden_layers=2,
        intermediate_size=64,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        upsample_groups=32,
        sliding_window=8,
    )
    model = MimiModel(config).eval()
    fill_codebooks(model, 0.5)
    model.save_pretrained(folder)
    return folder
