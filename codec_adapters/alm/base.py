"""The contract of audio language models: prompts in, speech out.

Like a codec adapter, an ALM never resamples, levels, reads audio files or downloads.
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
    """What an ALM is given; which parts it needs stands in its spec."""

    prompt_id: str
    text: str | None = None
    """What is to be spoken."""
    audio: Tensor | None = None
    """Speech, float32 ``[samples]`` at the ALM's ``prompt_rate``, nominal range [-1, 1]."""
    language: str | None = None
    """Code of the language, e.g. ``en``."""
    transcript: str | None = None
    """What is said in ``audio``."""


Stop = Literal["eos", "length"]
"""How a generation came to its end: the model ended it, or its limit did."""


@dataclass(frozen=True)
class Generation:
    """What an ALM made of one prompt."""

    wav: Tensor
    """float32 ``[samples]`` at the ALM's ``sample_rate``, on the CPU; no samples where it generated nothing."""
    stop: Stop
    frames: int
    """Frames of codes that were decoded (of the coarsest codebook where a codec has several scales)."""
    cut: int = 0
    """Ids outside of the codec's codebook; the speech ends before the first frame that held one, none is decoded."""
    text: str | None = None
    """What the model says it spoke, where it writes text too."""


@dataclass(frozen=True)
class AlmSetup:
    """What an ALM is made from; :func:`codec_adapters.alm.load` has checked it."""

    spec: AlmSpec
    options: Mapping[str, OptionValue]
    """All inference options, each of its own kind."""
    checkpoint: Path | None
    """Folder in the ALM's official file layout."""
    codec: Adapter | None
    """The codec that speaks, loaded; ``None`` for a model that decodes by itself."""
    device: torch.device
    dtype: torch.dtype
    """For the networks; probabilities are in float32."""
    codec_spec: CodecSpec
    """What is known of the codec that speaks, loaded or not."""

    @property
    def folder(self) -> Path:
        """The checkpoint folder, which a model with weights always has."""
        if self.checkpoint is None:
            raise CheckpointError(f"{self.spec.name}: needs a checkpoint folder, since it has no official weights")
        return self.checkpoint

    def sampler(self, stage: str = "") -> Sampler:
        """How ids are drawn, after the options ``temperature``, ``top_k`` and ``top_p`` (those that the ALM has).

        Args:
            stage: what the options' names begin with, for a model that draws in several.

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
    """Runs one audio language model.

    Subclasses load their network in ``__init__`` and implement ``_generate``. They hold no state between calls.
    """

    batched = False
    """Whether ``_generate`` takes several prompts. Even then, prompts run one by one on a CPU: matrix products round by
    the shape of the whole batch, one rounding can change every id after it, and a clip must not depend on its batch. On
    a GPU a batch is faster, and a rounding of that kind is the one way in which it can show."""

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
        """The codec that speaks, which a model that does not decode by itself always has."""
        if self._codec is None:
            raise InputError(f"{self.spec.name}: decodes by itself; no codec is loaded beside it")
        return self._codec

    @property
    def prompt_rate(self) -> int:
        """Rate of a prompt's audio, Hz; that of the speech, unless the model hears through something else."""
        return self.spec.prompt_rate or self.sample_rate

    @property
    def sample_rate(self) -> int:
        """Rate of the speech, Hz."""
        return self.spec.sample_rate or self.codec.sample_rate

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Generation]:
        """Speech for each prompt, at most ``max_seconds`` of it.

        Args:
            prompts: with the parts that the spec names.
            seeds: one per prompt; same prompt, seed and kind of device: same speech, whatever the batch around it.

        Raises:
            InputError: another number of seeds, or a prompt that lacks a part or holds audio of another form.
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
        """``generate`` for checked prompts; one where the class is not :attr:`batched`."""

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
    """A generator per prompt, on the CPU so that a draw is the same on every device."""
    for seed in seeds:
        yield Generator().manual_seed(seed % 2**63)


@contextmanager
def library_generator(seed: int, device: torch.device) -> Iterator[None]:
    """For library code that draws from torch's global generators and takes no other: seeded for one prompt inside,
    put back as they were afterwards. Not for two threads at a time.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed % 2**63)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed % 2**63)
        yield
