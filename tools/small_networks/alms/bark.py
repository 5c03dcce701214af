"""A random Bark in the layout of ``transformers``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tools.small_networks.alms.tokenizer import CODES, write_tokenizer


def random_bark(folder: Path) -> Path:
    """Bark's layout for the 13 codebooks that the random EnCodec has at 6 kbit/s, with one preset."""
    from transformers import BarkConfig, BarkModel, GenerationConfig

    torch.manual_seed(12)
    common = {"block_size": 256, "num_layers": 2, "num_heads": 2, "hidden_size": 32, "initializer_range": 0.3}
    config = BarkConfig(
        semantic_config={"input_vocab_size": 247, "output_vocab_size": 48, **common},
        coarse_acoustics_config={"input_vocab_size": 176, "output_vocab_size": 176, **common},
        fine_acoustics_config={
            "input_vocab_size": CODES + 8,
            "output_vocab_size": CODES + 8,
            "n_codes_total": 13,
            "n_codes_given": 1,
            **common,
        },
        codec_config={"model_type": "encodec", "num_filters": 4, "hidden_size": 16, "codebook_size": CODES},
    )
    model = BarkModel(config).eval()
    with torch.no_grad():
        model.semantic.lm_head.weight[40] = 0  # the end, which would come at once, loses against some other token
    model.generation_config = GenerationConfig(
        codebook_size=CODES,
        semantic_config={
            "eos_token_id": 40,
            "max_input_semantic_length": 32,
            "max_new_tokens": 60,
            "semantic_infer_token": 246,
            "semantic_pad_token": 40,
            "semantic_rate_hz": 49.9,
            "semantic_vocab_size": 40,
            "text_encoding_offset": 48,
            "text_pad_token": 245,
        },
        coarse_acoustics_config={
            "coarse_infer_token": 170,
            "coarse_rate_hz": 75,
            "coarse_semantic_pad_token": 168,
            "max_coarse_history": 90,
            "max_coarse_input_length": 32,
            "n_coarse_codebooks": 2,
            "sliding_window_len": 60,
        },
        fine_acoustics_config={"max_fine_history_length": 64, "max_fine_input_length": 128, "n_fine_codebooks": 13},
    )
    model.save_pretrained(folder)
    write_tokenizer(folder)
    voices = folder / "speaker_embeddings" / "v2"
    voices.mkdir(parents=True)
    draw = np.random.default_rng(12)
    for part, shape, end in (("semantic", 30, 40), ("coarse", (2, 45), CODES), ("fine", (13, 45), CODES)):
        np.save(voices / f"en_speaker_6_{part}_prompt.npy", draw.integers(0, end, shape))
    return folder
