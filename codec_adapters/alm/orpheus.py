"""Orpheus: text to speech in the voice of one of its speakers; a Llama writes SNAC's codes.

Upstream: canopyai/Orpheus-TTS (Apache-2.0; weights derived from Llama 3.2, gated). Checkpoint: a hub snapshot such as
``canopylabs/orpheus-3b-0.1-ft`` in the layout of ``transformers``: ``config.json``, safetensors, ``tokenizer.json``.

A frame is seven ids, and each of the seven slots has its own range of ids. Two things differ from upstream. Upstream
draws any id and repairs the result afterwards; here only ids of the current slot can be drawn, and the end only between
frames. Upstream's streaming decoder loses the first and the last frame; here a clip is decoded in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from transformers import DynamicCache, LlamaForCausalLM

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, generators
from codec_adapters.alm.codebooks import SNAC_FRAME, generation_of, snac_codebook_size, snac_levels
from codec_adapters.alm.sampling import penalised
from codec_adapters.alm.tokenizers import TextTokenizer
from codec_adapters.errors import CheckpointError, OptionError
from codec_adapters.families.pretrained import load_pretrained


class Orpheus(Alm):
    """Orpheus (canopyai/Orpheus-TTS): reads a prompt's text. Every draw depends on the seed.

    Options: ``voice``, one of the checkpoint's (the English checkpoint has tara, leah, jess, leo, dan, mia, zac, zoe);
    ``temperature``, ``top_p``, ``repetition_penalty`` (upstream's values; with a penalty below 1.1 it rambles);
    ``max_seconds``.
    """

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        self.model = load_pretrained(LlamaForCausalLM, setup.folder, dtype=setup.dtype).to(setup.device)
        self.tokenizer = TextTokenizer(setup.folder)
        special = self.tokenizer.special
        self.speech_end = special("<custom_token_2>")
        self.first_code = special("<custom_token_10>")
        self.before = [special("<custom_token_3>")]
        self.after = [special(name) for name in ("<|eot_id|>", "<custom_token_4>", "<custom_token_5>")]
        self.after.append(special("<custom_token_1>"))
        self.codes = snac_codebook_size(self.codec)
        if self.first_code + SNAC_FRAME * self.codes > self.model.config.vocab_size:
            raise CheckpointError(f"{setup.folder}: has too few ids for seven times {self.codes} codes")
        self.sampler = setup.sampler()
        self.penalty = float(setup.options["repetition_penalty"])
        if self.penalty <= 0:
            raise OptionError(f"{setup.spec.name}: repetition_penalty must be above 0, got {self.penalty:g}")
        self.max_frames = max(1, int(self.max_seconds * self.codec.frame_rate / 4))

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        (prompt,), (generator,), (seed,) = prompts, generators(seeds), seeds
        text = self.tokenizer.ids(f"{self.options['voice']}: {prompt.text}", special=True)
        ids = torch.tensor([[*self.before, *text, *self.after]], device=self.device)
        codes, stop = self._codes(ids, generator)
        frames = len(codes) // SNAC_FRAME
        table = torch.tensor(codes[: frames * SNAC_FRAME], dtype=torch.int64).view(frames, SNAC_FRAME).T
        return [generation_of(self.codec, table, seed, stop, arrange=snac_levels)]

    def _codes(self, ids: Tensor, generator: Generator) -> tuple[list[int], Stop]:
        """Draw the codes that follow ``ids`` ``[1, length]``, slot after slot, and say why they end."""
        cache = DynamicCache(config=self.model.config)
        step, seen, codes = ids, ids[0], list[int]()
        while len(codes) < self.max_frames * SNAC_FRAME:
            output = self.model(step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            scores = penalised(output.logits[:, -1].float(), seen, self.penalty)
            slot = len(codes) % SNAC_FRAME
            first = self.first_code + slot * self.codes
            allowed = scores[:, first : first + self.codes]
            if slot == 0:
                allowed = torch.cat([allowed, scores[:, self.speech_end, None]], dim=1)
            drawn = self.sampler.draw(allowed, [generator])
            if int(drawn) == self.codes:
                return codes, "eos"
            codes.append(int(drawn))
            step = (drawn + first)[:, None]
            seen = torch.cat([seen, step[0]])
        return codes, "length"
