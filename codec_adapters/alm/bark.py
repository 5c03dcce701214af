"""Bark: text to speech in 13 languages with preset voices, through EnCodec at 24 kHz and 6 kbit/s.

Upstream: suno-ai/bark (MIT). Checkpoint: the hub snapshot ``suno/bark`` or ``suno/bark-small`` in the layout of
``transformers``: ``config.json``, ``generation_config.json``, ``pytorch_model.bin``, ``tokenizer.json``, and
``speaker_embeddings/<voice>_{semantic,coarse,fine}_prompt.npy``. Three models run one after the other: text to semantic
tokens, semantic tokens to EnCodec's first two codebooks, and those to all codebooks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BarkModel
from transformers.models.bark.generation_configuration_bark import (
    BarkCoarseGenerationConfig,
    BarkFineGenerationConfig,
    BarkSemanticGenerationConfig,
)

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, library_generator
from codec_adapters.alm.codebooks import before_bad_frames, generation_of, require_codebooks
from codec_adapters.alm.tokenizers import TextTokenizer
from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.families.pretrained import load_pretrained


class Bark(Alm):
    """Bark (suno-ai/bark): reads a prompt's text. Every draw depends on the seed.

    Options: ``voice``, a preset such as ``v2/en_speaker_6`` (empty: each seed gives another voice);
    ``semantic_temperature``, ``coarse_temperature``, ``fine_temperature``; ``min_eos_p``, the probability of the end
    token from which on the model ends; ``max_seconds``.
    """

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        # the checkpoint's own copy of EnCodec is not needed
        model = load_pretrained(BarkModel, setup.folder, dtype=setup.dtype, spare_parts=("codec_model",))
        self.model: Any = model.to(setup.device)
        stages = model.generation_config
        self.semantic = BarkSemanticGenerationConfig(**stages.semantic_config)
        self.coarse = BarkCoarseGenerationConfig(**stages.coarse_acoustics_config)
        self.fine = BarkFineGenerationConfig(**stages.fine_acoustics_config)
        self.codes = int(stages.codebook_size)
        require_codebooks(self.codec, f"{setup.folder}:", self.fine.n_fine_codebooks, self.codes)
        for stage in ("semantic", "coarse", "fine"):
            if float(setup.options[f"{stage}_temperature"]) <= 0:
                raise OptionError(f"{setup.spec.name}: {stage}_temperature must be above 0")
        self.tokenizer = TextTokenizer(setup.folder)
        self.voice = self._preset(setup)

    def _preset(self, setup: AlmSetup) -> dict[str, Tensor] | None:
        """Read a voice: tokens ``semantic_prompt`` ``[n]``, ``coarse_prompt`` ``[2, m]``, ``fine_prompt`` ``[8, m]``.

        Returns:
            ``None`` if option ``voice`` is empty.
        """
        name = str(setup.options["voice"])
        if not name:
            return None
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise OptionError(f"{setup.spec.name}: voice {name!r} leads out of the checkpoint's speaker_embeddings")
        voice = {}
        for part, axes in (("semantic_prompt", 1), ("coarse_prompt", 2), ("fine_prompt", 2)):
            path = setup.folder / "speaker_embeddings" / f"{name}_{part}.npy"
            if not path.is_file():
                raise CheckpointError(f"{path}: no such file; option voice needs a preset of this checkpoint")
            try:
                tokens = np.load(path, allow_pickle=False).astype(np.int64)
            except (ValueError, OSError) as error:
                raise CheckpointError(f"{path}: cannot be read as an array ({error})") from error
            if tokens.ndim != axes:
                raise CheckpointError(f"{path}: has {tokens.ndim} axes, expected {axes}")
            voice[part] = torch.from_numpy(tokens).to(setup.device)
        return voice

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        (prompt,), (seed,) = prompts, seeds
        with library_generator(seed, self.device):
            semantic = self._semantic(prompt)
            ended = int(semantic[0, -1]) == self.semantic.eos_token_id
            if semantic.shape[1] <= int(ended):
                return [Generation(torch.zeros(0), "eos", 0)]
            codes = self._acoustic(semantic)
        stop: Stop = "eos" if ended else "length"
        table, cut = before_bad_frames(codes[0].cpu(), self.codes)
        return [generation_of(self.codec, table, seed, stop, cut)]

    def _semantic(self, prompt: Prompt) -> Tensor:
        """Draw the semantic tokens ``[1, n]`` of the prompt's text, the end token included."""
        ids, most = self.tokenizer.ids(prompt.text or ""), self.semantic.max_input_semantic_length
        if not 0 < len(ids) <= most:
            raise InputError(f"prompt {prompt.prompt_id}: has {len(ids)} tokens of text, Bark reads 1 to {most}")
        padded = torch.zeros((1, most), dtype=torch.int64, device=self.device)
        padded[0, : len(ids)] = torch.tensor(ids)
        tokens: Tensor = self.model.semantic.generate(
            padded,
            semantic_generation_config=self.semantic,
            history_prompt=self.voice,
            attention_mask=(torch.arange(most, device=self.device) < len(ids)).long()[None],
            max_new_tokens=max(1, int(self.max_seconds * self.semantic.semantic_rate_hz)),
            do_sample=True,
            temperature=float(self.options["semantic_temperature"]),
            min_eos_p=float(self.options["min_eos_p"]),
        )
        return tokens

    def _acoustic(self, semantic: Tensor) -> Tensor:
        """Draw EnCodec's codes ``[1, codebooks, frames]`` for semantic tokens ``[1, n]``."""
        common = {
            "semantic_generation_config": self.semantic,
            "coarse_generation_config": self.coarse,
            "codebook_size": self.codes,
            "history_prompt": self.voice,
        }
        coarse = self.model.coarse_acoustics.generate(
            semantic, do_sample=True, temperature=float(self.options["coarse_temperature"]), **common
        )
        fine: Tensor = self.model.fine_acoustics.generate(
            coarse,
            fine_generation_config=self.fine,
            temperature=float(self.options["fine_temperature"]),
            **common,
        )
        return fine.long()
