"""The class of clips that exist already: what their rows say of the codec that made them, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import codec_adapters
from codec_adapters.spec import LABELS, CodecSpec
from codecfake_builder.errors import RecipeError

REAL = "real"
"""The class and the variant of clips that passed no codec."""
VOCODER = "vocoder"
"""The class of fakes that no neural codec made: speech synthesis and voice conversion with other vocoders."""
NO_LABEL = -1
"""The label of such clips. They belong to no class of the closed or the open set; -1 is what ``datasets.ClassLabel``
stores where there is none. (The publication's scripts give them 7, WavTokenizer's label, to mean "not in 0-6".)"""


_declared: dict[str, int] = {}


def declare_classes(classes: Mapping[str, int]) -> None:
    """Make classes known of which there are imported clips only, with their labels.

    Raises:
        RecipeError: a codec family has that name, with another label.
    """
    families = _families()
    for name, label in classes.items():
        if families.get(name, label) != label:
            raise RecipeError(f"classes.{name}: is a codec family with label {families[name]}; leave it out")
    _declared.update(classes)


@dataclass(frozen=True)
class ClipClass:
    """The columns that clips of one imported variant share; ``None`` where the setting that made them is not known."""

    codec: str
    label: int
    bitrate_bps: float | None = None
    frame_rate_hz: float | None = None
    codebooks: int | None = None
    native_sample_rate: int | None = None
    quantizer: str | None = None
    auxiliary: str | None = None
    decoder_domain: str | None = None

    def columns(self) -> dict[str, Any]:
        """The values by column name."""
        return {**asdict(self), "is_fake": self.codec != REAL}


def known_classes() -> dict[str, int]:
    """Label by class name: the codec families, those of plugins among them, declared ones, ``real``, ``vocoder``."""
    return {**_declared, **_families(), VOCODER: NO_LABEL}


def _families() -> dict[str, int]:
    families = {spec.family: spec.label for spec in map(codec_adapters.spec, codec_adapters.names())}
    return {**LABELS, **families}


def clip_class(codec: str, variant: str) -> ClipClass:
    """The class of clips of ``variant``, a setting of ``codec`` (a key of :func:`known_classes`).

    The figures are those of the variant where it is a known one. The taxonomy is given too where all known variants of
    the family have the same.
    """
    label = known_classes()[codec]
    specs = [spec for spec in map(codec_adapters.spec, codec_adapters.names()) if spec.family == codec]
    named = next((spec for spec in specs if spec.name == variant), None)
    figures = _figures(named) if named else {}
    kinds = {named.taxonomy} if named else {spec.taxonomy for spec in specs}
    return ClipClass(codec, label, **figures, **(asdict(kinds.pop()) if len(kinds) == 1 else {}))


def _figures(spec: CodecSpec) -> dict[str, Any]:
    return {
        "bitrate_bps": spec.bitrate,
        "frame_rate_hz": spec.frame_rate,
        "codebooks": spec.codebooks,
        "native_sample_rate": spec.sample_rate,
    }
