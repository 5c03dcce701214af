"""Passing clips through a codec: the length each is padded to, and batches that survive a full GPU.

Builds and the conformance suite run codecs in this one way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from codecfake_builder.audio import Wave, fit

if TYPE_CHECKING:
    from codec_adapters.base import Adapter
    from codecfake_builder.audio_policy import AudioPolicy

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class PaddingRule:
    """The padded length of a clip as a function of its own length alone, at the codec's rate, in samples.

    >>> PaddingRule(step=320, margin=160).padded(16000)
    16320
    """

    step: int
    """Padded lengths are multiples of this."""
    margin: int
    """At least so many samples are appended."""

    @classmethod
    def of(cls, adapter: Adapter, policy: AudioPolicy) -> PaddingRule:
        """Return whole frames for a codec that looks at the whole clip, coarser steps where the tail is local.

        Coarser steps give more clips of equal length, which can be batched. The margin makes sure that a codec which
        lags, or drops an incomplete last frame, still gives back the whole clip.
        """
        multiple = math.lcm(adapter.hop, adapter.length_multiple)
        if not adapter.spec.tail_local:
            return cls(multiple, adapter.spec.delay_samples)
        steps = max(1, round(policy.tail_seconds * adapter.sample_rate / multiple))
        return cls(steps * multiple, adapter.spec.delay_samples + adapter.hop)

    def padded(self, samples: int) -> int:
        """Return the length to pad a clip of ``samples`` to."""
        return -(-(samples + self.margin) // self.step) * self.step


def resynthesize(adapter: Adapter, waves: Sequence[Wave], seeds: Sequence[int], length: int) -> list[Wave]:
    """Pass clips through the codec as one batch, each padded to ``length``; halve the batch when memory runs out.

    Args:
        waves: float32 ``[samples]`` at the adapter's rate, none longer than ``length``.
        seeds: one per clip.

    Returns:
        One float32 ``[samples_out]`` per clip.

    Raises:
        torch.OutOfMemoryError: a single clip does not fit.
    """
    return halving(lambda part, own: _run(adapter, part, own, length), list(waves), list(seeds))


def _run(adapter: Adapter, waves: list[Wave], seeds: list[int], length: int) -> list[Wave]:
    batch = torch.from_numpy(np.stack([fit(wave, length) for wave in waves]))
    return list(adapter.resynthesize(batch, seeds).cpu().numpy())


def halving(run: Callable[[list[_Item], list[int]], list[_Made]], items: list[_Item], seeds: list[int]) -> list[_Made]:
    """Call ``run`` on everything at once or, when GPU memory runs out, on each half.

    Raises:
        torch.OutOfMemoryError: a single item does not fit.
    """
    try:
        return run(items, seeds)
    except torch.OutOfMemoryError:
        if len(items) == 1:
            raise
    torch.cuda.empty_cache()
    middle = len(items) // 2
    return halving(run, items[:middle], seeds[:middle]) + halving(run, items[middle:], seeds[middle:])
