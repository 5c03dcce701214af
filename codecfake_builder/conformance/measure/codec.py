"""The codec as measurements see it: waveform in, waveform out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from codecfake_builder.audio import Wave


class Codec(Protocol):
    """The part of the adapter contract that every codec has, also one that is seen from outside only."""

    @property
    def sample_rate(self) -> int: ...
    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor: ...


def run_codec(codec: Codec, wave: Wave, seed: int = 1) -> Wave:
    """Pass one clip through a codec without padding it.

    Args:
        wave: float32 ``[samples]`` at the codec's rate.
        seed: of the codec's random step, if it has one.

    Returns:
        float32 ``[samples_out]``.
    """
    out: Wave = codec.resynthesize(torch.from_numpy(np.ascontiguousarray(wave))[None], [seed])[0].cpu().numpy()
    return out
