"""From a language model's codes to what its codec's decoder takes: sizes, frames that are no codes, SNAC's levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from codec_adapters.base import Adapter, Codes

SNAC_FRAME = 7
"""Codes per frame of SNAC's 24 kHz model: 1 of its coarse level, 2 of the middle one, 4 of the fine one."""


def codebook_size(codec: Adapter) -> int:
    """Codes per codebook of a codec with one scale and equal codebooks, from the figures that it reports."""
    return round(2 ** (codec.bitrate / (codec.frame_rate * codec.codebooks)))


def snac_codebook_size(codec: Adapter) -> int:
    """Codes per codebook of SNAC's 24 kHz model, which has 7 codes for 4 frames of its fine level."""
    return round(2 ** (codec.bitrate / (codec.frame_rate / 4 * SNAC_FRAME)))


def before_bad_frames(table: Tensor, size: int) -> tuple[Tensor, int]:
    """A table ``[codebooks, frames]`` up to its first frame that holds an id which is no code.

    Returns:
        The sound frames, and how many ids of the whole table are no codes: below 0, or ``size`` and above.
    """
    outside = (table < 0) | (table >= size)
    bad = outside.any(dim=0).nonzero()
    return table[:, : int(bad[0])] if len(bad) else table, int(outside.sum())


def snac_levels(table: Tensor) -> Codes:
    """SNAC's three levels, int64 ``[1, 1, frames * (1, 2, 4)]``, of a table ``[7, frames]``.

    A frame's codes are in the order in which language models write them: one coarse, then twice a middle and two fine.
    """
    rows: Sequence[list[int]] = ([0], [1, 4], [2, 3, 5, 6])
    return Codes([table[list(level)].T.reshape(1, 1, -1).contiguous() for level in rows])


def undelayed(table: Tensor, delays: Sequence[int]) -> Tensor:
    """A table ``[codebooks, steps]`` with codebook ``i`` shifted back by ``delays[i]`` steps, cut to whole frames."""
    frames = max(0, table.shape[1] - max(delays))
    return torch.stack([row[delay : delay + frames] for row, delay in zip(table, delays, strict=True)])
