"""ResNet on a log-power spectrogram with attentive statistics pooling: our own default, not in the publication.

Residual network: He et al., arXiv 1512.03385. Attentive statistics pooling: Okabe et al., arXiv 1803.10963. The
frequency axis is linear, since traces of a codec's upsampling lie close together in the upper band, where mel bands are
wide. Every clip's spectrogram is standardised, so that the level of a recording has no effect.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codecfake_builder.benchmark.models.base import ModelOutput, TracingModel
from codecfake_builder.benchmark.models.config import ResnetConfig
from codecfake_builder.benchmark.models.spectrogram import LOG_FLOOR, N_FFT, Spectrogram

BINS = N_FFT // 2
"""All bins but the one at 0 Hz."""


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut around them.

    Args:
        stride: of the first convolution, in frequency and time.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.around = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, inputs, bins, frames]`` -> ``[batch, outputs, bins / stride, frames / stride]``."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.around(x))


class AttentiveStatistics(nn.Module):
    """Pooling to the mean and standard deviation over time, weighted by attention per channel."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        # a bias of the last layer would cancel out in the softmax over time
        last = nn.Conv1d(bottleneck, width, 1, bias=False)
        self.attention = nn.Sequential(nn.Conv1d(width, bottleneck, 1), nn.Tanh(), last)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, width, frames]`` -> ``[batch, 2 width]``."""
        weights = self.attention(x).softmax(dim=2)
        mean = (weights * x).sum(dim=2)
        variance = (weights * (x - mean[:, :, None]).square()).sum(dim=2)
        return torch.cat([mean, variance.clamp_min(1e-7).sqrt()], dim=1)


class Resnet(TracingModel):
    """ResNet: stages of residual blocks, each but the first halving frequency and time, then pooling over time."""

    def __init__(self, config: ResnetConfig, classes: int) -> None:
        super().__init__()
        self.spectrogram = Spectrogram()
        first = config.channels[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(first), nn.ReLU()
        )
        stages: list[nn.Module] = []
        inputs = first
        for number, (outputs, blocks) in enumerate(zip(config.channels, config.blocks, strict=True)):
            for block in range(blocks):
                stages.append(ResidualBlock(inputs, outputs, 2 if number and not block else 1))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        width = inputs * (BINS >> len(config.channels))
        self.pool = AttentiveStatistics(width, config.bottleneck)
        self.norm = nn.BatchNorm1d(2 * width)
        self.dropout = nn.Dropout(config.dropout)
        self.embed = nn.Linear(2 * width, config.embedding)
        self.out_layer = nn.Linear(config.embedding, classes)

    def features(self, wave: Tensor) -> Tensor:
        logarithm = self.spectrogram(wave)[:, 1:].clamp_min(LOG_FLOOR).log()
        deviation, mean = torch.std_mean(logarithm, dim=(1, 2), keepdim=True)
        return (logarithm - mean) / (deviation + 1e-5)

    def classify(self, features: Tensor) -> ModelOutput:
        x = self.stages(self.stem(features[:, None]))
        embedding = self.embed(self.dropout(self.norm(self.pool(x.flatten(1, 2)))))
        return ModelOutput(embedding, self.out_layer(embedding))
