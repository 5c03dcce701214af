"""VALL-E's two transformers as Amphion trained them: one writes the first codebook (AR), the other the rest (NAR).

Source: Amphion's first version (``models/tts/valle``, after lifeiteng/vall-e), whose parameter names are kept. The
autoregressive part runs here with a cache of keys and values. The result is the same, since text never attends to
audio.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from codec_adapters.files.config import ConfigModel, PositiveInt

MOST_FRAMES_PER_PHONE = 16
"""Upstream's limit on the length of the AR part's output, in frames per phoneme."""


class ValleConfig(ConfigModel):
    """Section ``model`` of ``args.json``."""

    decoder_dim: PositiveInt
    nhead: PositiveInt
    num_decoder_layers: PositiveInt
    num_quantizers: int = Field(ge=2, le=1024)
    text_token_num: PositiveInt
    audio_token_num: PositiveInt
    prefix_mode: Literal[0, 1, 2, 4]
    nar_scale_factor: Literal[1]
    prepend_bos: Literal[False]
    add_prenet: Literal[False]
    norm_first: Literal[True]


class _Embedding(nn.Module):
    """Embedding table under upstream's parameter name."""

    def __init__(self, ids: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(ids, width)

    def forward(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.word_embeddings(ids)
        return embedded


class _Position(nn.Module):
    """Position embedding: sinusoids, scaled by a learnt factor, are added."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))

    def forward(self, embedded: Tensor, start: int = 0) -> Tensor:
        """Add the positions from ``start`` on to ``embedded`` ``[1, length, width]``."""
        _, length, width = embedded.shape
        place = torch.arange(start, start + length, dtype=torch.float32, device=embedded.device)[:, None]
        pair = torch.arange(0, width, 2, dtype=torch.float32, device=embedded.device)
        angle = place * torch.exp(pair * -(math.log(10000.0) / width))
        sinusoids = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
        return embedded + self.alpha * sinusoids.to(embedded.dtype)


class _StageNorm(nn.Module):
    """Layer norm whose scale and shift are computed from the embedding of the NAR part's stage."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project_layer = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, stage: Tensor) -> Tensor:
        scale, shift = self.project_layer(stage).chunk(2, dim=-1)
        normed: Tensor = scale * self.norm(hidden) + shift
        return normed


class _Attention(nn.Module):
    """Multi-head self-attention ``[batch, length, width]``; keys and values are appended to those in ``past``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden: Tensor, mask: Tensor | None, past: list[Tensor] | None) -> Tensor:
        batch, length, width = hidden.shape
        fused = functional.linear(hidden, self.in_proj_weight, self.in_proj_bias)
        query, key, value = fused.view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        if past is not None:
            if past:
                key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
            past[:] = [key, value]
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed: Tensor = self.out_proj(attended.transpose(1, 2).reshape(batch, length, width))
        return mixed


class _Layer(nn.Module):
    """Transformer layer with norms before attention and feed-forward; ``[batch, length, width]``."""

    def __init__(self, width: int, heads: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)
        self.norm1 = norm(width)
        self.norm2 = norm(width)

    def forward(
        self, hidden: Tensor, stage: tuple[Tensor, ...], mask: Tensor | None, past: list[Tensor] | None
    ) -> Tensor:
        hidden = hidden + self.self_attn(self.norm1(hidden, *stage), mask, past)
        output: Tensor = hidden + self.linear2(functional.relu(self.linear1(self.norm2(hidden, *stage))))
        return output


class _Stack(nn.Module):
    """Transformer layers and a last norm; if a ``stage`` is given, the norms depend on it."""

    def __init__(self, config: ValleConfig, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        width, layers = config.decoder_dim, range(config.num_decoder_layers)
        self.layers = nn.ModuleList([_Layer(width, config.nhead, norm) for _ in layers])
        self.norm = norm(width)

    def forward(
        self,
        hidden: Tensor,
        stage: tuple[Tensor, ...] = (),
        mask: Tensor | None = None,
        past: list[list[Tensor]] | None = None,
    ) -> Tensor:
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, stage, mask, None if past is None else past[number])
        normed: Tensor = self.norm(hidden, *stage)
        return normed


class ValleNetwork(nn.Module):
    """AR and NAR parts: phonemes and a prompt's codes in, codes out, for one utterance at a time."""

    def __init__(self, config: ValleConfig) -> None:
        super().__init__()
        self.config = config
        width, codes, books = config.decoder_dim, config.audio_token_num, config.num_quantizers
        self.ar_text_embedding = _Embedding(config.text_token_num, width)
        self.nar_text_embedding = _Embedding(config.text_token_num, width)
        self.ar_audio_embedding = _Embedding(codes + 1, width)
        self.ar_text_position = _Position()
        self.ar_audio_position = _Position()
        self.ar_decoder = _Stack(config, nn.LayerNorm)
        self.ar_predict_layer = nn.Linear(width, codes + 1, bias=False)
        self.nar_audio_embeddings = nn.ModuleList([_Embedding(codes + (book == 0), width) for book in range(books)])
        self.nar_text_position = _Position()
        self.nar_audio_position = _Position()
        self.nar_decoder = _Stack(config, _StageNorm)
        self.nar_predict_layers = nn.ModuleList([nn.Linear(width, codes, bias=False) for _ in range(books - 1)])
        self.nar_stage_embeddings = nn.ModuleList([_Embedding(1, width) for _ in range(books - 1)])

    def first_codebook(
        self, phones: Tensor, prompt: Tensor, most: int, draw: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, bool]:
        """Write the first codebook with the AR part.

        Args:
            phones: int64 ``[1, phones]`` of prompt and text, with begin and end.
            prompt: int64 ``[1, frames, codebooks]``, the prompt's codes.
            most: most frames to write.
            draw: draws an id ``[1]`` from logits ``[1, ids]``.

        Returns:
            Codes int64 ``[1, new_frames]``, and whether the model ended by itself.
        """
        end = self.config.audio_token_num
        past: list[list[Tensor]] = [[] for _ in self.ar_decoder.layers]
        text = self.ar_text_position(self.ar_text_embedding(phones))
        audio = self.ar_audio_position(self.ar_audio_embedding(prompt[..., 0]))
        hidden = self.ar_decoder(
            torch.cat([text, audio], dim=1), mask=_ar_mask(text.shape[1], audio.shape[1], text.device), past=past
        )
        codes: list[Tensor] = []
        while len(codes) < most:
            logits = self.ar_predict_layer(hidden[:, -1])
            code = draw(logits)
            if int(code) == end or int(logits.argmax()) == end:
                break
            codes.append(code)
            embedded = self.ar_audio_embedding(code[:, None])
            position = prompt.shape[1] + len(codes) - 1
            hidden = self.ar_decoder(self.ar_audio_position(embedded, position), past=past)
        written = torch.stack(codes, dim=1) if codes else prompt.new_zeros((1, 0))
        return written, len(codes) < most

    def other_codebooks(self, phones: Tensor, enrolled: int, prompt: Tensor, first: Tensor) -> Tensor:
        """Write the other codebooks with the NAR part, always the likeliest codes.

        Args:
            phones: int64 ``[1, phones]`` of prompt and text, with begin and end.
            enrolled: number of the prompt's phonemes, begin and end included.
            prompt: int64 ``[1, frames, codebooks]``, the prompt's codes.
            first: int64 ``[1, frames]``, the output of the AR part.

        Returns:
            All codes, int64 ``[1, frames, codebooks]``.
        """
        mode, prefix = self.config.prefix_mode, prompt.shape[1]
        if mode in (2, 4):
            phones = torch.cat([phones[:, :1], phones[:, enrolled - 1 :]], dim=1)
        text = self.nar_text_position(self.nar_text_embedding(phones))
        audio = self.nar_audio_embeddings[0](torch.cat([prompt[..., 0], first], dim=1))
        old, new = audio[:, :prefix], audio[:, prefix:]
        if mode != 0:
            for book in range(1, self.config.num_quantizers):
                old = old + self.nar_audio_embeddings[book](prompt[..., book])
        codes = [first]
        for stage, predict in enumerate(self.nar_predict_layers):
            placed = self.nar_audio_position(torch.cat([old, new], dim=1))
            embedding = self.nar_stage_embeddings[stage](text.new_zeros(1, dtype=torch.int64))
            hidden = self.nar_decoder(torch.cat([text, placed], dim=1), (embedding,))
            codes.append(predict(hidden[:, text.shape[1] + prefix :]).argmax(dim=-1))
            if stage + 1 < len(self.nar_predict_layers):
                table = self.nar_audio_embeddings[stage + 1]
                new = new + table(codes[-1])
                old = old + table(prompt[..., stage + 1]) if mode == 0 else old
        return torch.stack(codes, dim=-1)


def _ar_mask(text: int, audio: int, device: torch.device) -> Tensor:
    """Return the attention mask: text sees text, audio sees text and audio up to itself; True means visible."""
    mask = torch.ones((text + audio, text + audio), dtype=torch.bool, device=device).tril()
    mask[:text, :text] = True
    return mask
