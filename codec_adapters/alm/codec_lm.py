"""A codec language model: a Llama over a codec's codes that continues speech (after AudioLM, arXiv 2209.03143).

Each code is one token. The codes of a frame follow each other, coarsest codebook first, then come those of the next
frame. Each codebook has its own range of ids. Checkpoint: a ``transformers`` Llama (``config.json``,
``model.safetensors``) and ``token_layout.json``, which says where the codes lie among the ids::

    {"codebooks": 8, "codebook_size": 2048, "first_code": 2, "bos": 0, "eos": 1}

Code ``c`` of codebook ``q`` is token ``first_code + q * codebook_size + c``. The end token can only come between
frames. Any codec with one scale of codes works; ``codec_lm_mimi`` is the one that is built in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor
from transformers import DynamicCache, LlamaForCausalLM

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, generators
from codec_adapters.alm.codebooks import codebook_size
from codec_adapters.errors import CheckpointError, OptionError
from codec_adapters.families.pretrained import load_pretrained
from codec_adapters.files.config import ConfigModel, NonNegativeInt, PositiveInt, read_json, required_file, validated


class TokenLayout(ConfigModel):
    """``token_layout.json``: which ids of a language model are a codec's codes."""

    codebooks: PositiveInt
    codebook_size: PositiveInt
    first_code: NonNegativeInt
    bos: NonNegativeInt
    eos: NonNegativeInt

    @property
    def end(self) -> int:
        """The id after the last code's."""
        return self.first_code + self.codebooks * self.codebook_size

    def level(self, codebook: int) -> int:
        """Return the id of code 0 of a codebook."""
        return self.first_code + codebook * self.codebook_size

    def tokens(self, codes: Tensor) -> Tensor:
        """Return the ids ``[batch, frames * codebooks]`` of codes ``[batch, codebooks, frames]``."""
        offsets = torch.arange(self.codebooks, device=codes.device)[:, None] * self.codebook_size + self.first_code
        return (codes + offsets).transpose(1, 2).flatten(1)


@dataclass
class _Progress:
    """State of the generation for one prompt."""

    generator: Generator
    tokens: list[int]
    """Codes so far, frame after frame, each as an entry of its codebook, from 0."""
    ended: bool = False


class CodecLm(Alm):
    """Codec language model that continues the first ``prompt_seconds`` of a prompt's audio.

    Options: ``prompt_seconds``; ``min_seconds`` and ``max_seconds`` of new speech; ``temperature`` (0: greedy) and
    ``top_k`` (0: all); ``with_prompt``: whether the clip begins with the prompt as the codec decodes it.
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
        """Check that the token layout fits the codec and the model."""
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
        """Check that the model has enough positions for the longest prompt and continuation."""
        prompt_frames = -(-self.prompt_samples // self.codec.hop)
        needed = 1 + (prompt_frames + self.max_frames) * self.layout.codebooks
        if needed > self.model.config.max_position_embeddings:
            raise OptionError(
                f"{self.spec.name}: prompt_seconds and max_seconds need {needed} positions, the checkpoint has "
                f"{self.model.config.max_position_embeddings}; lower one of them"
            )

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        """Generate for prompts of the same length together, without padding, one length after another."""
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
        """Continue prompts ``[batch, samples]`` of the same length."""
        scales = self.codec.encode(wavs)
        if len(scales) != 1:
            raise OptionError(f"{self.spec.name}: {self.codec.spec.name} has {len(scales)} scales of codes; one works")
        all_progress = [_Progress(generator, []) for generator in generators(seeds)]
        self._run(self.layout.tokens(scales[0]), all_progress)
        return [
            self._decoded(progress, prompt, seed)
            for progress, prompt, seed in zip(all_progress, scales[0], seeds, strict=True)
        ]

    def _run(self, prompt: Tensor, all_progress: list[_Progress]) -> None:
        """Draw one token after another, for all prompts at once, until every prompt has ended or reached the limit.

        Args:
            prompt: ids ``[batch, positions]``.
            all_progress: one per prompt; the drawn tokens are added to it.
        """
        layout = self.layout
        step = torch.cat([prompt.new_full((len(prompt), 1), layout.bos), prompt], dim=1)
        cache = DynamicCache(config=self.model.config)
        for position in range(self.max_frames * layout.codebooks):
            output = self.model(step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            frame, codebook = divmod(position, layout.codebooks)
            first = layout.level(codebook)
            allowed = output.logits[:, -1, first : first + layout.codebook_size]
            if codebook == 0 and frame >= self.min_frames:  # between frames the end may come
                allowed = torch.cat([allowed, output.logits[:, -1, layout.eos, None]], dim=1)
            drawn = self.sampler.draw(allowed, [progress.generator for progress in all_progress])
            for progress, code in zip(all_progress, drawn.tolist(), strict=True):
                progress.ended = progress.ended or code == layout.codebook_size
                if not progress.ended:
                    progress.tokens.append(code)
            if all(progress.ended for progress in all_progress):
                return
            # prompts that have ended stay in the batch; what is drawn for them is not used
            step = (drawn.clamp_max(layout.codebook_size - 1) + first)[:, None]

    def _decoded(self, progress: _Progress, prompt: Tensor, seed: int) -> Generation:
        """Decode the new codes, after those of the prompt ``[codebooks, frames]`` if option ``with_prompt`` is set."""
        codes = torch.tensor(progress.tokens, dtype=torch.int64).view(-1, self.layout.codebooks).T
        frames = codes.shape[1]
        stop: Stop = "eos" if progress.ended else "length"
        if not frames:
            return Generation(torch.zeros(0), "eos", 0)
        if self.options["with_prompt"]:
            codes = torch.cat([prompt.cpu(), codes], dim=1)
        wav = self.codec.decode([codes[None]], [seed])[0].float().cpu()
        return Generation(wav, stop, frames)
