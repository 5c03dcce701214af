"""Moshi: spoken dialogue in which both sides may speak at any time, through Mimi.

Paper: Defossez et al., "Moshi: a speech-text foundation model for real-time dialogue", arXiv 2410.00037. Upstream:
kyutai-labs/moshi (MIT). Checkpoint: a hub snapshot in the layout of ``transformers`` (``kmhf/hf-moshiko``,
``kmhf/hf-moshika``): ``config.json``, safetensors with their index, ``tokenizer.json``. The networks of
``transformers`` run in upstream's full-duplex loop. The library's own ``generate()`` lets the model speak only after
the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional
from transformers import DynamicCache, MoshiForConditionalGeneration

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, generators
from codec_adapters.alm.codebooks import before_bad_frames, codebook_size, generation_of, require_codebooks
from codec_adapters.alm.sampling import Sampler
from codec_adapters.alm.tokenizers import TextTokenizer
from codec_adapters.families.pretrained import load_pretrained

TEXT_PADDING = frozenset({0, 3})
"""Text ids without text: end of padding, and padding, while Moshi listens or is still speaking a word."""


@dataclass(frozen=True)
class Samplers:
    """Samplers of text and of audio."""

    text: Sampler
    audio: Sampler


class Moshi(Alm):
    """Moshi (Defossez et al., arXiv 2410.00037; kyutai-labs/moshi) in full duplex. Every draw depends on the seed.

    It hears the prompt frame by frame and, at the same time, speaks or is silent. Options: ``temperature`` and
    ``top_k`` of the audio, ``text_temperature`` and ``text_top_k`` of Moshi's inner monologue (upstream's values);
    ``silence_seconds``, how long the user is silent after the prompt, so that Moshi can answer; ``max_seconds``. A clip
    is as long as what Moshi heard; Moshi never ends it.
    """

    batched = True

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        # the checkpoint's own copy of Mimi is not needed: the same codec encodes the prompt and decodes the speech
        model = load_pretrained(
            MoshiForConditionalGeneration, setup.folder, dtype=setup.dtype, spare_parts=("audio_encoder",)
        )
        subject = f"{setup.spec.name}: the checkpoint"
        require_codebooks(self.codec, subject, model.config.num_codebooks, model.config.audio_vocab_size)
        self.duplex = DuplexLoop(model.to(setup.device), Samplers(setup.sampler("text_"), setup.sampler()))
        self.tokenizer = TextTokenizer(setup.folder)
        self.silence = round(float(setup.options["silence_seconds"]) * self.prompt_rate)

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        heard = [self._heard(prompt.audio) for prompt in prompts if prompt.audio is not None]
        lengths = [codes.shape[1] for codes in heard]
        together = torch.stack([functional.pad(codes, (0, max(lengths) - codes.shape[1])) for codes in heard])
        text, audio = self.duplex.run(together, list(generators(seeds)))
        return [
            self._spoken(text[item, :frames], audio[item, :, :frames], seeds[item])
            for item, frames in enumerate(lengths)
        ]

    def _heard(self, wav: Tensor) -> Tensor:
        """Return the user's codes ``[codebooks, frames]``: the prompt, then silence."""
        limit = max(self.codec.hop, round(self.max_seconds * self.prompt_rate) // self.codec.hop * self.codec.hop)
        return self.codec.encode(functional.pad(wav, (0, self.silence))[None, :limit])[0][0]

    def _spoken(self, text: Tensor, audio: Tensor, seed: int) -> Generation:
        """Return the generation of text ids ``[frames]`` and codes ``[codebooks, frames]``."""
        table, cut = before_bad_frames(audio, codebook_size(self.codec))
        said = [token for token in text.tolist() if token not in TEXT_PADDING]
        return generation_of(self.codec, table, seed, "length", cut, self.tokenizer.text(said))


class DuplexLoop:
    """Moshi's full-duplex inference with the networks of ``MoshiForConditionalGeneration``.

    On both sides, all codebooks but the first are delayed by one frame (the acoustic delay).
    """

    def __init__(self, model: Any, samplers: Samplers) -> None:
        self.model = model
        self.samplers = samplers
        self.codebooks = int(model.config.num_codebooks)
        self.no_text = int(model.config.vocab_size)
        self.no_code = int(model.config.audio_vocab_size)

    def run(self, user: Tensor, generators: Sequence[Generator]) -> tuple[Tensor, Tensor]:
        """Generate what Moshi says while it hears ``user``.

        Args:
            user: int64 ``[batch, codebooks, frames]``.
            generators: one per item.

        Returns:
            Text ids ``[batch, frames]`` and codes ``[batch, codebooks, frames]``, aligned with ``user`` in time.
        """
        batch, _, frames = user.shape
        cache = DynamicCache(config=self.model.decoder.config)
        text = user.new_full((batch,), self.no_text)
        codes = user.new_full((batch, self.codebooks), self.no_code)
        texts, spoken = [], []
        for step in range(frames + 1):
            embedded = self._embedded(text, codes, self._user_row(user, step))
            output = self.model.decoder(inputs_embeds=embedded, past_key_values=cache, use_cache=True)
            text = self.samplers.text.draw(output.logits[:, -1], generators)
            codes = self._depth(text, output.last_hidden_state[:, -1:], generators)
            if step == 0:
                codes[:, 1:] = self.no_code
            texts.append(text)
            spoken.append(codes)
        table = torch.stack(spoken, dim=2)
        return torch.stack(texts[:-1], dim=1), torch.cat([table[:, :1, :-1], table[:, 1:, 1:]], dim=1)

    def _user_row(self, user: Tensor, step: int) -> Tensor:
        """Return the user's codes ``[batch, codebooks]`` that the model sees at a step."""
        row = user.new_full(user.shape[:2], self.no_code)
        if step >= 1:
            row[:, 0] = user[:, 0, step - 1]
        if step >= 2:
            row[:, 1:] = user[:, 1:, step - 2]
        return row

    def _embedded(self, text: Tensor, codes: Tensor, user: Tensor) -> Tensor:
        """Return the sum of the embeddings of one step's text and codes of both sides, ``[batch, 1, width]``."""
        embedded = self.model.decoder.model.embed_tokens(text)
        for table, column in zip(self.model.embed_tokens, torch.cat([codes, user], dim=1).unbind(dim=1), strict=True):
            embedded = embedded + table(column)
        return embedded[:, None]

    def _depth(self, text: Tensor, hidden: Tensor, generators: Sequence[Generator]) -> Tensor:
        """Draw the codes ``[batch, codebooks]`` of one step, one codebook after another."""
        cache = DynamicCache(config=self.model.depth_decoder.config)
        token, codes = text, []
        for _ in range(self.codebooks):
            output = self.model.depth_decoder(
                input_ids=token[:, None], last_hidden_state=hidden, past_key_values=cache, use_cache=True
            )
            token = self.samplers.audio.draw(output.logits[:, -1], generators)
            codes.append(token)
        return torch.stack(codes, dim=1)
