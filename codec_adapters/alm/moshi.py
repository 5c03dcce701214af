"""Moshi: spoken dialogue in which both sides may speak at any time, through Mimi.

Paper: Defossez et al., "Moshi: a speech-text foundation model for real-time dialogue", arXiv 2410.00037. Upstream:
kyutai-labs/moshi (MIT). Checkpoint: a hub snapshot in the layout of ``transformers`` (``kmhf/hf-moshiko``,
``kmhf/hf-moshika``): ``config.json``, safetensors with their index, ``tokenizer.json``. The parts of ``transformers``
are run in upstream's own full-duplex loop, not by ``generate()``, which lets the model speak only after the user.
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
from codec_adapters.alm.codebooks import before_bad_frames, codebook_size
from codec_adapters.alm.sampling import Sampler
from codec_adapters.alm.tokenizers import TextTokenizer
from codec_adapters.errors import CheckpointError
from codec_adapters.families.pretrained import load_pretrained

TEXT_PADDING = frozenset({0, 3})
"""Text ids that say nothing: the end of a padding, and padding, in which Moshi listens or is still speaking a word."""


@dataclass(frozen=True)
class Samplers:
    """How text and audio are drawn."""

    text: Sampler
    audio: Sampler


class Moshi(Alm):
    """Moshi in full duplex: it hears the prompt frame by frame and speaks, or is silent, at the same time.

    Options: ``temperature`` and ``top_k`` of the audio, ``text_temperature`` and ``text_top_k`` of Moshi's inner
    monologue (upstream's values); ``silence_seconds``: how long the user is silent after the prompt, in which Moshi can
    answer; ``max_seconds``. A clip is as long as what Moshi heard: it never ends by itself.
    """

    batched = True

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        # the checkpoint's own copy of Mimi is not needed: the codec that speaks is also the one that hears
        model = load_pretrained(
            MoshiForConditionalGeneration, setup.folder, dtype=setup.dtype, spare_parts=("audio_encoder",)
        )
        self._check_codec(model.config)
        self.duplex = DuplexLoop(model.to(setup.device), Samplers(setup.sampler("text_"), setup.sampler()))
        self.tokenizer = TextTokenizer(setup.folder)
        self.silence = round(float(setup.options["silence_seconds"]) * self.prompt_rate)

    def _check_codec(self, config: Any) -> None:
        wanted = (config.num_codebooks, config.audio_vocab_size)
        found = (self.codec.codebooks, codebook_size(self.codec))
        if wanted != found:
            raise CheckpointError(
                f"{self.spec.name}: the checkpoint speaks {wanted[0]} codebooks of {wanted[1]}, "
                f"{self.codec.spec.name} has {found[0]} of {found[1]}"
            )

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
        """The user's codes ``[codebooks, frames]``: the prompt, and then silence."""
        limit = max(self.codec.hop, round(self.max_seconds * self.prompt_rate) // self.codec.hop * self.codec.hop)
        return self.codec.encode(functional.pad(wav, (0, self.silence))[None, :limit])[0][0]

    def _spoken(self, text: Tensor, audio: Tensor, seed: int) -> Generation:
        table, cut = before_bad_frames(audio, codebook_size(self.codec))
        if not table.shape[1]:
            return Generation(torch.zeros(0), "length", 0, cut)
        wav = self.codec.decode([table[None]], [seed])[0].float().cpu()
        said = [token for token in text.tolist() if token not in TEXT_PADDING]
        return Generation(wav, "length", table.shape[1], cut, self.tokenizer.text(said))


class DuplexLoop:
    """Moshi's full-duplex inference on the parts of ``MoshiForConditionalGeneration``.

    Of both sides, the codebooks after the first lag by one frame (the acoustic delay).
    """

    def __init__(self, model: Any, samplers: Samplers) -> None:
        self.model = model
        self.samplers = samplers
        self.codebooks = int(model.config.num_codebooks)
        self.no_text = int(model.config.vocab_size)
        self.no_code = int(model.config.audio_vocab_size)

    def run(self, user: Tensor, generators: Sequence[Generator]) -> tuple[Tensor, Tensor]:
        """What Moshi says while it hears ``user``.

        Args:
            user: int64 ``[batch, codebooks, frames]``.
            generators: one per item.

        Returns:
            Text ids ``[batch, frames]`` and codes ``[batch, codebooks, frames]``, in time with ``user``.
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
        """The user's codes ``[batch, codebooks]`` that the model sees at a step."""
        row = user.new_full(user.shape[:2], self.no_code)
        if step >= 1:
            row[:, 0] = user[:, 0, step - 1]
        if step >= 2:
            row[:, 1:] = user[:, 1:, step - 2]
        return row

    def _embedded(self, text: Tensor, codes: Tensor, user: Tensor) -> Tensor:
        embedded = self.model.decoder.model.embed_tokens(text)
        for table, column in zip(self.model.embed_tokens, torch.cat([codes, user], dim=1).unbind(dim=1), strict=True):
            embedded = embedded + table(column)
        return embedded[:, None]

    def _depth(self, text: Tensor, hidden: Tensor, generators: Sequence[Generator]) -> Tensor:
        """The codes ``[batch, codebooks]`` of one step, one after the other."""
        cache = DynamicCache(config=self.model.depth_decoder.config)
        token, codes = text, []
        for _ in range(self.codebooks):
            output = self.model.depth_decoder(
                input_ids=token[:, None], last_hidden_state=hidden, past_key_values=cache, use_cache=True
            )
            token = self.samplers.audio.draw(output.logits[:, -1], generators)
            codes.append(token)
        return torch.stack(codes, dim=1)
