"""A random Mini-Omni in its release's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from tools.small_networks.alms.tokenizer import CODES, write_tokenizer

CONFIG: dict[str, Any] = {
    "n_layer": 2,
    "n_embd": 32,
    "n_head": 4,
    "n_query_groups": 2,
    "intermediate_size": 48,
    "block_size": 256,
    "rope_base": 1000000,
    "norm_eps": 1e-6,
    "text_vocab_size": 184,
    "audio_vocab_size": CODES + 8,
    "padded_vocab_size": 704,
    "whisper_adapter_dim": 24,
    "norm_class_name": "RMSNorm",
    "mlp_class_name": "LLaMAMLP",
    "asr_adapter": "llamamlp",
    "post_adapter": False,
    "add_qkv_bias": True,
    "bias": False,
    "tie_word_embeddings": True,
}


def random_mini_omni(folder: Path) -> Path:
    """Mini-Omni's layout: litGPT names, fused query-key-value, a small Whisper beside it."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(6)
    state: dict[str, Tensor] = {name: 0.3 * torch.randn(shape) for name, shape in _shapes().items()}
    state["whisper_adapter.proj.weight"] *= 20  # what is heard must make a difference
    for row in range(7):  # reserved audio ids, which a trained model seldom writes, lose against the codes
        state["transformer.wte.weight"][184 + row * (CODES + 8) + CODES : 184 + (row + 1) * (CODES + 8)] = 0
    state["lm_head.weight"] = state["transformer.wte.weight"].clone()
    folder.mkdir(parents=True)
    torch.save(state, folder / "lit_model.pth")
    (folder / "model_config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    write_tokenizer(folder)
    whisper = WhisperConfig(
        d_model=24,
        init_std=0.5,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=48,
        vocab_size=60,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    WhisperForConditionalGeneration(whisper).eval().save_pretrained(folder / "whisper-small")
    return folder


def _shapes() -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by its name in the release's file."""
    shapes: dict[str, tuple[int, ...]] = {
        "whisper_adapter.fc_1.weight": (48, 24),
        "whisper_adapter.fc_2.weight": (48, 24),
        "whisper_adapter.proj.weight": (32, 48),
        "transformer.wte.weight": (704, 32),
        "transformer.ln_f.weight": (32,),
    }
    for layer in range(2):
        own = {
            "norm_1.weight": (32,),
            "norm_2.weight": (32,),
            "attn.attn.weight": (64, 32),
            "attn.attn.bias": (64,),
            "attn.proj.weight": (32, 32),
            "mlp.fc_1.weight": (48, 32),
            "mlp.fc_2.weight": (48, 32),
            "mlp.proj.weight": (32, 48),
        }
        shapes.update({f"transformer.h.{layer}.{name}": shape for name, shape in own.items()})
    return shapes
