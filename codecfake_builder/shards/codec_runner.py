"""Running one codec inside a worker: which length a clip is padded to, and batches that survive a full GPU."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

import codec_adapters
from codecfake_builder.audio import Wave, fit
from codecfake_builder.recipe.schema import AudioPolicy
from codecfake_builder.shards.shard import CodecJob, Utterance

if TYPE_CHECKING:
    from codec_adapters.base import Adapter


@dataclass(frozen=True)
class PaddingRule:
    """The padded length of a clip as a function of its own length alone, at the codec's rate, in samples."""

    step: int
    margin: int

    @classmethod
    def of(cls, adapter: Adapter, policy: AudioPolicy) -> PaddingRule:
        """Whole frames for a codec that looks at the whole clip; coarser steps, for batching, where the tail is local.

        The margin makes sure that a codec which lags, or drops an incomplete last frame, still gives back the whole
        clip.
        """
        multiple = math.lcm(adapter.hop, adapter.length_multiple)
        if not adapter.spec.tail_local:
            return cls(multiple, adapter.spec.delay_samples)
        steps = max(1, round(policy.tail_seconds * adapter.sample_rate / multiple))
        return cls(steps * multiple, adapter.spec.delay_samples + adapter.hop)

    def padded(self, samples: int) -> int:
        """The length to pad a clip of ``samples`` to."""
        return -(-(samples + self.margin) // self.step) * self.step


def seed_of(utterance: Utterance) -> int:
    """The seed of a clip's random step: a function of its utterance alone."""
    return int.from_bytes(hashlib.sha256(utterance.name.encode()).digest()[:8], "big") >> 1


_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
_kept: dict[tuple[str, ...], Any] = {}


def loaded_adapter(job: CodecJob, device: str) -> Adapter:
    """The adapter of a job on a device; a process keeps the last one, since shards come sorted by variant."""
    return kept(
        (job.fingerprint(), str(job.checkpoint), device),
        lambda: codec_adapters.load(job.spec.name, job.checkpoint, device, job.dtype, job.options),
    )


def kept(key: tuple[str, ...], load: Callable[[], _Made]) -> _Made:
    """What a process loaded last, if it is what ``key`` names, else what ``load`` loads."""
    if key not in _kept:
        _kept.clear()  # before loading the next: two large codecs need not fit side by side
        _kept[key] = load()
    model: _Made = _kept[key]
    return model


def release() -> None:
    """Let go of the adapter that this process keeps."""
    _kept.clear()


def resynthesize(adapter: Adapter, waves: Sequence[Wave], seeds: Sequence[int], length: int) -> list[Wave]:
    """Clips through the codec as one batch, each padded to ``length``; halved and tried again when memory runs out.

    Args:
        waves: float32 ``[samples]`` at the adapter's rate, none longer than ``length``.
        seeds: one per clip.

    Returns:
        One float32 ``[samples_out]`` per clip.
    """
    return halving(lambda part, own: _run(adapter, part, own, length), list(waves), list(seeds))


def _run(adapter: Adapter, waves: list[Wave], seeds: list[int], length: int) -> list[Wave]:
    batch = torch.from_numpy(np.stack([fit(wave, length) for wave in waves]))
    return list(adapter.resynthesize(batch, seeds).cpu().numpy())


def halving(run: Callable[[list[_Item], list[int]], list[_Made]], items: list[_Item], seeds: list[int]) -> list[_Made]:
    """``run`` on everything at once, or, out of GPU memory, on each half; a single clip that does not fit raises."""
    try:
        return run(items, seeds)
    except torch.OutOfMemoryError:
        if len(items) == 1:
            raise
    torch.cuda.empty_cache()
    middle = len(items) // 2
    return halving(run, items[:middle], seeds[:middle]) + halving(run, items[middle:], seeds[middle:])
