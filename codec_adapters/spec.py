"""Specs: what is known of a codec variant or an audio language model (ALM) before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

OptionValue = bool | int | float | str
"""The value of an inference option: plain data, so that it can be part of a recipe and of a content key."""


@dataclass(frozen=True)
class Taxonomy:
    """Place of a codec in the taxonomy of CodecFake+ (ResponsibleGenAI/CodecFake-Source-Tracing)."""

    quantizer: Literal["multi", "single", "scalar"]
    auxiliary: Literal["none", "semantic", "disentangled"]
    decoder_domain: Literal["time", "frequency"]


@dataclass(frozen=True)
class CodecSpec:
    """One variant: a codec family at one concrete setting, as its authors released it.

    Sample rate, hop, codebooks and bit rate are those of the official checkpoint; an
    :class:`~codec_adapters.base.Adapter` reports those of the network that it loaded.
    """

    name: str
    """Unique name of the variant, e.g. ``encodec_24khz_6kbps``."""
    family: str
    """Codec family, e.g. ``encodec``; the class a source-tracing model predicts."""
    label: int
    """Class id of the family (see :data:`codec_adapters.classes.LABELS`; plugins continue from 12)."""
    sample_rate: int
    """Of input and output, Hz."""
    hop: int
    """Samples of input per frame of the finest codebook."""
    codebooks: int
    """Number of codebooks in use."""
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
    """True where silence appended to the input changes only the last part of the output; conformance measures it."""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Inference options with their defaults."""
    version: int = 1
    """Raised whenever the adapter's output changes; part of a shard's content key."""

    @property
    def frame_rate(self) -> float:
        """Frames per second of the finest codebook."""
        return self.sample_rate / self.hop


PromptPart = Literal["text", "audio", "transcript"]
"""Parts of a prompt: the text to speak, speech, and the transcript of that speech."""


@dataclass(frozen=True)
class AlmSpec:
    """One audio language model, as its authors released it.

    Its clips have the class and the taxonomy of the codec that it speaks through, :attr:`codec_variant`, and that
    codec's sample rate, unless the model decodes by itself.
    """

    name: str
    """Unique name, e.g. ``moshiko``; no codec variant has it."""
    title: str
    """The name its authors gave it, e.g. ``Mini-Omni``."""
    codec_variant: str
    """The codec variant whose decoder makes the waveforms, e.g. ``mimi_8codebooks``."""
    prompt: tuple[PromptPart, ...]
    """Parts that a prompt must have."""
    code_licence: str
    weights_licence: str
    paper: str
    repo: str
    checkpoint: str
    """Entry of ``manifests/weights.lock`` that holds the official weights; empty where there are none to fetch."""
    local_only: bool = False
    """True where it has weights, but no official ones: a checkpoint folder must be given."""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Inference options with their defaults; ``max_seconds`` (most speech per prompt) is among them."""
    version: int = 1
    """Raised whenever the module's output changes; part of a shard's content key."""
    sample_rate: int | None = None
    """Hz, of the speech of a model that decodes by itself: its codec is not loaded, and the clips' figures are those of
    the codec's spec. ``None`` for a model that speaks through the loaded codec, at that one's rate."""
    prompt_rate: int | None = None
    """Hz, of the prompts' audio; ``None`` where it is the rate of the speech."""

    @property
    def decodes_itself(self) -> bool:
        """Whether it makes waveforms by itself; its codec is not loaded then."""
        return self.sample_rate is not None

    def __post_init__(self) -> None:
        """Check the spec.

        Raises:
            ValueError: an unknown prompt part, no prompt part, or no option ``max_seconds``.
        """
        unknown = sorted(set(self.prompt) - set(get_args(PromptPart)))
        if unknown or not self.prompt:
            raise ValueError(f"{self.name}: prompt needs some of {', '.join(get_args(PromptPart))}; got {unknown}")
        if not isinstance(self.options.get("max_seconds"), float):
            raise ValueError(f"{self.name}: needs an option max_seconds, a float")
