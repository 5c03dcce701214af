"""The power spectrogram that Mel-LCNN and the ResNet start from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

N_FFT = 512
HOP = 128
LOG_FLOOR = 1e-10
"""Smallest power (-100 dB) that the logarithm is taken of; smaller values are raised to it."""


class Spectrogram(nn.Module):
    """Power spectrogram: periodic Hann window of 512 samples, hop 128, centred with reflect padding."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT))

    def forward(self, wave: Tensor) -> Tensor:
        """Return power: float32 ``[batch, samples]`` -> ``[batch, 257, 1 + samples // 128]``."""
        window = self.get_buffer("window")
        return torch.stft(wave, N_FFT, HOP, window=window, pad_mode="reflect", return_complex=True).abs().square()
