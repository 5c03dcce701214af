"""Dia: text to speech as dialogue, through DAC at 44.1 kHz.

Upstream: nari-labs/dia (Apache-2.0). Checkpoint: the hub snapshot ``nari-labs/Dia-1.6B-0626`` in the layout of
``transformers``: ``config.json``, ``generation_config.json``, safetensors. Text is read as bytes. Nine channels of
codes, each delayed by its own number of steps, are written in parallel under classifier-free guidance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DiaForConditionalGeneration

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, library_generator
from codec_adapters.alm.codebooks import before_bad_frames, generation_of, require_codebooks, undelayed
from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.families.pretrained import load_pretrained

FIRST_SPEAKER = 1
"""The id of the tag ``[S1]``; the ids of other text are its UTF-8 bytes."""


class Dia(Alm):
    """Dia (nari-labs/dia) with one speaker. Every draw depends on the seed, and each seed gives another voice.

    Options: ``guidance_scale`` (1: none), ``temperature`` (at least 1), ``top_p``, ``top_k``; ``max_seconds``.
    """

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        self.model: Any = load_pretrained(DiaForConditionalGeneration, setup.folder, dtype=setup.dtype).to(setup.device)
        self.config = self.model.config.decoder_config
        self.delays = list(self.model.config.delay_pattern)
        # the ids below the end token are the codes
        require_codebooks(self.codec, f"{setup.folder}:", self.config.num_channels, self.config.eos_token_id)
        if len(self.delays) != self.config.num_channels:  # recent versions of the library refuse this themselves
            raise CheckpointError(
                f"{setup.folder}: has {len(self.delays)} delays for {self.config.num_channels} codebooks"
            )
        if float(setup.options["temperature"]) < 1:
            raise OptionError(f"{setup.spec.name}: temperature must be at least 1")
        self.max_frames = max(1, int(self.max_seconds * self.codec.frame_rate))
        self.steps = self.max_frames + max(self.delays)
        if self.steps >= self.config.max_position_embeddings:
            raise OptionError(
                f"{setup.spec.name}: max_seconds needs {self.steps} positions, the checkpoint has "
                f"{self.config.max_position_embeddings}"
            )

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        (prompt,), (seed,) = prompts, seeds
        ids = torch.tensor([self._text(prompt)], device=self.device)
        start = self._start()
        with library_generator(seed, self.device):
            written: Tensor = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                decoder_input_ids=start,
                decoder_attention_mask=torch.ones(start.shape[:2], dtype=torch.int64, device=self.device),
                max_new_tokens=self.steps,
                do_sample=True,
                temperature=float(self.options["temperature"]),
                top_p=float(self.options["top_p"]),
                top_k=int(self.options["top_k"]),
                guidance_scale=float(self.options["guidance_scale"]),
            )
        table = undelayed(written[0, 1:].T.cpu(), self.delays)
        ends = (table[0] == self.config.eos_token_id).nonzero()
        # near the limit, the library itself writes the end
        stop: Stop = "eos" if len(ends) and int(ends[0]) + 1 < self.max_frames else "length"
        table, cut = before_bad_frames(table[:, : int(ends[0])] if len(ends) else table, self.config.eos_token_id)
        return [generation_of(self.codec, table.long(), seed, stop, cut)]

    def _text(self, prompt: Prompt) -> list[int]:
        """Return the ids of the prompt's text."""
        ids = [FIRST_SPEAKER, *f" {prompt.text}".encode()]
        most = self.model.config.encoder_config.max_position_embeddings
        if len(ids) > most:
            raise InputError(f"prompt {prompt.prompt_id}: has {len(ids)} bytes of text, Dia reads {most}")
        return ids

    def _start(self) -> Tensor:
        """Return the first steps ``[1, steps, channels]``: the begin id while a channel is delayed, then padding."""
        step = torch.arange(1 + max(self.delays))[:, None]
        waiting = step <= torch.tensor(self.delays)[None]
        start = torch.where(waiting, self.config.bos_token_id, self.config.pad_token_id)
        return start[None].to(self.device)
