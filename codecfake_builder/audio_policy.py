"""What a recipe may change about the audio of a dataset."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AudioPolicy(BaseModel):
    """Limits for what goes into a dataset; the chain itself is fixed (see ``codecfake_builder.audio``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_seconds: float = Field(default=0.3, ge=0.0)
    """Shorter utterances are left out (a FLAC of at most 4,096 samples cannot be read twice by libsndfile)."""
    max_seconds: float = Field(default=60.0, gt=0)
    tail_seconds: float = Field(default=0.25, gt=0)
    """Codecs whose output depends on appended silence only at its end get inputs of a multiple of this length."""
    max_missing_seconds: float = Field(default=0.05, ge=0)
    """A codec's output may be shorter than its source by at most this much; it is padded with zeros."""
    max_rejected_share: float = Field(default=0.05, ge=0, le=1)
    """When codecs fail on more than this share of a split's clips of one variant, the build ends with exit code 1."""
