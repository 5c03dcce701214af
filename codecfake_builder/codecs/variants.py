"""What a recipe may name as a variant: a codec variant, or an audio language model."""

from __future__ import annotations

import codec_adapters
from codec_adapters import AlmSpec, CodecSpec, alm
from codecfake_builder.resources import nearest


def known_variants() -> list[str]:
    """Every codec variant, then every ALM."""
    return [*codec_adapters.names(), *alm.names()]


def is_alm(name: str) -> bool:
    """Whether ``name`` is an ALM."""
    return name in alm.names()


def is_builtin(name: str) -> bool:
    """Whether ``name`` comes with this project, not from a plugin."""
    return codec_adapters.is_builtin(name) or alm.is_builtin(name)


def variant_spec(name: str) -> CodecSpec | AlmSpec:
    """The spec of a codec variant or an ALM.

    Raises:
        UnknownVariantError: there is neither of this name.
    """
    return alm.spec(name) if is_alm(name) else codec_adapters.spec(name)


def codec_spec(name: str) -> CodecSpec:
    """The spec of the codec that makes the waveforms of variant ``name``: itself, or the one an ALM speaks through.

    Raises:
        UnknownVariantError: there is no such variant.
    """
    return codec_adapters.spec(alm.spec(name).codec_variant if is_alm(name) else name)


def nearest_variant(variant: str, allowed: list[str]) -> str:
    """A hint for a variant that is not among the ``allowed``; a family's bare name is answered with its variants."""
    known = set(known_variants())
    own = [name for name in allowed if name in known and codec_spec(name).family == variant]
    return f"choose a variant of it: {', '.join(own)}" if own else nearest(variant, allowed)
