"""W2V2-AASIST: AASIST's graph back end on the output of a layer of a frozen XLS-R (through transformers).

Source: NCST (arXiv 2501.06514), code xieyuankun/ST-Codecfake; XLS-R: Babu et al., arXiv 2111.09296 (hub
``facebook/wav2vec2-xls-r-300m``). Names of the parameters are those of the released checkpoints.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from codecfake_builder.benchmark.models.aasist import GraphBackEnd, residual_encoder
from codecfake_builder.benchmark.models.base import ModelOutput, TracingModel
from codecfake_builder.benchmark.models.config import W2v2AasistConfig

VARIANCE_FLOOR = 1e-7
"""Added to the variance before the division, as in the feature extractor of transformers."""


class FrozenWav2Vec2(nn.Module):
    """The first layers of a wav2vec 2.0 model: never trained, always in eval mode.

    Args:
        config: of the wav2vec 2.0 model; its ``num_hidden_layers`` layers are built.
    """

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        self.model: Any = Wav2Vec2Model(config)
        self.model.requires_grad_(False)
        self.train(False)

    def drop_layers_after(self, layer: int) -> None:
        """Drop all transformer layers after number ``layer`` (counted from 1), and the closing layer norm."""
        encoder = self.model.encoder
        encoder.layers = encoder.layers[:layer]
        encoder.layer_norm = nn.Identity()

    def train(self, mode: bool = True) -> FrozenWav2Vec2:
        """Stay in eval mode whatever ``mode`` says: no dropout, no layer drop, no masking of features."""
        super().train(False)
        return self

    def forward(self, wave: Tensor) -> Tensor:
        """Return hidden states ``[batch, frames, hidden]``, 50 per second, of standardised ``[batch, samples]``."""
        with torch.no_grad():
            return self.model(wave).last_hidden_state


def standardise(wave: Tensor, over: str) -> Tensor:
    """Scale ``[batch, samples]`` to zero mean and unit (population) variance, per ``utterance`` or over the ``batch``.

    The published code standardises over the batch, since the feature extractor takes a two-dimensional tensor for one
    recording.
    """
    dims = (0, 1) if over == "batch" else (1,)
    mean = wave.mean(dim=dims, keepdim=True)
    variance = wave.var(dim=dims, keepdim=True, correction=0)
    return (wave - mean) / torch.sqrt(variance + VARIANCE_FLOOR)


class W2vAasistHead(GraphBackEnd):
    """Trained part of W2V2-AASIST: projection -> residual encoder -> attention over time and frequency -> back end."""

    def __init__(self, config: W2v2AasistConfig, classes: int, inputs: int) -> None:
        super().__init__(config, classes, spectral_nodes=config.projection // 3)
        wide = config.widths[1]
        self.LL = nn.Linear(inputs, config.projection)
        self.first_bn = nn.BatchNorm2d(1)
        self.first_bn1 = nn.BatchNorm2d(wide)
        self.encoder = residual_encoder(config.widths, pooled=False)
        self.attention = nn.Sequential(
            nn.Conv2d(wide, 2 * wide, 1), nn.SELU(), nn.BatchNorm2d(2 * wide), nn.Conv2d(2 * wide, wide, 1)
        )

    def features(self, wave: Tensor) -> Tensor:
        """Return the input ``[batch, frames, inputs]`` as it is: the front end of this head is XLS-R."""
        return wave

    def classify(self, features: Tensor) -> ModelOutput:
        x = F.max_pool2d(self.LL(features).transpose(1, 2)[:, None], 3)
        x = self.encoder(F.selu(self.first_bn(x)))
        x = F.selu(self.first_bn1(x))
        weights = self.attention(x)
        spectral = (x * weights.softmax(dim=3)).sum(dim=3)
        temporal = (x * weights.softmax(dim=2)).sum(dim=2)
        return self.read_out(spectral.transpose(1, 2), temporal.transpose(1, 2))


class W2v2Aasist(TracingModel):
    """W2V2-AASIST: a frozen XLS-R and the head that is trained."""

    frozen_prefix = "wav2vec2."

    def __init__(self, config: W2v2AasistConfig, classes: int, frozen: FrozenWav2Vec2) -> None:
        super().__init__()
        self.standardise_over = config.standardise
        self.depends_on_batch = config.standardise == "batch"
        self.wav2vec2 = frozen
        self.w2vaasist = W2vAasistHead(config, classes, inputs=frozen.model.config.hidden_size)

    def features(self, wave: Tensor) -> Tensor:
        """Return hidden states of XLS-R: ``[batch, samples]`` -> ``[batch, frames, hidden]``."""
        return self.wav2vec2(standardise(wave, self.standardise_over))

    def classify(self, features: Tensor) -> ModelOutput:
        return self.w2vaasist.classify(features)
