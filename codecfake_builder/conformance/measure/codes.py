"""Hop, frame rate and codebooks, from the codes of speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch

from codec_adapters.errors import InputError
from codecfake_builder.audio import Wave
from codecfake_builder.conformance.speech import repeat_to_length

if TYPE_CHECKING:
    from codec_adapters.base import Adapter


@dataclass(frozen=True)
class MeasuredCodes:
    """Hop, frame rate and codebooks as codes show them, and the bit rate, which only the adapter knows."""

    hop: float
    """Samples per frame of the finest codebook."""
    frame_rate: float
    """Frames per second of the finest codebook."""
    codebooks: int
    bitrate: float
    """bits/s."""

    def __str__(self) -> str:
        return f"hop {self.hop:g}, {self.frame_rate:g} frames/s, {self.codebooks} codebooks, {self.bitrate:g} bit/s"


def measure_codes(adapter: Adapter, waves: Sequence[Wave]) -> MeasuredCodes | None:
    """Measure hop, frame rate and codebooks; ``None`` where the codec gives no codes.

    The hop is the distance between input lengths at which another frame begins, found by bisection. That works
    whatever the codec rounds to or pads with, and also where it divides long input into chunks.

    Args:
        waves: speech at the codec's rate.

    Raises:
        ValueError: the number of frames does not grow with the input.
    """
    rate = adapter.sample_rate

    @cache
    def frames(samples: int) -> int:
        codes = adapter.encode(torch.from_numpy(repeat_to_length(waves, samples))[None])
        return max(scale.shape[-1] for scale in codes)

    try:
        codes = adapter.encode(torch.from_numpy(repeat_to_length(waves, rate // 8))[None])
    except InputError:
        return None
    first = _next_frame(frames, rate // 8, rate)
    last = _next_frame(frames, first + rate // 8, rate)
    hop = (last - first) / (frames(last) - frames(first))
    return MeasuredCodes(hop, rate / hop, sum(scale.shape[1] for scale in codes), adapter.bitrate)


def _next_frame(frames: Callable[[int], int], samples: int, rate: int) -> int:
    """Return the smallest length above ``samples`` that gives more frames."""
    low, high = samples, samples + 64
    while frames(high) == frames(low):
        if high > 2 * rate + samples:
            raise ValueError("the number of frames does not depend on the input's length")
        low, high = high, high + 2 * (high - samples)
    few = frames(samples)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if frames(middle) == few else (low, middle)
    return high
