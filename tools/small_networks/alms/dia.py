"""A random Dia in the layout of ``transformers``."""

from __future__ import annotations

from pathlib import Path

import torch

from tools.small_networks.alms.tokenizer import CODES


def random_dia(folder: Path) -> Path:
    """Dia's layout for 9 codebooks of 64."""
    from transformers import DiaConfig, DiaForConditionalGeneration

    torch.manual_seed(13)
    common = {
        "hidden_size": 32,
        "num_attention_heads": 2,
        "head_dim": 16,
        "intermediate_size": 48,
        "initializer_range": 0.2,
    }
    ids = {"eos_token_id": CODES, "pad_token_id": CODES + 1, "bos_token_id": CODES + 2}
    config = DiaConfig(
        encoder_config={"max_position_embeddings": 64, "num_hidden_layers": 1, "num_key_value_heads": 2, **common},
        decoder_config={
            "max_position_embeddings": 512,
            "num_hidden_layers": 2,
            "num_key_value_heads": 1,
            "cross_num_attention_heads": 2,
            "cross_head_dim": 16,
            "cross_num_key_value_heads": 2,
            "cross_hidden_size": 32,
            "vocab_size": CODES + 4,
            "num_channels": 9,
            **ids,
            **common,
        },
        delay_pattern=[0, 8, 9, 10, 11, 12, 13, 14, 15],
    )
    model = DiaForConditionalGeneration(config).eval()
    model.generation_config.update(decoder_start_token_id=CODES + 2, **ids)
    model.save_pretrained(folder)
    return folder
