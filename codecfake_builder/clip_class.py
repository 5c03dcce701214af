"""The class of clips, and what their rows say of the codec that made them, as far as it is known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from codec_adapters.catalogue import Catalogue
from codec_adapters.spec import CodecSpec


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
        """Return the values by column name."""
        return asdict(self)


def clip_class(catalogue: Catalogue, codec: str, variant: str) -> ClipClass:
    """Return the class of clips of ``variant``, a setting of ``codec`` (one of the catalogue's classes).

    The figures are those of the variant where it is a known one. The taxonomy is given too where all known variants of
    the family have the same.
    """
    specs = [spec for spec in catalogue.codecs() if spec.family == codec]
    named = next((spec for spec in specs if spec.name == variant), None)
    rates = _rates(named) if named else {}
    kinds = {named.taxonomy} if named else {spec.taxonomy for spec in specs}
    taxonomy = asdict(kinds.pop()) if len(kinds) == 1 else {}
    return ClipClass(codec, catalogue.classes[codec], **rates, **taxonomy)


def _rates(spec: CodecSpec) -> dict[str, Any]:
    return {
        "bitrate_bps": spec.bitrate,
        "frame_rate_hz": spec.frame_rate,
        "codebooks": spec.codebooks,
        "native_sample_rate": spec.sample_rate,
    }
