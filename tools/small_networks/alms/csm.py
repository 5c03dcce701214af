"""A random CSM in the layout of ``transformers``."""

from __future__ import annotations

from pathlib import Path

import torch

from tools.small_networks.alms.tokenizer import CODES, write_tokenizer


def random_csm(folder: Path) -> Path:
    """CSM's layout in ``transformers`` for 32 codebooks, with a Mimi of its own that nobody needs."""
    from transformers import CsmConfig, CsmForConditionalGeneration

    torch.manual_seed(11)
    common = {
        "num_codebooks": 32,
        "vocab_size": CODES + 3,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "initializer_range": 0.3,
        "head_dim": 16,
    }
    config = CsmConfig(
        text_vocab_size=128,
        hidden_size=32,
        max_position_embeddings=512,
        pad_token_id=99,
        codebook_pad_token_id=CODES + 2,
        codebook_eos_token_id=0,
        bos_token_id=96,
        audio_token_id=99,
        audio_eos_token_id=100,
        depth_decoder_config={"backbone_hidden_size": 32, "hidden_size": 16, "max_position_embeddings": 33, **common},
        codec_config={
            "model_type": "mimi",
            "hidden_size": 32,
            "num_filters": 4,
            "codebook_size": CODES,
            "codebook_dim": 16,
            "vector_quantization_hidden_dimension": 16,
            "num_quantizers": 32,
            "num_hidden_layers": 2,
            "intermediate_size": 64,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "upsample_groups": 32,
            "sliding_window": 8,
        },
        **common,
    )
    CsmForConditionalGeneration(config).eval().save_pretrained(folder)
    write_tokenizer(folder, {"<|begin_of_text|>": 96, "<|end_of_text|>": 97})
    return folder
