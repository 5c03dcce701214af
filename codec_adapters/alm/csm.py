"""CSM: reads text as the next turn of a conversation, through all 32 codebooks of Mimi.

Upstream: SesameAILabs/csm (Apache-2.0). Checkpoint: the hub snapshot ``sesame/csm-1b`` (gated) in the layout of
``transformers``: ``config.json``, safetensors, ``tokenizer.json``. The prompt's audio and transcript are the turn
before, in whose voice the text is read. A backbone writes the first codebook of a frame, a depth decoder the others.
Upstream's own generator adds an inaudible watermark; nothing does here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from transformers import CsmForConditionalGeneration, DynamicCache

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, generators
from codec_adapters.alm.codebooks import codebook_size
from codec_adapters.alm.tokenizers import TextTokenizer
from codec_adapters.errors import CheckpointError
from codec_adapters.families.pretrained import load_pretrained


class Csm(Alm):
    """CSM with one turn of context.

    Options: ``temperature`` and ``top_k`` of the first codebook, ``depth_temperature`` and ``depth_top_k`` of the
    others; ``max_seconds``. Of the ids beyond the codebook, which the checkpoint has too, none can be drawn.
    """

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        # the checkpoint's own copy of Mimi is not needed: the codec that speaks is also the one that hears
        model = load_pretrained(
            CsmForConditionalGeneration, setup.folder, dtype=setup.dtype, spare_parts=("codec_model",)
        )
        self.model: Any = model.to(setup.device)
        self.config = model.config
        self.codes = codebook_size(self.codec)
        if self.config.num_codebooks != self.codec.codebooks or self.config.vocab_size < self.codes:
            raise CheckpointError(
                f"{setup.folder}: speaks {self.config.num_codebooks} codebooks of {self.config.vocab_size} ids, "
                f"{self.codec.spec.name} has {self.codec.codebooks} of {self.codes}"
            )
        self.tokenizer = TextTokenizer(setup.folder)
        self.begin, self.end = (self.tokenizer.special(f"<|{name}_of_text|>") for name in ("begin", "end"))
        self.sampler = setup.sampler()
        self.depth_sampler = setup.sampler("depth_")
        self.max_frames = max(1, int(self.max_seconds * self.codec.frame_rate))

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        (prompt,), (generator,) = prompts, generators(seeds)
        assert prompt.audio is not None
        heard = self.codec.encode(prompt.audio[None])[0]
        embedded = torch.cat(
            [self._text(prompt.transcript or ""), self._audio(heard[0]), self._text(prompt.text or "")], dim=1
        )
        table, stop = self._frames(embedded, generator)
        if not table.shape[1]:
            return [Generation(torch.zeros(0), stop, 0)]
        wav = self.codec.decode([table[None]], seeds)[0].float().cpu()
        return [Generation(wav, stop, table.shape[1])]

    def _text(self, text: str) -> Tensor:
        """Embeddings ``[1, length, width]`` of a turn's text; both turns are the same speaker's, number 0."""
        ids = [self.begin, *self.tokenizer.ids(f"[0]{text}"), self.end]
        embedded: Tensor = self.model.embed_text_tokens(torch.tensor([ids], device=self.device))
        return embedded

    def _audio(self, codes: Tensor) -> Tensor:
        """Embeddings ``[1, frames + 1, width]`` of a turn's codes ``[codebooks, frames]``, and of the audio's end."""
        end = codes.new_full((codes.shape[0], 1), self.config.codebook_eos_token_id)
        return self._frame_embeddings(torch.cat([codes, end], dim=1))

    def _frame_embeddings(self, codes: Tensor) -> Tensor:
        embedded: Tensor = self.model.backbone_model.embed_tokens(codes.T[None].to(self.device))
        return embedded

    def _frames(self, embedded: Tensor, generator: Generator) -> tuple[Tensor, Stop]:
        """Codes ``[codebooks, frames]`` after a conversation. The end is a frame of zeros, the last codebook aside."""
        cache = DynamicCache(config=self.config)
        frames: list[Tensor] = []
        while len(frames) < self.max_frames:
            hidden = self.model.backbone_model(
                inputs_embeds=embedded, past_key_values=cache, use_cache=True
            ).last_hidden_state[:, -1]
            first = self.sampler.draw(self.model.lm_head(hidden)[:, : self.codes], [generator])
            frame = self._depth(hidden, first, generator)
            if bool((frame[:-1] == self.config.codebook_eos_token_id).all()):
                return _stacked(frames, self.config.num_codebooks), "eos"
            frames.append(frame)
            embedded = self._frame_embeddings(frame[:, None])
        return _stacked(frames, self.config.num_codebooks), "length"

    def _depth(self, hidden: Tensor, first: Tensor, generator: Generator) -> Tensor:
        """One frame ``[codebooks]``: its first code and those that the depth decoder adds."""
        decoder = self.model.depth_decoder
        cache = DynamicCache(config=decoder.config)
        codes = [first]
        step = torch.stack([torch.zeros_like(first), first], dim=1)  # the first place is the backbone's hidden state
        for _ in range(self.config.num_codebooks - 1):
            output = decoder(
                input_ids=step,
                backbone_last_hidden_state=hidden if len(codes) == 1 else None,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            codes.append(self.depth_sampler.draw(output.logits[:, -1, : self.codes], [generator]))
            step = codes[-1][:, None]
        return torch.cat(codes)


def _stacked(frames: list[Tensor], codebooks: int) -> Tensor:
    return torch.stack(frames, dim=1) if frames else torch.zeros((codebooks, 0), dtype=torch.int64)
