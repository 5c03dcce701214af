"""What is known about a codec variant before any network is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

OptionValue = bool | int | float | str
"""The value of an inference option: plain data, so that it can stand in a recipe and in a content key."""

LABELS: Mapping[str, int] = MappingProxyType(
    {
        "real": 0,
        "mimi": 1,
        "speechtokenizer": 2,
        "funcodec": 3,
        "encodec": 4,
        "facodec": 5,
        "snac": 6,
        "wavtokenizer": 7,
        "soundstream": 8,
        "academicodec": 9,
        "audiodec": 10,
        "dac": 11,
    }
)
"""Class of each codec family. NCST (arXiv 2501.06514) and its released files fix 0-7 and the set 8-11; the order
within 8-11 is ours."""


@dataclass(frozen=True)
class Taxonomy:
    """Where a codec stands in the taxonomy of CodecFake+ (ResponsibleGenAI/CodecFake-Source-Tracing)."""

    quantizer: Literal["multi", "single", "scalar"]
    auxiliary: Literal["none", "semantic", "disentangled"]
    decoder_domain: Literal["time", "frequency"]


@dataclass(frozen=True)
class CodecSpec:
    """One variant: a codec family at one concrete setting, as its authors released it.

    The figures are those of the official checkpoint; an :class:`~codec_adapters.base.Adapter` reports the figures of
    the network it really loaded.
    """

    name: str
    """Unique name of the variant, e.g. ``encodec_24khz_6kbps``."""
    family: str
    """Codec family, e.g. ``encodec``; the class a source-tracing model predicts."""
    label: int
    """Class id of the family (see :data:`LABELS`; plugins continue from 12)."""
    sample_rate: int
    """Native rate, Hz."""
    hop: int
    """Samples of input per frame of the finest codebook."""
    codebooks: int
    """Codebooks in use."""
    bitrate: float
    """Bits per second."""
    taxonomy: Taxonomy
    code_licence: str
    weights_licence: str
    paper: str
    repo: str
    checkpoint: str
    """Entry of ``manifests/weights.lock`` that holds the official weights; empty for a codec without weights."""
    delay_samples: int = 0
    """Samples (at ``sample_rate``) by which the output lags the input."""
    tail_local: bool = False
    """True when silence appended to the input changes only the output's last part. Measured, never believed."""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Inference options with their defaults."""
    version: int = 1
    """Raised whenever the adapter's output changes; part of a shard's content key."""

    @property
    def frame_rate(self) -> float:
        """Frames per second of the finest codebook."""
        return self.sample_rate / self.hop
