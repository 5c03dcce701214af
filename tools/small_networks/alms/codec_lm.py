"""A random language model over Mimi's codes, with its token layout."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tools.small_networks.alms.tokenizer import CODES


def random_codec_lm(folder: Path, codebooks: int = 8, codebook_size: int = CODES) -> Path:
    """A Llama of two layers over the random Mimi's codes, with its token layout."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=2 + codebooks * codebook_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        initializer_range=0.2,  # far enough from uniform that greedy choices have a margin
    )
    LlamaForCausalLM(config).eval().save_pretrained(folder)
    layout = {"codebooks": codebooks, "codebook_size": codebook_size, "first_code": 2, "bos": 0, "eos": 1}
    (folder / "token_layout.json").write_text(json.dumps(layout), encoding="utf-8")
    return folder
