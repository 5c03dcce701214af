"""A codec that behaves, and ways to misbehave, one at a time."""

from __future__ import annotations

import ctypes
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import codec_adapters
from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.spec import CodecSpec

RATE, HOP, LEVELS = 16000, 320, 255  # odd, so that silence stays silence
SPEC = replace(
    codec_adapters.spec("dac_16khz"),
    name="planted",
    family="planted",
    label=12,
    hop=HOP,
    codebooks=HOP,
    bitrate=RATE * 8.0,
    checkpoint="",
    options={},
    delay_samples=0,
    tail_local=True,
)
NOISE = 0.1 * torch.randn(RATE * 40, generator=torch.Generator().manual_seed(1))


class MuLaw(Adapter):
    """Eight bits a sample, in frames of 320 samples, each of which is a codebook of its own."""

    sample_rate = property(lambda self: RATE)
    hop = property(lambda self: HOP)
    codebooks = property(lambda self: HOP)
    bitrate = property(lambda self: RATE * 8.0)

    def _encode(self, wav: Tensor) -> Codes:
        whole = torch.nn.functional.pad(wav, (0, -wav.shape[1] % HOP)).clamp(-1, 1)
        companded = whole.sign() * torch.log1p(255 * whole.abs()) / torch.log1p(torch.tensor(255.0))
        codes = ((companded + 1) / 2 * (LEVELS - 1)).round().long()
        return Codes([codes.reshape(len(wav), -1, HOP).transpose(1, 2)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        companded = codes[0].transpose(1, 2).flatten(1) / (LEVELS - 1) * 2 - 1
        return companded.sign() * torch.expm1(companded.abs() * torch.log1p(torch.tensor(255.0))) / 255


class WithoutCodes(MuLaw):
    """As codecs in other processes are: waveform in, waveform out."""

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return MuLaw._decode(self, MuLaw._encode(self, wav), seeds)[:, : wav.shape[1]]

    def _encode(self, wav: Tensor) -> Codes:
        raise codec_adapters.InputError("gives no codes")


class Dithered(MuLaw):
    """With a random step, drawn from each item's seed as it should be."""

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        out = super()._decode(codes, seeds)
        starts = [seed % 1000 for seed in seeds]
        return out + torch.stack([0.01 * NOISE[start : start + out.shape[1]] for start in starts])


class Random(MuLaw):
    """Noise, whatever goes in; the same every time."""

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return 0.5 * NOISE[: wav.shape[1]].repeat(len(wav), 1)


class Unrepeatable(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav, seeds) + 1e-4 * torch.randn_like(wav)


class HiddenState(MuLaw):
    """Remembers how long and loud the last other input was."""

    last = 0.0
    now = (0, 0.0)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        level = (wav.shape[1], float(wav.std()))
        if level != self.now:
            self.last, self.now = self.now[1], level
        return super()._resynthesize(wav, seeds) + 1e-3 * self.last


class FirstSeedForAll(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav, seeds) + 0.01 * NOISE[seeds[0] : seeds[0] + wav.shape[1]]


class BatchLeak(MuLaw):
    """Levels the whole batch by its loudest item."""

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav, seeds) * (1 + 0.01 * wav.abs().max())


class Half(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav, seeds)[:, : wav.shape[1] // 2]


class NotFinite(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        out = super()._resynthesize(wav, seeds)
        out[:, 1000:1010] = float("nan")
        return out


class Integers(MuLaw):
    """Scaled as 16-bit integers are."""

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav, seeds) * 32768


class DoublePrecision(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav, seeds).double()


class OneLate(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return torch.nn.functional.pad(super()._resynthesize(wav, seeds), (1, 0))[:, :-1]


class SpeaksInSilence(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        silent = (wav == 0).all(dim=1, keepdim=True)
        return super()._resynthesize(wav, seeds) + 3 * silent * NOISE[: wav.shape[1]]


class OverflowsAtFullScale(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav, seeds) / (wav.abs() < 1)


class RefusesShortClips(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        if wav.shape[1] < 5000:
            raise ValueError("kernel size can't be greater than actual input size")
        return super()._resynthesize(wav, seeds)


class WholeClipNorm(MuLaw):
    """Levels by the whole clip, so that appended silence changes all of it."""

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav, seeds) * (1 + wav.square().mean(dim=1, keepdim=True))


class ThreadUnsafe(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        self.buffer = wav
        time.sleep(0.01)
        return super()._resynthesize(self.buffer, seeds)


class Leak(MuLaw):
    """Keeps every output."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.kept: list[Tensor] = []

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        self.kept.append(super()._resynthesize(wav, seeds))
        return self.kept[-1].clone()


class NativeLeak(MuLaw):
    """As a library in C would, where Python sees nothing of it."""

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        ctypes.memset(libc.malloc(3000), 1, 3000)
        return super()._resynthesize(wav, seeds)


class CachePerLength(MuLaw):
    """No leak: what it keeps does not grow on equal input."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.windows: dict[int, Tensor] = {}

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        window = self.windows.setdefault(wav.shape[1], torch.ones(wav.shape[1]))
        return super()._resynthesize(wav, seeds) * window


def _phone_home() -> None:
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", 9))


class CallsHome(MuLaw):
    """And goes on without an answer."""

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        with suppress(OSError):
            _phone_home()
        return super()._resynthesize(wav, seeds)


class NeedsNetwork(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        _phone_home()
        return super()._resynthesize(wav, seeds)


class LoadsFromNetwork(MuLaw):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        if setup.options.get("reload"):
            socket.getaddrinfo("weights.example.org", 443)


class AcceptsNonsense(MuLaw):
    def resynthesize(self, wav: Any, seeds: Sequence[int] | None = None) -> Tensor:
        wav = torch.as_tensor(wav).float()
        good = wav.ndim == 2 and 0 not in wav.shape
        return self._resynthesize(wav, [0] * len(wav)) if good else wav


class StumblesOverNonsense(MuLaw):
    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        if wav.ndim != 2:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return super().resynthesize(wav, seeds)


class ClaimsAnotherHop(MuLaw):
    hop = property(lambda self: 160)


class FloatCodes(MuLaw):
    def encode(self, wav: Tensor) -> Codes:
        return Codes([codes.float() for codes in super().encode(wav)])

    def decode(self, codes: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Tensor:
        return super().decode([scale.long() for scale in codes], seeds)


class DecodesHalf(MuLaw):
    def decode(self, codes: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Tensor:
        out = super().decode(codes, seeds)
        return out[:, : out.shape[1] // 2]


class Crashes(MuLaw):
    """In one place only, with a message of several lines."""

    def encode(self, wav: Tensor) -> Codes:
        raise ZeroDivisionError("float division\nby zero")


def adapter_of(codec: type[Adapter], **claims: Any) -> Adapter:
    """The codec, loaded, with another spec where ``claims`` says so."""
    spec: CodecSpec = replace(SPEC, **claims)
    return codec(Setup(spec, spec.options, None, torch.device("cpu"), torch.float32))
