"""Windowed-sinc resampling as torchaudio's ``functional.resample`` defines it, for networks that were trained with it.

Some networks resample inside (the semantic branch of Higgs Audio, NeuCodec's input). This module is for those only:
adapters do not resample a codec's own input and output.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

_ZEROS = 6
"""Zero crossings of the sinc on each side."""
_ROLLOFF = 0.99
"""Cut-off frequency, as a share of the lower rate's Nyquist frequency."""


def resample(wave: Tensor, rate: int, target_rate: int) -> Tensor:
    """Resample ``wave`` along its last axis with a Hann-windowed sinc of six zero crossings.

    Args:
        wave: float32 ``[..., samples]`` at ``rate`` Hz.
        target_rate: rate of the result, Hz.

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
    """Return a filter per output phase, float32 ``[new, 1, taps]``, and the samples that it needs before a frame."""
    cutoff = min(old, new) * _ROLLOFF
    width = math.ceil(_ZEROS * old / cutoff)
    taps = torch.arange(-width, width + old, dtype=torch.float64)[None] / old
    phases = torch.arange(0, -new, -1, dtype=torch.float64)[:, None] / new
    time = ((phases + taps) * cutoff).clamp(-_ZEROS, _ZEROS)
    window = torch.cos(time * math.pi / _ZEROS / 2) ** 2
    kernel = torch.sinc(time) * window * (cutoff / old)
    return kernel[:, None].float(), width
