"""Compute the spectrogram that W2V-BERT's semantic encoders take, as Kaldi computes it, without torchaudio."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

BINS = 80
"""Mel bands."""
STRIDE = 2
"""Frames that are joined to one vector."""
_FRAME, _SHIFT, _FFT = 400, 160, 512
"""Length and distance of frames, and length of the FFT: samples at 16 kHz."""
_PADDING = 1.0
"""Value of the frame that is added where the last pair is not complete."""


@lru_cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Return the mel filters and the window."""
    from transformers.audio_utils import mel_filter_bank, window_function

    filters = mel_filter_bank(
        num_frequency_bins=_FFT // 2 + 1,
        num_mel_filters=BINS,
        min_frequency=20,
        max_frequency=8000,
        sampling_rate=16000,
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    return filters, window_function(_FRAME, "povey", periodic=False)


def log_mel(wave: Tensor) -> Tensor:
    """Compute Kaldi's log mel filter bank of one clip, each bin with zero mean and unit variance over the clip.

    Args:
        wave: float32 ``[samples]`` at 16 kHz, at least 720 (three frames).

    Returns:
        float32 ``[frames, 80]``, one frame of 25 ms per 10 ms; a last one that is not complete is left out.
    """
    from transformers.audio_utils import spectrogram

    filters, window = _tables()
    frames = spectrogram(
        wave.cpu().numpy() * 2**15,
        window,
        frame_length=_FRAME,
        hop_length=_SHIFT,
        fft_length=_FFT,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=filters,
        log_mel="log",
        mel_floor=float(np.finfo(np.float32).eps),
        remove_dc_offset=True,
    ).T
    found = torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float32))
    return (found - found.mean(0)) / torch.sqrt(found.var(0, unbiased=True) + 1e-7)


def paired(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Join frames in pairs, as the encoder takes them.

    Args:
        frames: float32 ``[frames, 80]``.

    Returns:
        float32 ``[vectors, 160]``; and int64 ``[vectors]``, 1 where both frames were there, else 0.
    """
    missing = -len(frames) % STRIDE
    mask = pad(torch.ones(len(frames), dtype=torch.int64), (0, missing)).reshape(-1, STRIDE).amin(1)
    return pad(frames, (0, 0, 0, missing), value=_PADDING).reshape(-1, STRIDE * BINS), mask
