"""Clips in chunks that overlap: where the chunks lie, how many frames each has, and how they are put together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chunks:
    """A cut of a clip into chunks of ``length`` samples, one every ``stride`` samples; the clip's end cuts the last.

    A chunk of ``n`` samples has ``ceil(n / hop)`` frames, so that the last two may be shorter than the others.
    """

    length: int
    stride: int
    hop: int

    def spans(self, samples: int) -> list[slice]:
        """Return the chunks of a clip of ``samples`` samples.

        >>> Chunks(48000, 47520, 320).spans(47680)
        [slice(0, 47680, None), slice(47520, 47680, None)]
        """
        starts = range(0, samples, self.stride)
        return [slice(start, min(start + self.length, samples)) for start in starts]

    def frames(self, samples: int) -> list[int]:
        """Return the number of frames of each chunk of a clip.

        >>> Chunks(48000, 47520, 320).frames(47680)
        [149, 1]
        """
        return [-(-(span.stop - span.start) // self.hop) for span in self.spans(samples)]

    def frames_of(self, total: int) -> list[int] | None:
        """Return the number of frames of each chunk of the clips that have ``total`` frames in all.

        No chunk loses a frame when a clip grows, so that the sum tells the parts. ``None`` where no clip has as many.

        >>> Chunks(48000, 47520, 320).frames_of(150)
        [149, 1]
        """
        most = total * self.hop  # samples; of chunks that overlap, fewer are enough
        samples = 1 + bisect_left(range(1, most), total, key=lambda count: sum(self.frames(count)))
        found = self.frames(samples)
        return found if sum(found) == total else None

    def overlap_add(self, chunks: Sequence[Tensor]) -> Tensor:
        """Join the decoded chunks of a clip, each faded linearly from its first sample to its middle and out again.

        Where chunks overlap, their weights are scaled to a sum of 1. The first chunk's length makes the fade.

        Args:
            chunks: ``[..., samples_i]``; the first is the longest.
        """
        first = chunks[0]
        ends = [place * self.stride + chunk.shape[-1] for place, chunk in enumerate(chunks)]
        rise = torch.linspace(0, 1, first.shape[-1] + 2, device=first.device, dtype=first.dtype)[1:-1]
        fade = 0.5 - (rise - 0.5).abs()
        weights = first.new_zeros(max(ends))
        joined = first.new_zeros(*first.shape[:-1], max(ends))
        for end, chunk in zip(ends, chunks, strict=True):
            span = slice(end - chunk.shape[-1], end)
            joined[..., span] += fade[: chunk.shape[-1]] * chunk
            weights[span] += fade[: chunk.shape[-1]]
        return joined / weights
