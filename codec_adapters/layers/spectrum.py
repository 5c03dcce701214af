"""Input domains of a codec's network: the waveform itself, or its spectrogram as planes of an image.

Frames of a spectrogram are centred and the signal's ends are mirrored, so a signal must be longer than half a window.
The way back gives ``(frames - 1) * hop`` samples. The FFT is as long as the Hann window and not normalised.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

_FLOOR = 1e-6
"""Smallest magnitude; smaller ones are raised to it, so that silence has a finite logarithm."""


class Waveform(nn.Module):
    """Time domain: the waveform ``[batch, samples]`` as an image of one channel, ``[batch, 1, samples]``."""

    hop = 1
    min_samples = 1

    def shape(self, frames: int) -> tuple[int, ...]:
        """Return the shape of one item's image of ``frames`` frames."""
        return (1, frames)

    def analyse(self, wav: Tensor) -> Tensor:
        """Return the image of a waveform ``[batch, samples]``."""
        return wav[:, None]

    def synthesise(self, image: Tensor) -> Tensor:
        """Return the waveform ``[batch, samples]`` of an image."""
        return image[:, 0]


class Spectrogram(Waveform):
    """Base of the frequency domains: ``[batch, samples]`` as an image ``[batch, planes, bins, frames]``.

    Subclasses define the planes.
    """

    planes: int
    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.hop = hop
        self.min_samples = n_fft // 2 + 1
        # on the CPU even if the network is built on the meta device, since no checkpoint fills this buffer
        self.register_buffer("window", torch.hann_window(n_fft, device="cpu"), persistent=False)

    def shape(self, frames: int) -> tuple[int, ...]:
        return (self.planes, len(self.window) // 2 + 1, frames)

    def _spectrum(self, wav: Tensor) -> Tensor:
        return torch.stft(wav, len(self.window), self.hop, window=self.window, return_complex=True)

    def _signal(self, spectrum: Tensor) -> Tensor:
        return torch.istft(spectrum, len(self.window), self.hop, window=self.window)


class MagnitudePhase(Spectrogram):
    """Frequency domain with three planes: log-magnitude, and cosine and sine of the phase.

    On the way back, softplus turns the first plane into a magnitude, which is multiplied by the other two as they are.
    """

    planes = 3

    def analyse(self, wav: Tensor) -> Tensor:
        spectrum = self._spectrum(wav)
        magnitude = spectrum.abs().clamp_(min=_FLOOR)
        return torch.stack([magnitude.log(), spectrum.real / magnitude, spectrum.imag / magnitude], dim=1)

    def synthesise(self, image: Tensor) -> Tensor:
        magnitude = softplus(image[:, 0])
        return self._signal(torch.complex(magnitude * image[:, 1], magnitude * image[:, 2]))


class MagnitudeAngle(Spectrogram):
    """Frequency domain with two planes: log-magnitude, and phase in radians.

    On the way back, softplus turns the first plane into a magnitude, and pi times the sine of the second is the phase.
    """

    planes = 2

    def analyse(self, wav: Tensor) -> Tensor:
        spectrum = self._spectrum(wav)
        return torch.stack([spectrum.abs().clamp_(min=_FLOOR).log(), spectrum.angle()], dim=1)

    def synthesise(self, image: Tensor) -> Tensor:
        return self._signal(torch.polar(softplus(image[:, 0]), torch.sin(image[:, 1]) * math.pi))
