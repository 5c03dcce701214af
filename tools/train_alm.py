"""Trains the embedded edition's audio language model: a tiny Llama over the small Mimi's codes.

    python -m tools.train_alm --codec recipes/mini/weights/mimi_8codebooks --speech /tmp/speech \\
        --out recipes/mini/weights/codec_lm_mimi

Writes what ``codec_adapters.alm.codec_lm`` loads: ``config.json``, ``model.safetensors``, ``token_layout.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

import codec_adapters
from codec_adapters.alm.codec_lm import TokenLayout
from tools.small_networks.state_dicts import save_transformers
from tools.train_codecs import clip_at, clips_in

CODEC = "mimi_8codebooks"
ALM = "codec_lm_mimi"
CONTEXT = 320
"""Tokens of a training sequence."""
BATCH = 12
HELD_OUT = 20
"""Clips that are not trained on."""
RATE = 3e-3


def clips_as_tokens(codec: Path, folders: list[Path]) -> tuple[TokenLayout, list[Tensor]]:
    """Every clip below ``folders`` as ids: start, its codes frame after frame, end."""
    adapter = codec_adapters.load(CODEC, checkpoint=codec)
    size = round(2 ** (adapter.bitrate / adapter.frame_rate / adapter.codebooks))
    layout = TokenLayout(codebooks=adapter.codebooks, codebook_size=size, first_code=2, bos=0, eos=1)
    clips = []
    for path in clips_in(folders):
        codes = adapter.encode(torch.from_numpy(clip_at(path, adapter.sample_rate)[None]))[0]
        clips.append(torch.cat([torch.tensor([layout.bos]), layout.tokens(codes)[0], torch.tensor([layout.eos])]))
    return layout, clips


def new_model(layout: TokenLayout) -> LlamaForCausalLM:
    """Some 0.2 M parameters."""
    torch.manual_seed(2)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=layout.end,
            hidden_size=48,
            intermediate_size=128,
            num_hidden_layers=3,
            num_attention_heads=3,
            num_key_value_heads=3,
            max_position_embeddings=2048,
            bos_token_id=layout.bos,
            eos_token_id=layout.eos,
            tie_word_embeddings=True,
        )
    )


def train(model: LlamaForCausalLM, layout: TokenLayout, clips: list[Tensor], steps: int) -> None:
    """Next-token prediction on random stretches that begin with a frame; the last clips are held out."""
    held, clips = clips[-HELD_OUT:], clips[:-HELD_OUT]
    if not clips:
        raise SystemExit(f"--speech: {len(held)} clips; {HELD_OUT} are held out, so that more are needed")
    random = np.random.default_rng(3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.05)
    began = time.monotonic()
    for step in range(steps):
        scale = min(1.0, (step + 1) / 100) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = RATE * scale
        batch = torch.stack([_stretch(clips[random.integers(len(clips))], layout, random) for _ in range(BATCH)])
        loss = _loss(model, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 100 == 0:
            with torch.no_grad():
                other = torch.stack([_stretch(clip, layout, random) for clip in held])
                speed = (step + 1) / (time.monotonic() - began)
                print(
                    f"{step + 1}/{steps} loss {loss:.3f} held out {_loss(model, other):.3f} {speed:.1f}/s", flush=True
                )


def _stretch(clip: Tensor, layout: TokenLayout, random: np.random.Generator) -> Tensor:
    """``CONTEXT`` tokens, padded with -1; a clip's beginning every other time, so that the first frames are learned."""
    frames = (len(clip) - 2) // layout.codebooks
    start = 0 if random.random() < 0.5 else 1 + layout.codebooks * int(random.integers(frames))
    piece = clip[start : start + CONTEXT]
    return torch.cat([piece, piece.new_full((CONTEXT - len(piece),), -1)])


def _loss(model: LlamaForCausalLM, tokens: Tensor) -> Tensor:
    logits = model(input_ids=tokens.clamp(min=0)).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", type=Path, required=True, help=f"checkpoint folder of {CODEC}")
    parser.add_argument("--speech", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    layout, clips = clips_as_tokens(arguments.codec, arguments.speech)
    model = new_model(layout)
    train(model, layout, clips, arguments.steps)
    arguments.out.mkdir(parents=True, exist_ok=True)
    save_transformers(model, arguments.out)
    text = json.dumps(layout.model_dump(), indent=1)
    (arguments.out / "token_layout.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
