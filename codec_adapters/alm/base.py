"""The contract of audio language models (ALMs): prompts in, speech out.

Like a codec adapter, an ALM never resamples, changes levels, reads audio files or downloads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Generator, Tensor

from codec_adapters.alm.sampling import Sampler
from codec_adapters.base import Adapter
from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.spec import AlmSpec, CodecSpec, OptionValue


@dataclass(frozen=True)
class Prompt:
    """Input of an ALM. The ALM's spec says which parts it needs."""

    prompt_id: str
    text: str | None = None
    """Text to speak."""
    audio: Tensor | None = None
    """Speech, float32 ``[samples]`` at the ALM's ``prompt_rate``, nominal range [-1, 1]."""
    language: str | None = None
    """Language code, e.g. ``en``."""
    transcript: str | None = None
    """What is said in ``audio``."""


Stop = Literal["eos", "length"]
"""Why a generation ended: the model ended it (``eos``), or it reached its limit (``length``)."""


@dataclass(frozen=True)
class Generation:
    """Output of an ALM for one prompt."""

    wav: Tensor
    """float32 ``[samples]`` at the ALM's ``sample_rate``, on the CPU; empty if it generated nothing."""
    stop: Stop
    frames: int
    """Frames of codes that were decoded; for a codec with several scales, those of the coarsest codebook."""
    cut: int = 0
    """Generated ids that are not codes of the codec. The speech ends before the first frame that has one."""
    text: str | None = None
    """What the model states that it spoke, if it also writes text."""


@dataclass(frozen=True)
class AlmSetup:
    """What an ALM is built from, checked by :func:`codec_adapters.alm.load`."""

    spec: AlmSpec
    options: Mapping[str, OptionValue]
    """All inference options, each with a value of the right type."""
    checkpoint: Path | None
    """Folder in the ALM's official file layout."""
    codec: Adapter | None
    """The loaded codec that makes the speech; ``None`` for a model that decodes by itself."""
    device: torch.device
    dtype: torch.dtype
    """Type for the networks; probabilities are in float32."""
    codec_spec: CodecSpec
    """Spec of the codec that makes the speech, also if it is not loaded."""

    @property
    def folder(self) -> Path:
        """Checkpoint folder.

        Raises:
            CheckpointError: there is none.
        """
        if self.checkpoint is None:
            raise CheckpointError(f"{self.spec.name}: needs a checkpoint folder, since it has no official weights")
        return self.checkpoint

    def sampler(self, stage: str = "") -> Sampler:
        """Build a sampler from the options ``temperature``, ``top_k`` and ``top_p``, as far as the ALM has them.

        Args:
            stage: prefix of the options' names, for a model that draws in several stages.

        Raises:
            OptionError: a value out of its range.
        """
        options = self.options
        temperature = float(options[f"{stage}temperature"])
        top_k, top_p = int(options.get(f"{stage}top_k", 0)), float(options.get(f"{stage}top_p", 1.0))
        try:
            return Sampler(temperature, top_k, top_p)
        except OptionError as error:
            raise OptionError(f"{self.spec.name}: {stage}{error}") from error


class Alm(ABC):
    """Base of audio language models.

    A subclass loads its network in ``__init__`` and implements ``_generate``. It keeps no state between calls.
    """

    batched = False
    """Whether ``_generate`` takes several prompts. On a CPU, prompts run one by one even then: the rounding of matrix
    products depends on the shape of the whole batch, one rounding can change every id after it, and a clip must not
    depend on its batch. On a GPU a batch is faster, and such a rounding is the only effect that it can have."""

    def __init__(self, setup: AlmSetup) -> None:
        self.spec = setup.spec
        self.options = dict(setup.options)
        self._codec = setup.codec
        self.device = setup.device
        self.dtype = setup.dtype
        self.max_seconds = float(setup.options["max_seconds"])
        if self.max_seconds <= 0:
            raise OptionError(f"{setup.spec.name}: max_seconds must be above 0, got {self.max_seconds:g}")

    @property
    def codec(self) -> Adapter:
        """The codec that makes the speech.

        Raises:
            InputError: the model decodes by itself.
        """
        if self._codec is None:
            raise InputError(f"{self.spec.name}: decodes by itself; no codec is loaded beside it")
        return self._codec

    @property
    def prompt_rate(self) -> int:
        """Sample rate of a prompt's audio, Hz: that of the speech, unless the model has another encoder for it."""
        return self.spec.prompt_rate or self.sample_rate

    @property
    def sample_rate(self) -> int:
        """Sample rate of the speech, Hz."""
        return self.spec.sample_rate or self.codec.sample_rate

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Generation]:
        """Generate speech for each prompt, at most ``max_seconds`` of it.

        Args:
            prompts: with the parts that the spec names.
            seeds: one per prompt. The same prompt, seed and kind of device give the same speech in any batch.

        Raises:
            InputError: the number of seeds is not the number of prompts, a prompt lacks a part, or its audio is not a
                float32 tensor ``[samples]``.
        """
        if len(seeds) != len(prompts):
            raise InputError(f"{self.spec.name}: {len(seeds)} seeds for {len(prompts)} prompts; give one per prompt")
        for prompt in prompts:
            self._check(prompt)
        together = self.batched and self.device.type != "cpu"
        size = max(1, len(prompts)) if together else 1
        made: list[Generation] = []
        for start in range(0, len(prompts), size):
            made += self._generate(prompts[start : start + size], [int(seed) for seed in seeds[start : start + size]])
        return made

    @abstractmethod
    def _generate(self, prompts: Sequence[Prompt], seeds: list[int]) -> list[Generation]:
        """Generate speech for checked prompts; a single one if the class is not :attr:`batched`."""

    def _check(self, prompt: Prompt) -> None:
        for part in self.spec.prompt:
            if getattr(prompt, part) is None:
                raise InputError(f"{self.spec.name}: prompt {prompt.prompt_id}: has no {part}, which this model needs")
        wav = prompt.audio
        if wav is not None and (wav.dtype != torch.float32 or wav.ndim != 1 or not wav.numel()):
            raise InputError(
                f"{self.spec.name}: prompt {prompt.prompt_id}: audio must be a float32 tensor [samples], not empty; "
                f"got {wav.dtype} {list(wav.shape)}"
            )


def generators(seeds: Sequence[int]) -> Iterator[Generator]:
    """Yield one generator per seed, on the CPU, so that draws are the same on every device."""
    for seed in seeds:
        yield Generator().manual_seed(seed % 2**63)


@contextmanager
def library_generator(seed: int, device: torch.device) -> Iterator[None]:
    """Context in which torch's global generators are seeded with ``seed``; their states are restored afterwards.

    It is for library code that draws from them and accepts no other generator. Only one thread may use it at a time.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed % 2**63)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed % 2**63)
        yield
