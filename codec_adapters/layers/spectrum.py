"""What a network codes: the waveform itself, or its spectrogram as planes of an image (magnitude and phase).

Spectrogram frames are centred and the signal's ends reflected, so it must be longer than half of a window; going back
gives ``(frames - 1) * hop`` samples. The FFT is as long as the (Hann) window and not normalised.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

_FLOOR = 1e-6
"""Magnitudes below this count as this, so that silence has a logarithm."""


class Waveform(nn.Module):
    """``[batch, samples]`` as one channel, ``[batch, 1, samples]``."""

    hop = 1
    min_samples = 1

    def shape(self, frames: int) -> tuple[int, ...]:
        """Shape of the image of one item."""
        return (1, frames)

    def analyse(self, wav: Tensor) -> Tensor:
        """Waveform to image."""
        return wav[:, None]

    def synthesise(self, image: Tensor) -> Tensor:
        """Image to waveform."""
        return image[:, 0]


class Spectrogram(Waveform):
    """``[batch, samples]`` as ``[batch, planes, bins, frames]``; how, say the subclasses."""

    planes: int
    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.hop = hop
        self.min_samples = n_fft // 2 + 1
        # on the CPU even where networks are built on the meta device: no checkpoint fills it
        self.register_buffer("window", torch.hann_window(n_fft, device="cpu"), persistent=False)

    def shape(self, frames: int) -> tuple[int, ...]:
        return (self.planes, len(self.window) // 2 + 1, frames)

    def _spectrum(self, wav: Tensor) -> Tensor:
        return torch.stft(wav, len(self.window), self.hop, window=self.window, return_complex=True)

    def _signal(self, spectrum: Tensor) -> Tensor:
        return torch.istft(spectrum, len(self.window), self.hop, window=self.window)


class MagnitudePhase(Spectrogram):
    """Log-magnitude, cosine and sine; on the way back, a magnitude before its softplus and a vector of any length."""

    planes = 3

    def analyse(self, wav: Tensor) -> Tensor:
        spectrum = self._spectrum(wav)
        magnitude = spectrum.abs().clamp_(min=_FLOOR)
        return torch.stack([magnitude.log(), spectrum.real / magnitude, spectrum.imag / magnitude], dim=1)

    def synthesise(self, image: Tensor) -> Tensor:
        magnitude = softplus(image[:, 0])
        return self._signal(torch.complex(magnitude * image[:, 1], magnitude * image[:, 2]))


class MagnitudeAngle(Spectrogram):
    """Log-magnitude and phase in radians; on the way back, a magnitude before its softplus and an angle before its
    sine, in units of pi."""

    planes = 2

    def analyse(self, wav: Tensor) -> Tensor:
        spectrum = self._spectrum(wav)
        return torch.stack([spectrum.abs().clamp_(min=_FLOOR).log(), spectrum.angle()], dim=1)

    def synthesise(self, image: Tensor) -> Tensor:
        return self._signal(torch.polar(softplus(image[:, 0]), torch.sin(image[:, 1]) * math.pi))
