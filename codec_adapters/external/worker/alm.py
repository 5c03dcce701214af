"""Isolated audio language models (ALMs), behind the contract of all ALMs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from codec_adapters.alm.base import Alm, AlmSetup, Generation, Prompt, Stop
from codec_adapters.external.worker.exchange import Exchange
from codec_adapters.external.worker.worker import Worker


class IsolatedAlm(Alm):
    """Sends prompts to a worker, with their audio as WAV files, and reads WAV files back."""

    batched = True

    def __init__(self, setup: AlmSetup, worker: Worker) -> None:
        super().__init__(setup)
        self._exchange = Exchange(worker, self.sample_rate, worker.limits.clip_seconds)
        self._frame_rate = setup.codec_spec.frame_rate

    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        exchange, clips = self._exchange, len(prompts)
        with exchange.files(clips, "prompt") as inputs, exchange.files(clips, "out") as outputs:
            payload = {
                "prompts": [self._sent(prompt, path) for prompt, path in zip(prompts, inputs, strict=True)],
                "outputs": list(map(str, outputs)),
                "seeds": seeds,
            }
            answers = exchange.request("generate", payload, clips).get("clips")
            if not isinstance(answers, list) or len(answers) != clips:
                found = len(answers) if isinstance(answers, list) else "no list"
                exchange.refuse(f"generate: expected one entry of clips for each of {clips} prompts, got {found}")
            return [self._generation(answer, path) for answer, path in zip(answers, outputs, strict=True)]

    def _sent(self, prompt: Prompt, path: Path) -> dict[str, Any]:
        """Return a prompt as the protocol has it; its audio is written to ``path``."""
        if prompt.audio is not None:
            self._exchange.write(path, prompt.audio.cpu().numpy(), self.prompt_rate)
        return {
            "id": prompt.prompt_id,
            "text": prompt.text,
            "transcript": prompt.transcript,
            "language": prompt.language,
            "audio": None if prompt.audio is None else str(path),
        }

    def _generation(self, answer: object, path: Path) -> Generation:
        """Return a clip and what the worker says of it; each part is checked.

        Raises:
            WorkerRefusedError: a part is not of the protocol's form.
        """
        if not isinstance(answer, dict):
            self._exchange.refuse(f"generate: an entry of clips is {answer!r:.60}, expected text, stop and cut")
        text, cut = answer.get("text"), answer.get("cut", 0)
        stop: Any = answer.get("stop")
        if text is not None and not (isinstance(text, str) and _can_be_written(text)):
            self._exchange.refuse(f"generate: text is {text!r:.60}, expected a string or null")
        if stop not in get_args(Stop):
            self._exchange.refuse(f"generate: stop is {stop!r:.60}, expected {' or '.join(get_args(Stop))}")
        if type(cut) is not int or cut < 0:
            self._exchange.refuse(f"generate: cut is {cut!r:.60}, expected a number of ids")
        wav = torch.from_numpy(self._exchange.read(path, self.max_seconds))
        frames = math.ceil(len(wav) / self.sample_rate * self._frame_rate)
        return Generation(wav, stop, frames, cut, text)


def _can_be_written(text: str) -> bool:
    """Tell whether a text can be stored as UTF-8; JSON can hold halves of characters, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
