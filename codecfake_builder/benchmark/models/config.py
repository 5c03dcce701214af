"""Settings of the tracing models.

The defaults are those of the publication's code (xieyuankun/ST-Codecfake); AASIST's are those of clovaai/aasist,
configuration "AASIST".
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from codec_adapters.files.config import PositiveInt

Ratio = Annotated[float, Field(gt=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]

PUBLISHED_SAMPLES = 64600
"""Input length of the publication's models in samples at 16 kHz: 4.0375 s."""


class ModelConfig(BaseModel):
    """Settings that every tracing model has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(default=PUBLISHED_SAMPLES, ge=8000, le=16000 * 600)
    """Length of the input in samples at 16 kHz; shorter clips are repeated, longer ones cropped."""


class MelLcnnConfig(ModelConfig):
    """Settings of Mel-LCNN: a light CNN on a mel power spectrogram."""

    kind: Literal["mel_lcnn"] = "mel_lcnn"
    channels: tuple[PositiveInt, ...] = Field(
        default=(64, 64, 96, 96, 128, 128, 64, 64, 64), min_length=9, max_length=9
    )
    """Output channels of the nine convolutions, before max-feature-map halves them."""
    hidden: PositiveInt = 160
    embedding: PositiveInt = 256
    dropout: float = Field(default=0.7, ge=0, lt=1)
    log: bool = False
    """Whether to take the logarithm of the mel power. The published model does not: its input is linear power."""


class GraphConfig(ModelConfig):
    """Settings of AASIST's encoder and graph attention, which AASIST and W2V2-AASIST share."""

    widths: tuple[PositiveInt, PositiveInt] = (32, 64)
    """Channels of the first two and of the last four residual blocks (``filts`` of the upstream configuration)."""
    gat_dims: tuple[PositiveInt, PositiveInt] = (64, 32)
    """Width of the nodes in the homogeneous and in the heterogeneous graph layers."""
    pool_ratios: tuple[Ratio, Ratio, Ratio] = (0.5, 0.7, 0.5)
    """Share of nodes that a pool keeps: spectral, temporal, and in all later pools."""
    temperatures: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (2.0, 2.0, 100.0)
    """Softmax temperature of the attention: spectral, temporal, and in the heterogeneous layers."""


class AasistConfig(GraphConfig):
    """Settings of AASIST on the raw waveform."""

    kind: Literal["aasist"] = "aasist"
    filters: int = Field(default=70, ge=6)
    """Filters of the fixed sinc bank."""
    taps: int = Field(default=128, ge=2)
    """Length of the sinc filters in samples; an even number is made odd."""


class W2v2AasistConfig(GraphConfig):
    """Settings of W2V2-AASIST: AASIST's graph back end on a frozen XLS-R."""

    kind: Literal["w2v2_aasist"] = "w2v2_aasist"
    pool_ratios: tuple[Ratio, Ratio, Ratio] = (0.5, 0.5, 0.5)
    layer: PositiveInt = 5
    """Transformer layer whose output is the feature (``hidden_states[layer]``); later ones are not loaded."""
    projection: int = Field(default=128, ge=6)
    """Width that the features are projected to: the spectral axis of the back end."""
    standardise: Literal["utterance", "batch"] = "utterance"
    """Over what the waveform is standardised to zero mean and unit variance. ``batch`` is what the published code does:
    one mean and one variance over the whole batch, so that a clip's logits depend on the other clips of its batch."""
    ssl: str | None = None
    """Folder with the XLS-R snapshot; ``None`` takes the official one from the cache, or fetches it."""


class ResnetConfig(ModelConfig):
    """Settings of the ResNet on a log-power spectrogram; our own model, by default with 18 layers."""

    kind: Literal["resnet"] = "resnet"
    channels: tuple[PositiveInt, ...] = Field(default=(32, 64, 128, 256), min_length=1, max_length=5)
    """Output channels of each stage; every stage but the first halves frequency and time."""
    blocks: tuple[PositiveInt, ...] = (2, 2, 2, 2)
    """Residual blocks of each stage."""
    bottleneck: PositiveInt = 128
    """Channels inside the attention over time."""
    embedding: PositiveInt = 192
    dropout: float = Field(default=0.3, ge=0, lt=1)

    @model_validator(mode="after")
    def _stages_agree(self) -> ResnetConfig:
        if len(self.blocks) != len(self.channels):
            raise ValueError(f"{len(self.channels)} stages in channels, {len(self.blocks)} in blocks; give as many")
        return self


AnyModelConfig = Annotated[MelLcnnConfig | AasistConfig | W2v2AasistConfig | ResnetConfig, Field(discriminator="kind")]
