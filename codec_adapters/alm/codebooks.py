"""From the table of codes that a language model writes to speech: checks, the order of codes, decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from codec_adapters.alm.base import Generation, Stop
from codec_adapters.base import Adapter, Codes
from codec_adapters.errors import CheckpointError

SNAC_FRAME = 7
"""Codes per frame of SNAC's 24 kHz model: 1 of its coarse level, 2 of the middle one, 4 of the fine one."""


def codebook_size(codec: Adapter) -> int:
    """Return the entries per codebook of a codec with one scale and equal codebooks, computed from its bitrate."""
    return round(2 ** (codec.bitrate / (codec.frame_rate * codec.codebooks)))


def snac_codebook_size(codec: Adapter) -> int:
    """Return the entries per codebook of SNAC's 24 kHz model, which has 7 codes per 4 frames of its fine level."""
    return round(2 ** (codec.bitrate / (codec.frame_rate / 4 * SNAC_FRAME)))


def require_codebooks(codec: Adapter, subject: str, codebooks: int, size: int) -> None:
    """Check that the codec has the codebooks that a language model writes.

    Args:
        subject: what the message begins with: the checkpoint.
        codebooks: number of codebooks that the model writes.
        size: entries of each.

    Raises:
        CheckpointError: the codec has another number of codebooks, or of other sizes.
    """
    found = (codec.codebooks, codebook_size(codec))
    if (codebooks, size) != found:
        raise CheckpointError(
            f"{subject} speaks {codebooks} codebooks of {size}, {codec.spec.name} has {found[0]} of {found[1]}"
        )


def before_bad_frames(table: Tensor, size: int) -> tuple[Tensor, int]:
    """Cut a table ``[codebooks, frames]`` before the first frame with an id that is not a code.

    Returns:
        The frames before it, and how many ids of the whole table are not codes: below 0, or at least ``size``.
    """
    outside = (table < 0) | (table >= size)
    bad = outside.any(dim=0).nonzero()
    return table[:, : int(bad[0])] if len(bad) else table, int(outside.sum())


def snac_levels(table: Tensor) -> Codes:
    """Return SNAC's three levels, int64 ``[1, 1, frames * (1, 2, 4)]``, of a table ``[7, frames]``.

    A frame's codes are in the order in which language models write them: coarse, middle, fine, fine, middle, fine,
    fine.
    """
    rows: Sequence[list[int]] = ([0], [1, 4], [2, 3, 5, 6])
    return Codes([table[list(level)].T.reshape(1, 1, -1).contiguous() for level in rows])


def one_scale(table: Tensor) -> Codes:
    """Return a table ``[codebooks, frames]`` as the codes of a codec with one scale, ``[1, codebooks, frames]``."""
    return Codes([table[None]])


def generation_of(
    codec: Adapter,
    table: Tensor,
    seed: int,
    stop: Stop,
    cut: int = 0,
    text: str | None = None,
    arrange: Callable[[Tensor], Codes] = one_scale,
) -> Generation:
    """Decode the codes of one prompt and return them as a generation, which is empty if there are no frames.

    Args:
        table: int64 ``[codebooks, frames]``, valid codes only.
        seed: the prompt's, for codecs with a random step.
        stop: why the model ended.
        cut: ids that were not codes.
        text: what the model states that it spoke.
        arrange: brings the table into the form that the codec's decoder takes.
    """
    frames = table.shape[1]
    if not frames:
        return Generation(torch.zeros(0), stop, 0, cut)
    wav = codec.decode(arrange(table), [seed])[0].float().cpu()
    return Generation(wav, stop, frames, cut, text)


def undelayed(table: Tensor, delays: Sequence[int]) -> Tensor:
    """Shift codebook ``i`` of ``table`` ``[codebooks, steps]`` back by ``delays[i]`` steps, and keep whole frames."""
    frames = max(0, table.shape[1] - max(delays))
    return torch.stack([row[delay : delay + frames] for row, delay in zip(table, delays, strict=True)])
