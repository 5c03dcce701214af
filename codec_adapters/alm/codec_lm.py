"""A codec language model: a Llama over a codec's codes that continues speech (after AudioLM, arXiv 2209.03143).

One token per code. The codes of a frame stand one after the other, coarsest codebook first, and frames follow each
other in time; each codebook has a range of ids of its own. Checkpoint: a ``transformers`` Llama (``config.json``,
``model.safetensors``) and ``token_layout.json``, which says where the codes lie among the ids::

    {"codebooks": 8, "codebook_size": 2048, "first_code": 2, "bos": 0, "eos": 1}

Code ``c`` of codebook ``q`` is token ``first_code + q * codebook_size + c``. The end can only come between frames. It
runs over any codec with one scale of codes; ``codec_lm_mimi`` is the one that is built in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Generator, Tensor
from transformers import DynamicCache, LlamaForCausalLM

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, generators
from codec_adapters.alm.codebooks import codebook_size
from codec_adapters.errors import CheckpointError, OptionError
from codec_adapters.families.pretrained import load_pretrained
from codec_adapters.files.config import ConfigModel, read_json, required_file, validated


class TokenLayout(ConfigModel):
    """``token_layout.json``: where a codec's codes lie among a language model's ids."""

    codebooks: PositiveInt
    codebook_size: PositiveInt
    first_code: NonNegativeInt
    bos: NonNegativeInt
    eos: NonNegativeInt

    @property
    def end(self) -> int:
        """One above the highest id of a code."""
        return self.first_code + self.codebooks * self.codebook_size

    def level(self, codebook: int) -> int:
        """The id of code 0 of a codebook."""
        return self.first_code + codebook * self.codebook_size

    def tokens(self, codes: Tensor) -> Tensor:
        """Ids ``[batch, frames * codebooks]`` of codes ``[batch, codebooks, frames]``."""
        offsets = torch.arange(self.codebooks, device=codes.device)[:, None] * self.codebook_size + self.first_code
        return (codes + offsets).transpose(1, 2).flatten(1)


@dataclass
class _Course:
    """Where the generation of one prompt stands."""

    generator: Generator
    tokens: list[int]
    """Codes so far, frame after frame, each counted from 0 in its own codebook."""
    ended: bool = False


class CodecLm(Alm):
    """Continues the first ``prompt_seconds`` of a prompt's audio.

    Options: ``prompt_seconds``; ``min_seconds`` and ``max_seconds`` of new speech; ``temperature`` (0: greedy) and
    ``top_k`` (0: all); ``with_prompt``: the clip begins with the prompt, through the codec.
    """

    batched = True

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        path = required_file(setup.folder, "token_layout.json")
        self.layout = validated(TokenLayout, read_json(path), path)
        self.model = load_pretrained(LlamaForCausalLM, setup.folder).to(setup.device, setup.dtype)
        self._check_layout(path)
        self.sampler = setup.sampler()
        self.prompt_samples = round(float(setup.options["prompt_seconds"]) * self.prompt_rate)
        if self.prompt_samples < 1:
            raise OptionError(f"{setup.spec.name}: prompt_seconds must be above 0")
        self.max_frames = max(1, int(self.max_seconds * self.codec.frame_rate))
        self.min_frames = math.ceil(float(setup.options["min_seconds"]) * self.codec.frame_rate)
        if not 0 <= self.min_frames <= self.max_frames:
            raise OptionError(f"{setup.spec.name}: min_seconds must be 0 to max_seconds")
        self._check_positions()

    def _check_layout(self, path: Path) -> None:
        layout, codec = self.layout, self.codec
        size = codebook_size(codec)
        if (layout.codebooks, layout.codebook_size) != (codec.codebooks, size):
            raise CheckpointError(
                f"{path}: is made for {layout.codebooks} codebooks of {layout.codebook_size}, "
                f"{codec.spec.name} has {codec.codebooks} of {size}"
            )
        taken = range(layout.first_code, layout.end)
        if layout.bos in taken or layout.eos in taken or layout.bos == layout.eos:
            raise CheckpointError(f"{path}: bos and eos must be two ids outside of those of the codes")
        most = max(layout.end - 1, layout.bos, layout.eos)
        if most >= self.model.config.vocab_size:
            raise CheckpointError(f"{path}: names id {most}, the model has {self.model.config.vocab_size} ids")

    def _check_positions(self) -> None:
        prompt_frames = -(-self.prompt_samples // self.codec.hop)
        needed = 1 + (prompt_frames + self.max_frames) * self.layout.codebooks
        if needed > self.model.config.max_position_embeddings:
            raise OptionError(
                f"{self.spec.name}: prompt_seconds and max_seconds need {needed} positions, the checkpoint has "
                f"{self.model.config.max_position_embeddings}; lower one of them"
            )

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        """Prompts of equal length run together, without padding; lengths one after the other."""
        heard = [prompt.audio[: self.prompt_samples] for prompt in prompts if prompt.audio is not None]
        by_length: dict[int, list[int]] = {}
        for position, wav in enumerate(heard):
            by_length.setdefault(len(wav), []).append(position)
        made: dict[int, Generation] = {}
        for positions in by_length.values():
            wavs = torch.stack([heard[position] for position in positions])
            own = [seeds[position] for position in positions]
            made.update(zip(positions, self._continued(wavs, own), strict=True))
        return [made[position] for position in range(len(prompts))]

    def _continued(self, wavs: Tensor, seeds: list[int]) -> list[Generation]:
        scales = self.codec.encode(wavs)
        if len(scales) != 1:
            raise OptionError(f"{self.spec.name}: {self.codec.spec.name} has {len(scales)} scales of codes; one works")
        courses = [_Course(generator, []) for generator in generators(seeds)]
        self._run(self.layout.tokens(scales[0]), courses)
        return [
            self._decoded(course, prompt, seed) for course, prompt, seed in zip(courses, scales[0], seeds, strict=True)
        ]

    def _run(self, prompt: Tensor, courses: list[_Course]) -> None:
        """Draw token after token for all prompts in step, until the last has ended or reached the limit."""
        layout = self.layout
        step = torch.cat([prompt.new_full((len(prompt), 1), layout.bos), prompt], dim=1)
        cache = DynamicCache(config=self.model.config)
        for position in range(self.max_frames * layout.codebooks):
            output = self.model(step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            frame, codebook = divmod(position, layout.codebooks)
            first = layout.level(codebook)
            allowed = output.logits[:, -1, first : first + layout.codebook_size]
            if codebook == 0 and frame >= self.min_frames:  # a frame is whole: the end may come
                allowed = torch.cat([allowed, output.logits[:, -1, layout.eos, None]], dim=1)
            drawn = self.sampler.draw(allowed, [course.generator for course in courses])
            for course, code in zip(courses, drawn.tolist(), strict=True):
                course.ended = course.ended or code == layout.codebook_size
                if not course.ended:
                    course.tokens.append(code)
            if all(course.ended for course in courses):
                return
            step = (drawn.clamp_max(layout.codebook_size - 1) + first)[:, None]  # ended prompts go on, unheard

    def _decoded(self, course: _Course, prompt: Tensor, seed: int) -> Generation:
        codes = torch.tensor(course.tokens, dtype=torch.int64).view(-1, self.layout.codebooks).T
        frames = codes.shape[1]
        stop: Stop = "eos" if course.ended else "length"
        if not frames:
            return Generation(torch.zeros(0), "eos", 0)
        if self.options["with_prompt"]:
            codes = torch.cat([prompt.cpu(), codes], dim=1)
        wav = self.codec.decode([codes[None]], [seed])[0].float().cpu()
        return Generation(wav, stop, frames)
