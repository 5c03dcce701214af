"""Dia: reads text as dialogue, through DAC at 44.1 kHz.

Upstream: nari-labs/dia (Apache-2.0). Checkpoint: the hub snapshot ``nari-labs/Dia-1.6B-0626`` in the layout of
``transformers``: ``config.json``, ``generation_config.json``, safetensors. Text is bytes; nine channels of codes, each
delayed by steps of its own, are written side by side under classifier-free guidance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DiaForConditionalGeneration

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, library_generator
from codec_adapters.alm.codebooks import before_bad_frames, codebook_size, undelayed
from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.families.pretrained import load_pretrained

FIRST_SPEAKER = 1
"""The id of the tag ``[S1]``; every other character is its UTF-8 bytes."""


class Dia(Alm):
    """Dia, one speaker.

    Options: ``guidance_scale`` (1: none), ``temperature`` (at least 1), ``top_p``, ``top_k``; ``max_seconds``. Every
    seed has another voice.
    """

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        self.model: Any = load_pretrained(DiaForConditionalGeneration, setup.folder, dtype=setup.dtype).to(setup.device)
        self.config = self.model.config.decoder_config
        self.delays = list(self.model.config.delay_pattern)
        wanted = (self.config.num_channels, self.config.eos_token_id)
        found = (self.codec.codebooks, codebook_size(self.codec))
        if wanted != found or len(self.delays) != wanted[0]:
            raise CheckpointError(
                f"{setup.folder}: speaks {wanted[0]} codebooks of {wanted[1]}, {self.codec.spec.name} has {found[0]} "
                f"of {found[1]}"
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
        # the library writes the end by itself where the limit comes near
        stop: Stop = "eos" if len(ends) and int(ends[0]) + 1 < self.max_frames else "length"
        table, cut = before_bad_frames(table[:, : int(ends[0])] if len(ends) else table, self.config.eos_token_id)
        if not table.shape[1]:
            return [Generation(torch.zeros(0), stop, 0, cut)]
        wav = self.codec.decode([table[None].long()], seeds)[0].float().cpu()
        return [Generation(wav, stop, table.shape[1], cut)]

    def _text(self, prompt: Prompt) -> list[int]:
        ids = [FIRST_SPEAKER, *f" {prompt.text}".encode()]
        most = self.model.config.encoder_config.max_position_embeddings
        if len(ids) > most:
            raise InputError(f"prompt {prompt.prompt_id}: has {len(ids)} bytes of text, Dia reads {most}")
        return ids

    def _start(self) -> Tensor:
        """The first steps ``[1, steps, channels]``: begin as long as a channel is delayed, then nothing decided."""
        step = torch.arange(1 + max(self.delays))[:, None]
        waiting = step <= torch.tensor(self.delays)[None]
        start = torch.where(waiting, self.config.bos_token_id, self.config.pad_token_id)
        return start[None].to(self.device)
