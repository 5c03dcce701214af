"""Orpheus: reads text with the voice of one of its speakers, a Llama that writes SNAC's codes.

Upstream: canopyai/Orpheus-TTS (Apache-2.0; weights derived from Llama 3.2, gated). Checkpoint: a hub snapshot such as
``canopylabs/orpheus-3b-0.1-ft`` in the layout of ``transformers``: ``config.json``, safetensors, ``tokenizer.json``.

Seven ids per frame, each slot with a range of its own. Other than upstream, which takes any id and repairs afterwards,
only the ids of the slot in turn can be drawn, and the end between frames; a clip is decoded whole, where upstream's
streaming decoder loses the first frame and the last.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from transformers import DynamicCache, LlamaForCausalLM

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, generators
from codec_adapters.alm.codebooks import SNAC_FRAME, snac_codebook_size, snac_levels
from codec_adapters.alm.sampling import penalised
from codec_adapters.alm.tokenizers import TextTokenizer
from codec_adapters.errors import CheckpointError, OptionError
from codec_adapters.families.pretrained import load_pretrained


class Orpheus(Alm):
    """Orpheus.

    Options: ``voice``, one of the checkpoint's (the English one's: tara, leah, jess, leo, dan, mia, zac, zoe);
    ``temperature``, ``top_p``, ``repetition_penalty`` (upstream's; below 1.1 it rambles); ``max_seconds``.
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
        (prompt,), (generator,) = prompts, generators(seeds)
        text = self.tokenizer.ids(f"{self.options['voice']}: {prompt.text}", special=True)
        ids = torch.tensor([[*self.before, *text, *self.after]], device=self.device)
        codes, stop = self._codes(ids, generator)
        frames = len(codes) // SNAC_FRAME
        if not frames:
            return [Generation(torch.zeros(0), stop, 0)]
        table = torch.tensor(codes[: frames * SNAC_FRAME]).view(frames, SNAC_FRAME).T
        wav = self.codec.decode(snac_levels(table), seeds)[0].float().cpu()
        return [Generation(wav, stop, frames)]

    def _codes(self, ids: Tensor, generator: Generator) -> tuple[list[int], Stop]:
        """The codes that follow ``ids`` ``[1, length]``, slot after slot."""
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
