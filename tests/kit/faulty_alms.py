"""ALMs with planted faults, as a plugin of test recipes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from codec_adapters import alm
from codec_adapters.alm.base import Alm, Generation, Prompt

BASE = dataclasses.replace(
    alm.spec("codec_lm_mimi"), codec_variant="dac_16khz", local_only=False, options={"max_seconds": 1.0}
)


class Faulty(Alm):
    """Answers with a second of noise three times over full scale, but for the fault that it is named after."""

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        fault = self.spec.name.removeprefix("faulty_alm_")
        noise = torch.rand(16000, generator=torch.Generator().manual_seed(seeds[0])) - 0.5
        wav = 3 * noise / noise.abs().max()
        if fault == "mute":
            wav = wav[:0]
        if fault == "silent":
            wav = wav * 0
        if fault == "nan":
            wav = wav * float("nan")
        if fault == "brief":
            wav = wav[:1000]
        if fault == "endless":
            wav = wav.repeat(100)
        if fault == "raising":
            raise ValueError("cannot speak")
        utterance = prompts[0].prompt_id.partition("/")[2]
        return [Generation(wav, "eos", 1, cut=3, text=f"I heard {utterance}")]


for _fault in ("none", "mute", "silent", "nan", "brief", "endless", "raising"):
    alm.register(dataclasses.replace(BASE, name=f"faulty_alm_{_fault}"), Faulty)
alm.register(dataclasses.replace(BASE, name="faulty_alm_reader", prompt=("text",)), Faulty)
