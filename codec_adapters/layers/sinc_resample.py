"""Windowed-sinc resampling as torchaudio's ``functional.resample`` defines it, for networks that were trained with it.

Some networks resample within (Higgs audio's semantic branch, NeuCodec's input); a codec's own input and output are
resampled in one place, which is not here.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

_ZEROS = 6
"""Zero crossings of the sinc on either side."""
_ROLLOFF = 0.99
"""Cut-off, as a part of the lower rate's Nyquist frequency."""


def resample(wave: Tensor, rate: int, target_rate: int) -> Tensor:
    """Resample along the last axis, with a Hann-windowed sinc of six zero crossings.

    Args:
        wave: float32 ``[..., samples]`` at ``rate`` Hz.

    Returns:
        float32 ``[..., ceil(samples * target_rate / rate)]``.
    """
    if rate == target_rate:
        return wave
    common = math.gcd(rate, target_rate)
    old, new = rate // common, target_rate // common
    kernel, width = _kernel(old, new)
    flat = pad(wave.reshape(-1, 1, wave.shape[-1]), (width, width + old))
    phases = conv1d(flat, kernel.to(wave), stride=old)
    samples = -(-wave.shape[-1] * new // old)
    return phases.transpose(1, 2).reshape(*wave.shape[:-1], -1)[..., :samples]


@lru_cache
def _kernel(old: int, new: int) -> tuple[Tensor, int]:
    """One filter per phase, float32 ``[new, 1, taps]``, and the samples before the first."""
    cutoff = min(old, new) * _ROLLOFF
    width = math.ceil(_ZEROS * old / cutoff)
    taps = torch.arange(-width, width + old, dtype=torch.float64)[None] / old
    phases = torch.arange(0, -new, -1, dtype=torch.float64)[:, None] / new
    time = ((phases + taps) * cutoff).clamp(-_ZEROS, _ZEROS)
    window = torch.cos(time * math.pi / _ZEROS / 2) ** 2
    kernel = torch.sinc(time) * window * (cutoff / old)
    return kernel[:, None].float(), width
