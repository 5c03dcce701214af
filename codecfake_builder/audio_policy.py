"""What a recipe may change about the audio of a dataset."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AudioPolicy(BaseModel):
    """Limits for what goes into a dataset, and how much of what is no codec's sound the chain makes equal.

    Figures: real speech through Lyra V2 and ten small codecs, macro F1 over 12 classes of a probe that sees a trivial
    feature, chance 0.08 (``benchmarks/audio_chain.md``). Mean and dither, which are of every clip, are no choice, nor
    is the order of the chain's steps (see ``codecfake_builder.audio``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_seconds: float = Field(default=0.3, ge=0.0)
    """Shorter utterances are left out (a FLAC of at most 4,096 samples cannot be read twice by libsndfile)."""
    max_seconds: float = Field(default=60.0, gt=0)
    context_seconds: float = Field(default=0.32, ge=0, le=10)
    """A codec gets so much before and after the clip, the clip itself mirrored, which is cut off again; 0: none. So no
    codec begins or ends in its own transient: first value 0.59 -> 0.24, edges 0.65 -> 0.31. 0.32 s is a whole number
    of samples at every usual rate, and of frames of most codecs."""
    level: Literal["source", "own"] = "source"
    """``source``: a re-synthesized clip gets the RMS of its source, since what a codec does to level is no part of its
    sound (the small networks lose 3 to 6 dB, official outputs have -1 to +9): RMS 0.12 -> 0.07, and real against fake
    0.68 -> 0.51 (area under the curve). ``own``: it keeps its own."""
    fade_seconds: float = Field(default=0.02, ge=0, le=1)
    """Raised-cosine fade of both ends of every clip, real ones too: first value 0.22 -> 0.01; 0: none."""
    trim_db: float | None = Field(default=None, gt=0, le=200)
    """Both ends of all clips of an utterance are cut to where its *source* is within so many dB of its loudest 10 ms;
    null: they stay. Edges 0.30 -> 0.13 at 25 dB, noise floor 0.27 -> 0.13, silence at chance; it costs the pauses
    at the recordings' ends, where a codec's own noise is heard, and what is then shorter than ``min_seconds``."""
    tail_seconds: float = Field(default=0.25, gt=0)
    """Codecs whose output depends on appended silence only at its end get inputs of a multiple of this length."""
    max_missing_seconds: float = Field(default=0.05, ge=0)
    """A codec's output may be shorter than its input by at most this much; what the source lacks then is zeros."""
    max_rejected_share: float = Field(default=0.05, ge=0, le=1)
    """When codecs fail on more than this share of a split's clips of one variant, the build ends with exit code 1."""
