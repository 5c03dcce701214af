"""An adapter around functions that know nothing of the contract: ``encode`` and ``decode``, or a round trip."""

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
from codec_adapters.errors import InputError, OptionError, OutputError
from codec_adapters.external.adapters.opaque import OpaqueAdapter

_seeding = threading.RLock()
"""torch's own generator is one for all threads; a codec may be made of others."""


class AddedAdapter(OpaqueAdapter):
    """An adapter of a codec file's codec. Runs in float32 only."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        if setup.dtype != torch.float32:
            raise OptionError(f"{setup.spec.name}: an added codec runs in float32 only; set execution.dtype to float32")


@dataclass(frozen=True)
class Functions:
    """A codec as functions; either ``round_trip`` or both others.

    Waveforms are float32 ``[batch, samples]`` on the adapter's device. ``encode`` gives integer codes
    ``[batch, codebooks, frames]``, or anything else (continuous latents) that ``decode`` alone understands.
    """

    round_trip: Callable[[Tensor, Sequence[int]], Any] | None = None
    encode: Callable[[Tensor], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    batched: bool = False
    """Whether items of a batch may go in together; else they go one by one, and cannot depend on each other."""
    codebooks: int | None = None
    """As many as ``encode`` gives, where that was found out."""


class FunctionsAdapter(AddedAdapter):
    """Runs :class:`Functions`; the output is cut to the input's length where it is longer, as codecs' own tools do.

    The input is padded with zeros to whole frames (the spec's ``hop``), which is what codecs do by themselves.
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
        lengths = {part.shape[1] for part in parts}
        if len(lengths) > 1:
            raise OutputError(f"{self.spec.name}: outputs of {sorted(lengths)} samples for inputs of equal length")
        return torch.cat(parts)

    def _part(self, wav: Tensor, seeds: list[int]) -> Tensor:
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

    def _encode(self, wav: Tensor) -> Codes:
        encode = self._functions.encode
        if encode is None:
            return super()._encode(wav)
        step = len(wav) if self._functions.batched else 1
        found = [encode(part) for part in self._whole(wav).split(step)]
        if not all(is_codes(part) for part in found):
            raise InputError(f"{self.spec.name}: has continuous latents, no codes; only resynthesize")
        return Codes([torch.cat([part.to(torch.int64) for part in found])])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        decode = self._functions.decode
        if decode is None:
            return super()._decode(codes, seeds)
        if len(codes) != 1 or 0 in codes[0].shape or codes[0].shape[1] != self.codebooks:
            found = ", ".join(str(list(tensor.shape)) for tensor in codes)
            raise InputError(
                f"{self.spec.name}: codes must be one tensor [batch, {self.codebooks}, frames]; got {found}"
            )
        step = len(seeds) if self._functions.batched else 1
        waves = []
        for start in range(0, len(seeds), step):
            part = codes[0][start : start + step]
            with seeded(seeds[start], self.device):
                waves.append(as_wave(self.spec.name, decode(part), len(part)).to(self.device))
        return torch.cat(waves)

    def _whole(self, wav: Tensor) -> Tensor:
        return pad(wav, (0, -wav.shape[1] % self.hop)) if self._whole_frames else wav


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers drawn by torch within are the clip's own, and nobody else's are disturbed."""
    devices = [device] if device.type == "cuda" else []
    with _seeding, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def failing_clips(name: str) -> Iterator[None]:
    """A network that fails within costs the clip, in one sentence; a device that fails is not for the codec to judge.

    Raises:
        OutputError: whatever else torch raised.
    """
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except (RuntimeError, AssertionError, torch.jit.Error) as error:
        if "CUDA" in str(error):
            raise
        raise OutputError(f"{name}: failed ({last_line(error)})") from error


def last_line(error: Exception) -> str:
    """What is said at the end of an error's text, where torch's own tracebacks end."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def is_codes(made: object) -> bool:
    """Whether ``made`` is a tensor of integers with the axes of codes."""
    return isinstance(made, Tensor) and made.ndim == 3 and not (made.is_floating_point() or made.dtype == torch.bool)


def as_wave(name: str, made: object, batch: int) -> Tensor:
    """What a codec gave, as float32 ``[batch, samples]``; a mono channel axis is taken out, integers are refused.

    Raises:
        OutputError: it is no waveform of that batch.
    """
    if isinstance(made, list | tuple) and len(made) == 1:
        made = made[0]
    try:
        wave = torch.as_tensor(made)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OutputError(f"{name}: gave a {type(made).__name__}, expected a waveform [batch, samples]") from error
    shape = list(wave.shape)
    if wave.ndim == 1 and batch == 1:
        wave = wave[None]
    if wave.ndim == 3 and wave.shape[1] == 1:
        wave = wave[:, 0]
    if wave.ndim != 2 or wave.shape[0] != batch or not wave.shape[1] or not wave.is_floating_point():
        raise OutputError(
            f"{name}: gave {str(wave.dtype).removeprefix('torch.')} {shape}, expected a float waveform "
            f"[{batch}, samples] or [{batch}, 1, samples]"
        )
    return wave.float()
