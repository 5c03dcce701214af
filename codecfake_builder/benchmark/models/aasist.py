"""AASIST on the raw waveform, and the parts that it shares with W2V2-AASIST.

Source: Jung et al., "AASIST", arXiv 2110.01200; code clovaai/aasist (MIT) and, with seven outputs,
xieyuankun/ST-Codecfake. Names of the parameters are those of the released checkpoints.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from codecfake_builder.audio import RATE
from codecfake_builder.benchmark.models.base import ModelOutput, TracingModel
from codecfake_builder.benchmark.models.config import AasistConfig, GraphConfig
from codecfake_builder.benchmark.models.graph_attention import GraphAttention, GraphPool, HeterogeneousAttention

BRANCH_DROPOUT = 0.2
OUTPUT_DROPOUT = 0.5


def sinc_filters(count: int, taps: int) -> Tensor:
    """Return windowed ideal band-pass filters whose bands are equally wide on the mel scale, from 0 Hz to 8 kHz.

    Args:
        count: number of filters.
        taps: length of each in samples; an even number is made odd.

    Returns:
        float32 ``[count, taps]``, with ``taps`` odd.
    """
    half = taps // 2
    top = 2595 * math.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, count + 1) / 2595) - 1)
    low_pass = 2 * edges[:, None] / RATE * np.sinc(2 * edges[:, None] * np.arange(-half, half + 1) / RATE)
    filters = (low_pass[1:] - low_pass[:-1]) * np.hamming(2 * half + 1)
    return torch.from_numpy(filters.astype(np.float32))


class ResidualBlock(nn.Module):
    """Two convolutions with a shortcut around them.

    Upstream computes ``bn1`` and SELU of the input and drops the result: ``bn1`` is in the checkpoints without effect.
    """

    def __init__(self, inputs: int, outputs: int, first: bool, pooled: bool) -> None:
        super().__init__()
        if not first:
            self.bn1 = nn.BatchNorm2d(inputs)
            self.bn1.requires_grad_(False)
        self.conv1 = nn.Conv2d(inputs, outputs, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, (2, 3), padding=(0, 1))
        self.conv_downsample = nn.Conv2d(inputs, outputs, (1, 3), padding=(0, 1)) if inputs != outputs else None
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, inputs, frequency, time]`` -> ``[batch, outputs, frequency, time or time // 3]``."""
        y = self.conv2(F.selu(self.bn2(self.conv1(x))))
        y = y + (x if self.conv_downsample is None else self.conv_downsample(x))
        return F.max_pool2d(y, (1, 3)) if self.pooled else y


def residual_encoder(widths: tuple[int, int], pooled: bool) -> nn.Sequential:
    """Return the six residual blocks, each in a ``Sequential`` of its own, as the names in the checkpoints need it."""
    narrow, wide = widths
    plan = [(1, narrow), (narrow, narrow), (narrow, wide), (wide, wide), (wide, wide), (wide, wide)]
    blocks = [ResidualBlock(a, b, first=number == 0, pooled=pooled) for number, (a, b) in enumerate(plan)]
    return nn.Sequential(*(nn.Sequential(block) for block in blocks))


class GraphBackEnd(TracingModel):
    """AASIST's back end: spectral and temporal nodes -> two branches of graph attention -> embedding -> logits."""

    def __init__(self, config: GraphConfig, classes: int, spectral_nodes: int) -> None:
        super().__init__()
        wide = config.widths[1]
        first, second = config.gat_dims
        ratio_s, ratio_t, ratio = config.pool_ratios
        temperature_s, temperature_t, temperature = config.temperatures
        self.pos_S = nn.Parameter(torch.randn(1, spectral_nodes, wide))
        self.master1 = nn.Parameter(torch.randn(1, 1, first))
        self.master2 = nn.Parameter(torch.randn(1, 1, first))
        self.GAT_layer_S = GraphAttention(wide, first, temperature_s)
        self.GAT_layer_T = GraphAttention(wide, first, temperature_t)
        self.HtrgGAT_layer_ST11 = HeterogeneousAttention(first, second, temperature)
        self.HtrgGAT_layer_ST21 = HeterogeneousAttention(first, second, temperature)
        self.HtrgGAT_layer_ST12 = HeterogeneousAttention(second, second, temperature)
        self.HtrgGAT_layer_ST22 = HeterogeneousAttention(second, second, temperature)
        self.pool_S = GraphPool(ratio_s, first)
        self.pool_T = GraphPool(ratio_t, first)
        self.pool_hS1 = GraphPool(ratio, second)
        self.pool_hT1 = GraphPool(ratio, second)
        self.pool_hS2 = GraphPool(ratio, second)
        self.pool_hT2 = GraphPool(ratio, second)
        self.drop_way = nn.Dropout(BRANCH_DROPOUT)
        self.drop = nn.Dropout(OUTPUT_DROPOUT)
        self.out_layer = nn.Linear(5 * second, classes)

    def read_out(self, spectral: Tensor, temporal: Tensor) -> ModelOutput:
        """Return embedding and logits for node sets ``[batch, nodes, channels]``; ``spectral`` is without ``pos_S``."""
        spectral = self.pool_S(self.GAT_layer_S(spectral + self.pos_S))
        temporal = self.pool_T(self.GAT_layer_T(temporal))
        branches = [self._branch(temporal, spectral, number) for number in (1, 2)]
        t, s, master = (torch.maximum(self.drop_way(a), self.drop_way(b)) for a, b in zip(*branches, strict=True))
        parts = [t.abs().amax(dim=1), t.mean(dim=1), s.abs().amax(dim=1), s.mean(dim=1), master[:, 0]]
        embedding = torch.cat(parts, dim=1)
        return ModelOutput(embedding, self.out_layer(self.drop(embedding)))

    def _branch(self, temporal: Tensor, spectral: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor]:
        def part(name: str) -> nn.Module:
            return self.get_submodule(name.format(number))

        t, s, master = part("HtrgGAT_layer_ST{}1")(temporal, spectral, self.get_parameter(f"master{number}"))
        s, t = part("pool_hS{}")(s), part("pool_hT{}")(t)
        more_t, more_s, more_master = part("HtrgGAT_layer_ST{}2")(t, s, master)
        return t + more_t, s + more_s, master + more_master


class Aasist(GraphBackEnd):
    """AASIST: fixed sinc filter bank -> residual encoder -> maxima over time and frequency as nodes -> back end."""

    def __init__(self, config: AasistConfig, classes: int) -> None:
        super().__init__(config, classes, spectral_nodes=config.filters // 3)
        filters = sinc_filters(config.filters, config.taps)
        self.register_buffer("sinc", filters[:, None], persistent=False)
        self.first_bn = nn.BatchNorm2d(1)
        self.encoder = residual_encoder(config.widths, pooled=True)

    def features(self, wave: Tensor) -> Tensor:
        """Filter waveforms: ``[batch, samples]`` -> ``[batch, filters // 3, (samples - taps + 1) // 3]``."""
        bands = F.conv1d(wave[:, None], self.get_buffer("sinc"))
        return F.max_pool2d(bands.abs_()[:, None], 3)[:, 0]

    def encode(self, features: Tensor) -> Tensor:
        """Encode features: ``[batch, frequency, time]`` -> ``[batch, channels, frequency, time / 3**6]``."""
        return self.encoder(F.selu(self.first_bn(features[:, None])))

    def classify(self, features: Tensor) -> ModelOutput:
        level = self.encode(features).abs()
        return self.read_out(level.amax(dim=3).transpose(1, 2), level.amax(dim=2).transpose(1, 2))
