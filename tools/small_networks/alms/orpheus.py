"""A random Orpheus in its release's layout."""

from __future__ import annotations

from pathlib import Path

import torch

from tools.small_networks.alms.tokenizer import CODES, write_tokenizer


def random_orpheus(folder: Path) -> Path:
    """A Llama with a tokenizer that names Orpheus' special tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(10)
    folder.mkdir(parents=True)
    custom = {f"<custom_token_{number}>": 101 + number for number in range(1, 11)}
    write_tokenizer(folder, {"<|eot_id|>": 100, **custom})
    config = LlamaConfig(
        vocab_size=111 + 7 * CODES,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).eval().save_pretrained(folder)
    return folder
