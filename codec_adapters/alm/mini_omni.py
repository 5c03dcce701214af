"""Mini-Omni: spoken answers to speech, through SNAC at 24 kHz.

Paper: Xie and Wu, "Mini-Omni: Language Models Can Hear, Talk While Thinking in Streaming", arXiv 2408.16725. Upstream:
gpt-omni/mini-omni (MIT), its task A1-A2 (audio in, audio out). Checkpoint: the hub snapshot's ``lit_model.pth``,
``model_config.yaml`` and ``tokenizer.json``, with ``openai/whisper-small`` (``config.json``, ``model.safetensors``) in
the folder ``whisper-small`` beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from transformers import DynamicCache, WhisperFeatureExtractor, WhisperModel

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop, generators
from codec_adapters.alm.codebooks import before_bad_frames, generation_of, snac_codebook_size, snac_levels, undelayed
from codec_adapters.alm.mini_omni_network import AUDIO_ROWS, MiniOmniNetwork
from codec_adapters.alm.sampling import Sampler
from codec_adapters.alm.tokenizers import TextTokenizer
from codec_adapters.errors import CheckpointError
from codec_adapters.families.pretrained import load_pretrained

HEARING_RATE = 16000
"""Sample rate of Whisper's input, Hz."""
FRAME_MILLISECONDS = 20
"""Length of a frame of Whisper's encoder, ms."""
DELAYS = range(1, AUDIO_ROWS + 1)
"""Delay of each audio row, in steps."""


@dataclass(frozen=True)
class Specials:
    """The special ids of a row: those after the text's, or after the codebook's."""

    first: int

    @property
    def end(self) -> int:
        return self.first

    @property
    def pad(self) -> int:
        return self.first + 1

    @property
    def begin(self) -> int:
        return self.first + 2

    @property
    def answer(self) -> int:
        return self.first + 3


class MiniOmni(Alm):
    """Mini-Omni (Xie and Wu, arXiv 2408.16725; gpt-omni/mini-omni), task A1-A2: answers a prompt's audio.

    Options: ``temperature`` and ``top_k`` (upstream's 0.9 and 1, which is greedy, so nothing is random);
    ``max_positions`` of prompt and answer together; ``max_seconds``; ``text_specials``, how many ids at the end of the
    text vocabulary are reserved.
    """

    def __init__(self, setup: AlmSetup) -> None:
        super().__init__(setup)
        self.network = MiniOmniNetwork(setup.folder, setup.device, setup.dtype)
        whisper_folder = setup.folder / "whisper-small"
        if not whisper_folder.is_dir():
            raise CheckpointError(f"{setup.folder}: has no folder whisper-small, with which the model hears")
        self.ear = load_pretrained(WhisperModel, whisper_folder).encoder.to(setup.device).float()
        config = self.network.config
        if self.ear.config.d_model != config.whisper_adapter_dim:
            raise CheckpointError(
                f"{whisper_folder}: its frames have {self.ear.config.d_model} values, Mini-Omni's adapter takes "
                f"{config.whisper_adapter_dim}"
            )
        self.features = WhisperFeatureExtractor(feature_size=self.ear.config.num_mel_bins)
        self.tokenizer = TextTokenizer(setup.folder)
        codes = snac_codebook_size(self.codec)
        if codes >= config.audio_vocab_size:
            raise CheckpointError(
                f"{setup.folder}: {config.audio_vocab_size} audio ids, fewer than the codec's {codes}"
            )
        self.codes = codes
        self.loop = AnswerLoop(
            self.network,
            Specials(codes),
            Specials(config.text_vocab_size - int(setup.options["text_specials"])),
            setup.sampler(),
        )
        self.max_steps = int(self.max_seconds * self.codec.frame_rate / 4) + AUDIO_ROWS

    @property
    def prompt_rate(self) -> int:
        return HEARING_RATE

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        (prompt,), (generator,), (seed,) = prompts, generators(seeds), seeds
        assert prompt.audio is not None
        heard = self.heard(prompt.audio)
        limit = min(int(self.options["max_positions"]), self.network.config.block_size) - heard.shape[1] - 3
        rows, stop = self.loop.run(heard, min(limit, self.max_steps), generator)
        table, cut = before_bad_frames(undelayed(rows[:AUDIO_ROWS], DELAYS), self.codes)
        text = self._text(rows[AUDIO_ROWS].tolist())
        return [generation_of(self.codec, table, seed, stop, cut, text, arrange=snac_levels)]

    def heard(self, wav: Tensor) -> Tensor:
        """Return Whisper's frames ``[1, frames, width]`` of speech ``[samples]``, without those of the padding.

        Whisper takes 30 s: shorter speech is padded, and of longer speech only the beginning is used.
        """
        mel = self.features(wav.cpu().numpy(), sampling_rate=HEARING_RATE, return_tensors="pt").input_features
        frames: Tensor = self.ear(mel.to(self.device)).last_hidden_state
        return frames[:, : int(1000 * len(wav) / HEARING_RATE / FRAME_MILLISECONDS) + 1]

    def _text(self, ids: list[int]) -> str:
        """Return the text of the text row's ids, up to its first special id."""
        end = next((place for place, token in enumerate(ids) if token >= self.loop.text.first), len(ids))
        return self.tokenizer.text(ids[:end])


class AnswerLoop:
    """The loop that generates an answer: per step, one token for each of the eight rows."""

    def __init__(self, network: MiniOmniNetwork, audio: Specials, text: Specials, sampler: Sampler) -> None:
        self.network = network
        self.audio = audio
        self.text = text
        self.sampler = sampler

    def prompt_rows(self, frames: int) -> Tensor:
        """Return the rows ``[8, frames + 3]`` of a prompt with ``frames`` of Whisper's frames."""
        rows = [
            [special.begin, *[special.pad] * frames, special.end, special.answer]
            for special in (*[self.audio] * AUDIO_ROWS, self.text)
        ]
        return torch.tensor(rows, device=self.network.shift.device)

    def run(self, heard: Tensor, limit: int, generator: Generator) -> tuple[Tensor, Stop]:
        """Generate the answer to Whisper's frames ``[1, frames, width]``.

        The answer ends when the last audio row ends. After the end of the text, the text row is padding. The ends are
        not looked for in the first step.

        Args:
            limit: most steps to generate.

        Returns:
            Rows, int64 ``[8, steps]`` on the CPU, and why the answer ended.
        """
        cache = DynamicCache(config=self.network.body.config)
        embedded = self.network.embed_prompt(self.prompt_rows(heard.shape[1]), heard)
        steps: list[Tensor] = []
        text_ended = False
        while len(steps) < limit:
            tokens = torch.cat([self.sampler.draw(row, [generator]) for row in self.network.step(embedded, cache)])
            if steps:
                if text_ended:
                    tokens[-1] = self.text.pad
                if tokens[AUDIO_ROWS - 1] == self.audio.end:
                    return _rows(steps), "eos"
                text_ended = text_ended or bool(tokens[-1] == self.text.end)
            steps.append(tokens)
            embedded = self.network.embed(tokens[:, None])
        return _rows(steps), "length"


def _rows(steps: list[Tensor]) -> Tensor:
    return torch.stack(steps, dim=1).cpu() if steps else torch.zeros((AUDIO_ROWS + 1, 0), dtype=torch.int64)
