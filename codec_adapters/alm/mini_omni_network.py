"""Mini-Omni's network: a Qwen2 that reads and writes eight rows of tokens at once, and its adapter for Whisper.

Checkpoint: ``lit_model.pth`` (a flat litGPT state dict) and ``model_config.yaml``. Rows 0 to 6 are audio, one for each
of the seven codes of a SNAC frame; the last row is text. The input of a position is the mean of its eight tokens'
embeddings. Where the prompt has speech, the adapted Whisper frame replaces the audio rows' embeddings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, Qwen2Config, Qwen2ForCausalLM

from codec_adapters.alm.codebooks import SNAC_FRAME
from codec_adapters.errors import CheckpointError
from codec_adapters.families.pretrained import model_from_state
from codec_adapters.files.checkpoint import load_strict, network_from, read_tensors, tensor_state
from codec_adapters.files.config import ConfigModel, PositiveInt, read_yaml, required_file, validated

AUDIO_ROWS = SNAC_FRAME
"""Number of rows of audio tokens."""


class MiniOmniConfig(ConfigModel):
    """The keys of ``model_config.yaml`` that the network is built from."""

    n_layer: PositiveInt
    n_embd: PositiveInt
    n_head: PositiveInt
    n_query_groups: PositiveInt
    head_size: PositiveInt | None = None
    intermediate_size: PositiveInt
    block_size: PositiveInt
    rope_base: PositiveInt
    norm_eps: PositiveFloat
    padded_vocab_size: PositiveInt
    text_vocab_size: PositiveInt
    audio_vocab_size: PositiveInt
    whisper_adapter_dim: PositiveInt
    norm_class_name: Literal["RMSNorm"]
    mlp_class_name: Literal["LLaMAMLP"]
    asr_adapter: Literal["llamamlp"]
    post_adapter: Literal[False]
    add_qkv_bias: Literal[True]
    bias: Literal[False]
    tie_word_embeddings: bool = True

    @property
    def head(self) -> int:
        """Width of an attention head."""
        return self.head_size or self.n_embd // self.n_head

    def qwen2(self) -> Qwen2Config:
        """Return the configuration of the same Qwen2 for ``transformers``."""
        return Qwen2Config(
            vocab_size=self.padded_vocab_size,
            hidden_size=self.n_embd,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.n_layer,
            num_attention_heads=self.n_head,
            num_key_value_heads=self.n_query_groups,
            head_dim=self.head,
            max_position_embeddings=self.block_size,
            rms_norm_eps=self.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": float(self.rope_base)},
            tie_word_embeddings=self.tie_word_embeddings,
            use_sliding_window=False,
        )


class WhisperAdapter(nn.Module):
    """Gated two-layer network that maps Whisper's frames to the language model's width."""

    def __init__(self, heard: int, inner: int, width: int) -> None:
        super().__init__()
        self.fc_1 = nn.Linear(heard, inner, bias=False)
        self.fc_2 = nn.Linear(heard, inner, bias=False)
        self.proj = nn.Linear(inner, width, bias=False)

    def forward(self, heard: Tensor) -> Tensor:
        """Map ``[batch, frames, heard]`` to ``[batch, frames, width]``."""
        adapted: Tensor = self.proj(functional.silu(self.fc_1(heard)) * self.fc_2(heard))
        return adapted


class MiniOmniNetwork:
    """Qwen2 and Whisper's adapter: embeddings of eight rows in, logits of eight rows out."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Load ``lit_model.pth`` and ``model_config.yaml``.

        Raises:
            CheckpointError: a file is missing, damaged, or does not fit the other.
        """
        config_path = required_file(folder, "model_config.yaml")
        self.config = validated(MiniOmniConfig, read_yaml(config_path), config_path)
        path = required_file(folder, "lit_model.pth")
        state = tensor_state(read_tensors(path), path)
        adapter = {key: state.pop(key) for key in list(state) if key.startswith("whisper_adapter.")}
        body = model_from_state(Qwen2ForCausalLM, self.config.qwen2(), _qwen2_state(state, self.config, path), path)
        self.body = body.to(device, dtype)
        with network_from(config_path):
            self.adapter = WhisperAdapter(
                self.config.whisper_adapter_dim, self.config.intermediate_size, self.config.n_embd
            )
        load_strict(self.adapter, {key.partition(".")[2]: value for key, value in adapter.items()}, path)
        self.adapter.eval().to(device, dtype)
        sizes = [self.config.audio_vocab_size] * AUDIO_ROWS
        first = self.config.text_vocab_size
        if first + sum(sizes) > self.config.padded_vocab_size:
            raise CheckpointError(
                f"{config_path}: padded_vocab_size is smaller than the text's and seven audio rows' ids"
            )
        self.shift = torch.tensor([*(first + row * sizes[0] for row in range(AUDIO_ROWS)), 0], device=device)[:, None]
        """Number to add to the ids of each row to get ids of the whole vocabulary, ``[8, 1]``."""

    def embed_prompt(self, rows: Tensor, heard: Tensor) -> Tensor:
        """Return the embeddings ``[1, positions, width]`` of a prompt.

        Args:
            rows: int64 ``[8, positions]``, each row with its own ids.
            heard: float ``[1, frames, heard]``, Whisper's frames, for positions 1 to ``frames``.
        """
        embedded = self._embedded(rows).clone()
        embedded[:AUDIO_ROWS, 1 : 1 + heard.shape[1]] = self.adapter(heard.to(embedded.dtype))
        return embedded.mean(dim=0, keepdim=True)

    def embed(self, rows: Tensor) -> Tensor:
        """Return the embeddings ``[1, positions, width]`` of rows ``[8, positions]`` without speech."""
        return self._embedded(rows).mean(dim=0, keepdim=True)

    def _embedded(self, rows: Tensor) -> Tensor:
        embedded: Tensor = self.body.get_input_embeddings()(rows + self.shift)
        return embedded

    def step(self, embedded: Tensor, cache: Cache) -> list[Tensor]:
        """Return the logits ``[1, ids]`` of each row, audio first, for the position after ``embedded``."""
        output = self.body(inputs_embeds=embedded, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits = output.logits[:, -1]
        text, audio = self.config.text_vocab_size, self.config.audio_vocab_size
        return [*logits[:, text : text + AUDIO_ROWS * audio].split(audio, dim=-1), logits[:, :text]]


_LAYER_KEYS = {
    "norm_1.weight": "input_layernorm.weight",
    "norm_2.weight": "post_attention_layernorm.weight",
    "attn.proj.weight": "self_attn.o_proj.weight",
    "mlp.fc_1.weight": "mlp.gate_proj.weight",
    "mlp.fc_2.weight": "mlp.up_proj.weight",
    "mlp.proj.weight": "mlp.down_proj.weight",
}


def _qwen2_state(state: dict[str, Tensor], config: MiniOmniConfig, path: Path) -> dict[str, Tensor]:
    """Rename litGPT's tensors to the names of ``transformers``, and split the fused query, key and value.

    Raises:
        CheckpointError: an unknown tensor, or an output layer that differs from the embedding that it is tied to.
    """
    outside = {
        "transformer.wte.weight": "model.embed_tokens.weight",
        "transformer.ln_f.weight": "model.norm.weight",
        "lm_head.weight": "lm_head.weight",
    }
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        place, _, rest = key.removeprefix("transformer.h.").partition(".")
        if key in outside:
            renamed[outside[key]] = value
        elif key.startswith("transformer.h.") and rest in _LAYER_KEYS:
            renamed[f"model.layers.{place}.{_LAYER_KEYS[rest]}"] = value
        elif key.startswith("transformer.h.") and rest in ("attn.attn.weight", "attn.attn.bias"):
            kind = rest.rpartition(".")[2]
            for name, part in zip(("q", "k", "v"), _split_fused(key, value, config, path), strict=True):
                renamed[f"model.layers.{place}.self_attn.{name}_proj.{kind}"] = part
        else:
            raise CheckpointError(f"{path}: does not fit, has unknown {key}")
    if config.tie_word_embeddings and "lm_head.weight" in renamed and "model.embed_tokens.weight" in renamed:
        if not torch.equal(renamed["lm_head.weight"], renamed["model.embed_tokens.weight"]):
            raise CheckpointError(f"{path}: does not fit, lm_head differs from the embedding that it is tied to")
        del renamed["lm_head.weight"]
    return renamed


def _split_fused(key: str, fused: Tensor, config: MiniOmniConfig, path: Path) -> list[Tensor]:
    """Split a fused tensor into query, key and value; its rows are ordered by group: queries, key, value."""
    groups, queries = config.n_query_groups, config.n_head // config.n_query_groups
    if fused.shape[0] != groups * (queries + 2) * config.head:
        raise CheckpointError(f"{path}: does not fit, has wrongly shaped {key} {list(fused.shape)}")
    by_group = fused.view(groups, queries + 2, config.head, *fused.shape[1:])
    return [part.flatten(0, 2) for part in by_group.split([queries, 1, 1], dim=1)]
