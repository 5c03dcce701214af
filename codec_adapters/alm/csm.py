"""CSM: text to speech as the next turn of a conversation, through all 32 codebooks of Mimi.

Upstream: SesameAILabs/csm (Apache-2.0). Checkpoint: the hub snapshot ``sesame/csm-1b`` (gated) in the layout of
``transformers``: ``config.json``, safetensors, ``tokenizer.json``. The prompt's audio and transcript are the turn
before, and the text is read in that voice. A backbone writes the first codebook of a frame, a depth decoder the others.
Upstream's own generator adds an inaudible watermark; this one does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from transformers import CsmForConditionalGeneration, DynamicCache

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, generators
from codec_adapters.alm.codebooks import codebook_size, generation_of
from codec_adapters.alm.tokenizers import TextTokenizer
from codec_adapters.errors import CheckpointError
from codec_adapters.families.pretrained import load_pretrained


class Csm(Alm):
    """CSM (SesameAILabs/csm) with one turn of context: the prompt. Every draw depends on the seed.

    Options: ``temperature`` and ``top_k`` of the first codebook, ``depth_temperature`` and ``depth_top_k`` of the
    others; ``max_seconds``. The checkpoint has more ids than the codec has codes; only codes can be drawn.
    """

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        # the checkpoint's own copy of Mimi is not needed: the same codec encodes the prompt and decodes the speech
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
        (prompt,), (generator,), (seed,) = prompts, generators(seeds), seeds
        assert prompt.audio is not None
        heard = self.codec.encode(prompt.audio[None])[0]
        embedded = torch.cat(
            [self._text(prompt.transcript or ""), self._audio(heard[0]), self._text(prompt.text or "")], dim=1
        )
        table, stop = self._frames(embedded, generator)
        return [generation_of(self.codec, table, seed, stop)]

    def _text(self, text: str) -> Tensor:
        """Return the embeddings ``[1, length, width]`` of a turn's text. Both turns have the same speaker, number 0."""
        ids = [self.begin, *self.tokenizer.ids(f"[0]{text}"), self.end]
        embedded: Tensor = self.model.embed_text_tokens(torch.tensor([ids], device=self.device))
        return embedded

    def _audio(self, codes: Tensor) -> Tensor:
        """Return the embeddings ``[1, frames + 1, width]`` of codes ``[codebooks, frames]`` and of the audio's end."""
        end = codes.new_full((codes.shape[0], 1), self.config.codebook_eos_token_id)
        return self._frame_embeddings(torch.cat([codes, end], dim=1))

    def _frame_embeddings(self, codes: Tensor) -> Tensor:
        """Return the embeddings ``[1, frames, width]`` of ids ``[codebooks, frames]``."""
        embedded: Tensor = self.model.backbone_model.embed_tokens(codes.T[None].to(self.device))
        return embedded

    def _frames(self, embedded: Tensor, generator: Generator) -> tuple[Tensor, Stop]:
        """Draw the codes ``[codebooks, frames]`` that follow a conversation, and say why they end.

        The end is a frame of zeros (``codebook_eos_token_id``); its last codebook is not looked at.
        """
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
        """Return one frame ``[codebooks]``: its first code and the codes that the depth decoder draws."""
        decoder = self.model.depth_decoder
        cache = DynamicCache(config=decoder.config)
        codes = [first]
        # the backbone's hidden state takes the place of the zero
        step = torch.stack([torch.zeros_like(first), first], dim=1)
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
