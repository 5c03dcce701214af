"""Mel-LCNN: a light CNN with max-feature-map activations on a mel power spectrogram.

Source: NCST (arXiv 2501.06514), code xieyuankun/ST-Codecfake. LCNN: Wu et al., arXiv 1511.02683. Names of the
parameters are those of the released checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

from codecfake_builder.audio import RATE
from codecfake_builder.benchmark.models.base import ModelOutput, TracingModel
from codecfake_builder.benchmark.models.config import MelLcnnConfig
from codecfake_builder.benchmark.models.spectrogram import HOP, LOG_FLOOR, N_FFT, Spectrogram

MELS = 80


class MelScale(nn.Module):
    """Mel filter bank: 80 triangular bands, 0-8000 Hz, HTK mel scale, no area normalisation."""

    def __init__(self) -> None:
        super().__init__()
        bands = mel_filter_bank(N_FFT // 2 + 1, MELS, 0.0, RATE / 2, RATE, norm=None, mel_scale="htk")
        self.register_buffer("fb", torch.as_tensor(bands, dtype=torch.float32))

    def forward(self, power: Tensor) -> Tensor:
        """``[batch, 257, frames]`` -> ``[batch, 80, frames]``."""
        return (power.transpose(1, 2) @ self.get_buffer("fb")).transpose(1, 2)


class MelSpectrogram(nn.Module):
    """Mel power spectrogram."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = Spectrogram()
        self.mel_scale = MelScale()

    def forward(self, wave: Tensor) -> Tensor:
        """float32 ``[batch, samples]`` at 16 kHz -> power ``[batch, 80, 1 + samples // 128]``."""
        return self.mel_scale(self.spectrogram(wave))


class MaxFeatureMap(nn.Module):
    """Element-wise maximum of the first and the second half of the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, 2 c, ...]`` -> ``[batch, c, ...]``."""
        first, second = x.chunk(2, dim=1)
        return torch.maximum(first, second)


class MelLcnn(TracingModel):
    """Mel-LCNN: nine convolutions, four poolings, three linear layers; max-feature-map is the only non-linearity."""

    def __init__(self, config: MelLcnnConfig, classes: int) -> None:
        super().__init__()
        self.log = config.log
        self.mel = MelSpectrogram()
        widths = config.channels
        inputs = [1, *(width // 2 for width in widths)]

        def conv(number: int, kernel: int) -> list[nn.Module]:
            layer = nn.Conv2d(inputs[number - 1], widths[number - 1], kernel, padding=kernel // 2)
            return [layer, MaxFeatureMap()]

        def norm(number: int) -> nn.Module:
            return nn.BatchNorm2d(inputs[number], affine=False)

        def pool() -> nn.Module:
            return nn.MaxPool2d(2)

        self.conv1 = nn.Sequential(*conv(1, 5), pool())
        self.conv2 = nn.Sequential(*conv(2, 1), norm(2))
        self.conv3 = nn.Sequential(*conv(3, 3), pool(), norm(3))
        self.conv4 = nn.Sequential(*conv(4, 1), norm(4))
        self.conv5 = nn.Sequential(*conv(5, 3), pool())
        self.conv6 = nn.Sequential(*conv(6, 1), norm(6))
        self.conv7 = nn.Sequential(*conv(7, 3), norm(7))
        self.conv8 = nn.Sequential(*conv(8, 1), norm(8))
        self.conv9 = nn.Sequential(*conv(9, 3), pool())
        flat = inputs[9] * (MELS // 16) * ((1 + config.samples // HOP) // 16)
        self.out = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(flat, config.hidden),
            MaxFeatureMap(),
            nn.Linear(config.hidden // 2, config.embedding),
        )
        self.fc_mu = nn.Linear(config.embedding, classes)

    def features(self, wave: Tensor) -> Tensor:
        power = self.mel(wave)
        return power.clamp_min(LOG_FLOOR).log() if self.log else power

    def classify(self, features: Tensor) -> ModelOutput:
        x = features[:, None]
        for number in range(1, 10):
            x = self.get_submodule(f"conv{number}")(x)
        embedding = self.out(x.flatten(1))
        return ModelOutput(embedding, self.fc_mu(embedding))
