"""A random Moshi in the layout of ``transformers``."""

from __future__ import annotations

from pathlib import Path

import torch

from tools.small_networks.alms.tokenizer import CODES, write_tokenizer


def random_moshi(folder: Path) -> Path:
    """Moshi's layout in ``transformers``, with a Mimi of its own that nobody needs."""
    from transformers import MoshiConfig, MoshiForConditionalGeneration

    torch.manual_seed(8)
    common = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3}
    config = MoshiConfig(
        vocab_size=60,
        audio_vocab_size=CODES,
        num_codebooks=8,
        num_key_value_heads=2,
        max_position_embeddings=256,
        sliding_window=256,
        head_dim=8,
        ffn_dim=64,
        depth_decoder_config={
            "vocab_size": 60,
            "audio_vocab_size": CODES,
            "num_codebooks": 8,
            "input_size": 16,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "ffn_dim": 32,
            "max_position_embeddings": 9,
            "sliding_window": 8,
            **common,
        },
        audio_encoder_config={
            "model_type": "mimi",
            "hidden_size": 32,
            "num_filters": 4,
            "codebook_size": CODES,
            "codebook_dim": 16,
            "vector_quantization_hidden_dimension": 16,
            "num_quantizers": 8,
            "num_hidden_layers": 1,
            "intermediate_size": 32,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "upsample_groups": 32,
        },
        **common,
    )
    MoshiForConditionalGeneration(config).eval().save_pretrained(folder)
    write_tokenizer(folder)
    return folder
