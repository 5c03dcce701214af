"""Adapter of a codec that is given as functions: ``encode`` and ``decode``, or a round trip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from codec_adapters.base import Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import CodecError, InputError, OptionError, OutputError
from codec_adapters.external.adapters.opaque import OpaqueAdapter
from codec_adapters.external.adapters.outputs import as_wave

_seeding = threading.RLock()
"""Held while torch's generator is seeded, since it is one for all threads. Reentrant: a codec may contain another."""


class ExternalAdapter(OpaqueAdapter):
    """Base class of the adapters of external codecs, which run in float32 only."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        if setup.dtype != torch.float32:
            raise OptionError(f"{setup.spec.name}: an added codec runs in float32 only; set execution.dtype to float32")


@dataclass(frozen=True)
class Functions:
    """A codec as functions: ``round_trip``, or both ``encode`` and ``decode``; where it has all, clips are made by the
    first.

    Waveforms are float32 ``[batch, samples]`` on the adapter's device. ``encode`` returns integer codes
    ``[batch, codebooks, frames]``, or anything else (continuous latents) that ``decode`` takes.
    """

    round_trip: Callable[[Tensor, Sequence[int]], Any] | None = None
    encode: Callable[[Tensor], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    batched: bool = False
    """Whether the functions take whole batches; else they are called with one item at a time, so that no item can
    depend on another."""
    codebooks: int | None = None
    """Number of codebooks of the codes that ``encode`` returns; ``None`` where it is not known."""


class FunctionsAdapter(ExternalAdapter):
    """Adapter of :class:`Functions`. An output that is longer than the input is cut, as codecs' own tools do.

    The input is padded with zeros to whole frames (the spec's ``hop``), as codecs do by themselves, unless
    ``whole_frames`` is false.
    """

    def __init__(self, setup: Setup, functions: Functions, whole_frames: bool = True) -> None:
        super().__init__(setup)
        self._functions = functions
        self._whole_frames = whole_frames

    @property
    def codebooks(self) -> int:
        return self._functions.codebooks or self.spec.codebooks

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        step = wav.shape[0] if self._functions.batched else 1
        parts = [
            self._part(wav[start : start + step], seeds[start : start + step]) for start in range(0, len(wav), step)
        ]
        return self._joined(parts, "outputs", "samples", "inputs")

    def _joined(self, parts: list[Tensor], what: str, unit: str, of: str) -> Tensor:
        """Return the parts of a batch, which differ in the first axis only, as one.

        Raises:
            OutputError: they differ in length, though what they were made of does not, or in other axes.
        """
        lengths = sorted({part.shape[-1] for part in parts})
        if len(lengths) > 1:
            raise OutputError(f"{self.spec.name}: {what} of {lengths} {unit} for {of} of equal length")
        if len(shapes := sorted({tuple(part.shape[1:]) for part in parts})) > 1:
            raise OutputError(f"{self.spec.name}: {what} of shapes {shapes} for {of} of one shape")
        return torch.cat(parts)

    def _part(self, wav: Tensor, seeds: list[int]) -> Tensor:
        """Run the functions on as many items as they take at once."""
        run = self._functions
        whole = self._whole(wav)
        if run.round_trip:
            made = run.round_trip(whole, seeds)
        else:
            assert run.encode is not None
            assert run.decode is not None
            with seeded(seeds[0], self.device):
                made = run.decode(run.encode(whole))
        return as_wave(self.spec.name, made, len(wav)).to(self.device)[:, : wav.shape[1]]

    def _code_form(self) -> CodeForm | None:
        return CodeForm([Scale([], codebooks=self.codebooks)]) if self._functions.decode else None

    def _encode(self, wav: Tensor) -> Codes:
        encode = self._functions.encode
        if encode is None:
            return super()._encode(wav)
        step = len(wav) if self._functions.batched else 1
        found = [encode(part) for part in self._whole(wav).split(step)]
        if not all(is_codes(part) for part in found):
            raise InputError(f"{self.spec.name}: has continuous latents, no codes; only resynthesize")
        return Codes([self._joined([part.to(torch.int64) for part in found], "codes", "frames", "inputs")])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        decode = self._functions.decode
        if decode is None:
            return super()._decode(codes, seeds)
        step = len(seeds) if self._functions.batched else 1
        waves = []
        for start in range(0, len(seeds), step):
            part = codes[0][start : start + step]
            with seeded(seeds[start], self.device):
                waves.append(as_wave(self.spec.name, decode(part), len(part)).to(self.device))
        return self._joined(waves, "outputs", "samples", "codes")

    def _whole(self, wav: Tensor) -> Tensor:
        return pad(wav, (0, -wav.shape[1] % self.hop)) if self._whole_frames else wav


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's random numbers in this context; the generators' states are restored afterwards."""
    devices = [device] if device.type == "cuda" else []
    with _seeding, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def failing_clips(name: str) -> Iterator[None]:
    """Turn the error of a codec in this context into an :class:`OutputError`, which costs the clip.

    Errors of a device (out of memory, CUDA) are raised as they are, since they are not the codec's.

    Args:
        name: of the codec, for messages.

    Raises:
        OutputError: the codec failed.
    """
    try:
        yield
    except (CodecError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except (Exception, SystemExit) as error:  # a codec may raise anything
        if "CUDA" in str(error):
            raise
        raise OutputError(f"{name}: failed ({one_line(error)})") from error


def last_line(error: Exception) -> str:
    """Return the last line of an error's text; torch's errors begin with tracebacks of their own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def one_line(error: BaseException) -> str:
    """Return the kind of an error and the last line of its text, where it has one."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    return f"{kind}: {lines[-1][:200]}" if lines else kind


def is_codes(made: object) -> bool:
    """Tell whether ``made`` is a tensor of integers with three axes, as codes have."""
    return isinstance(made, Tensor) and made.ndim == 3 and not (made.is_floating_point() or made.dtype == torch.bool)
