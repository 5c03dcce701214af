"""Codecs that spoil a part of a clip, a few calls of many, or the caller's data; each as small as it is still found."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from codec_adapters.base import Codes, Setup
from tests.codecfake_builder.conformance.planted import NOISE, RATE, MuLaw


class Spoiling(MuLaw):
    """Passes its output on to :meth:`spoil`."""

    calls = 0

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.calls = 0

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        self.calls += 1
        return self.spoil(super()._resynthesize(wav, seeds).clone(), wav)

    def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
        raise NotImplementedError


def silent(
    first: float, last: float | None = None, level: float = 0.0, least: float = 0.0, most: float = math.inf
) -> type[MuLaw]:
    """A codec that is silent (or at ``level``) from ``first`` to ``last`` seconds, counted from the end where they are
    negative, of clips of ``least`` to ``most`` seconds.
    """

    class Silent(Spoiling):
        def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
            speech = wav.abs().sum(dim=0).nonzero()  # what builds append is no part of the clip
            end = int(speech[-1]) + 1 if len(speech) else wav.shape[1]
            if least <= end / RATE <= most:
                bounds = [None if at is None else round(at * RATE) + (end if at < 0 else 0) for at in (first, last)]
                out[:, bounds[0] : bounds[1]] *= level
            return out

    return Silent


class NoiseAfterTenSeconds(Spoiling):
    def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
        out[:, 10 * RATE :] = 0.5 * NOISE[: max(0, out.shape[1] - 10 * RATE)]
        return out


class NoiseInShortClips(Spoiling):
    def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
        return 0.5 * NOISE[: out.shape[1]].repeat(len(out), 1) if 0.5 * RATE < out.shape[1] < 1.3 * RATE else out


def stretched(share: float) -> type[MuLaw]:
    """A codec that slows down by ``share``, and gives as many samples as came in."""

    class Stretched(Spoiling):
        def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
            places = torch.arange(out.shape[1], dtype=torch.float64) / (1 + share)
            low = places.floor().long().clamp(0, out.shape[1] - 2)
            part = (places - low).clamp(0, 1).float()
            return out[:, low] * (1 - part) + out[:, low + 1] * part

    return Stretched


class Jumps(Spoiling):
    """Leaves out 30 ms after 6 s."""

    def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
        at, gap = 6 * RATE, round(0.03 * RATE)
        return torch.nn.functional.pad(torch.cat([out[:, :at], out[:, at + gap :]], 1), (0, gap))[:, : out.shape[1]]


def clicking(height: float, every: float) -> type[MuLaw]:
    """A codec that adds one sample of ``height`` every so many seconds."""

    class Clicking(Spoiling):
        def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
            out[:, 700 :: round(every * RATE)] += height
            return out

    return Clicking


class OneClick(Spoiling):
    """One edge in ten seconds."""

    def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
        out[:, 9 * RATE : 9 * RATE + 1] -= 0.5
        return out


class FirstCallDiffers(Spoiling):
    def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
        return 0.9 * out if self.calls == 1 else out


def changing(after: int) -> type[MuLaw]:
    """A codec that gives something else after so many calls."""

    class Changing(Spoiling):
        def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
            return 0.99 * out if self.calls > after else out

    return Changing


def rarely_random(one_in: int) -> type[MuLaw]:
    """A codec that adds some noise at one call of so many."""

    class RarelyRandom(Spoiling):
        def __init__(self, setup: Setup) -> None:
            super().__init__(setup)
            self.generator = torch.Generator().manual_seed(5)

        def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
            chosen = int(torch.randint(one_in, (1,), generator=self.generator)) == 0
            return out + 1e-3 * NOISE[: out.shape[1]] if chosen and self.calls > 20 else out

    return RarelyRandom


def scaled(gain: float = 1.0, offset: float = 0.0) -> type[MuLaw]:
    """A codec of another level, with a constant added."""

    class Scaled(Spoiling):
        def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
            return gain * out + offset

    return Scaled


class WritesIntoItsInput(Spoiling):
    def spoil(self, out: Tensor, wav: Tensor) -> Tensor:
        wav.mul_(0.5)
        return out


class EncodeWritesIntoItsInput(MuLaw):
    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return super()._resynthesize(wav.clone(), seeds)

    def _encode(self, wav: Tensor) -> Codes:
        codes = super()._encode(wav)
        wav.clamp_(-0.1, 0.1)
        return codes


class DecodeWritesIntoItsCodes(MuLaw):
    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        out = super()._decode(codes, seeds)
        codes[0].zero_()
        return out
