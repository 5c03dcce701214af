"""Small random checkpoints in the official file layouts, so that every adapter runs its real loading code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn


def _fill_codebooks(model: nn.Module, scale: float) -> None:
    """Freshly built EnCodec and Mimi have all-zero codebooks: every code would decode to the same constant."""
    generator = torch.Generator().manual_seed(7)
    for name, buffer in model.named_buffers():
        if name.endswith(("codebook.embed", "codebook.embed_sum")):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * scale)
        elif name.endswith("codebook.cluster_usage"):
            buffer.fill_(1.0)


def make_encodec(folder: Path, stereo: bool = False) -> Path:
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
    _fill_codebooks(model, 0.5)
    model.save_pretrained(folder)
    return folder


def make_dac(folder: Path, codebooks: int = 12, rate: int = 16000, ratios: tuple[int, ...] = (2, 4, 5, 8)) -> Path:
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


def make_mimi(folder: Path) -> Path:
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
    _fill_codebooks(model, 0.5)
    model.save_pretrained(folder)
    return folder


def make_snac(folder: Path, **changes: Any) -> Path:
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


MAKERS: dict[str, Callable[[Path], Path]] = {
    "encodec_24khz_6kbps": make_encodec,
    "encodec_48khz_6kbps": lambda folder: make_encodec(folder, stereo=True),
    "dac_16khz": make_dac,
    "mimi_8codebooks": make_mimi,
    "snac_24khz": make_snac,
}
"""Variant name -> maker of a checkpoint folder that the variant loads from."""

SPEAKING_MAKERS: dict[str, Callable[[Path], Path]] = {
    "dac_44khz": lambda folder: make_dac(folder, codebooks=9, rate=44100),
    "mimi_32codebooks": make_mimi,
}
"""More settings of the same codecs, through which audio language models speak."""
