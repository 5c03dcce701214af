"""Small random checkpoints of audio language models in their official file layouts, for the tiny codecs' codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from string import ascii_letters
from typing import Any

import torch
import yaml
from torch import Tensor

CODES = 64
"""Codes per codebook of the tiny codecs."""


def make_codec_lm(folder: Path, codebooks: int = 8, codebook_size: int = CODES) -> Path:
    """A Llama of two layers over the tiny Mimi's codes, with its token layout."""
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


def write_tokenizer(folder: Path, named: dict[str, int] | None = None) -> Path:
    """``tokenizer.json`` with an id per letter, from 3 on, and the special tokens ``named``."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    letters = {letter: number for number, letter in enumerate(f"{ascii_letters} ',.:[]", 3)}
    tokenizer = Tokenizer(WordLevel({"<unk>": 0, **letters, **(named or {})}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split("", "isolated")
    tokenizer.add_special_tokens(list(named or {}))
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def make_mini_omni(folder: Path) -> Path:
    """Mini-Omni's layout: litGPT names, fused query-key-value, a small Whisper beside it."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(6)
    config: dict[str, Any] = {
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
    shapes = {
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
    state: dict[str, Tensor] = {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}
    state["whisper_adapter.proj.weight"] *= 20  # what is heard must make a difference
    for row in range(7):  # reserved audio ids, which a trained model seldom writes, lose against the codes
        state["transformer.wte.weight"][184 + row * (CODES + 8) + CODES : 184 + (row + 1) * (CODES + 8)] = 0
    state["lm_head.weight"] = state["transformer.wte.weight"].clone()
    folder.mkdir(parents=True)
    torch.save(state, folder / "lit_model.pth")
    (folder / "model_config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
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


def make_moshi(folder: Path) -> Path:
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


def make_valle(folder: Path) -> Path:
    """Amphion's layout, for the 13 codebooks that the tiny EnCodec has at 6 kbit/s."""
    from codec_adapters.alm.valle_network import ValleConfig, ValleNetwork

    torch.manual_seed(9)
    config = {
        "decoder_dim": 32,
        "nhead": 4,
        "num_decoder_layers": 2,
        "num_quantizers": 13,
        "text_token_num": 80,
        "audio_token_num": CODES,
        "prefix_mode": 1,
        "nar_scale_factor": 1,
        "prepend_bos": False,
        "add_prenet": False,
        "norm_first": True,
    }
    network = ValleNetwork(ValleConfig.model_validate(config))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
            elif name.endswith("in_proj_bias"):
                parameter.zero_()
    weights = folder / "checkpoint" / "epoch-0000_step-0000001_loss-1.000000"
    weights.mkdir(parents=True)
    torch.save(network.state_dict(), weights / "pytorch_model.bin")
    (folder / "args.json").write_text(json.dumps({"model": config}).replace("}}", ",},}"), encoding="utf-8")
    symbols = [*ascii_letters, *"_,.'", "iː", "ɔː"]
    lines = [f"{symbol} {number}\n" for number, symbol in enumerate(["<eps>", *symbols])]
    (folder / "symbols.dict").write_text("".join(lines), encoding="utf-8")
    return folder


def make_orpheus(folder: Path) -> Path:
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


def make_csm(folder: Path) -> Path:
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


def make_bark(folder: Path) -> Path:
    """Bark's layout for the 13 codebooks that the tiny EnCodec has at 6 kbit/s, with one preset."""
    import numpy as np
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


def make_dia(folder: Path) -> Path:
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


ALM_MAKERS: dict[str, Callable[[Path], Path]] = {
    "bark_small": make_bark,
    "codec_lm_mimi": make_codec_lm,
    "csm": make_csm,
    "dia": make_dia,
    "mini_omni": make_mini_omni,
    "moshiko": make_moshi,
    "orpheus": make_orpheus,
    "valle": make_valle,
}
"""ALM name -> maker of a checkpoint folder that it loads from, for the tiny checkpoint of its codec."""


def tiny_options(name: str) -> dict[str, Any]:
    """Options under which a tiny model can be run: short clips, and what spares it a program or a large input."""
    options: dict[str, Any] = {"max_seconds": 0.9}
    if name == "valle":
        options["text_is_phonemes"] = True  # espeak-ng need not be installed
    return options
