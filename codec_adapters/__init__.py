"""Neural speech codecs behind one contract: ``names()``, ``spec(name)``, ``load(name, ...)``; ``alm`` has ALMs.

>>> import codec_adapters
>>> codec_adapters.spec("encodec_24khz_6kbps").sample_rate
24000
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from codec_adapters import alm
from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import LABELS
from codec_adapters.entry import Entry
from codec_adapters.errors import CheckpointError, CodecError, InputError, OptionError, UnknownVariantError
from codec_adapters.registration import default_catalogue, register
from codec_adapters.spec import AlmSpec, CodecSpec, OptionValue, Taxonomy

if TYPE_CHECKING:
    from codec_adapters.base import Adapter

__all__ = [
    "LABELS",
    "AlmSpec",
    "Catalogue",
    "CheckpointError",
    "CodecError",
    "CodecSpec",
    "Entry",
    "InputError",
    "OptionError",
    "Taxonomy",
    "UnknownVariantError",
    "alm",
    "default_catalogue",
    "load",
    "names",
    "register",
    "spec",
]


def names() -> list[str]:
    """List every codec variant of the default catalogue, built-in ones first in label order. Imports no codec.

    >>> import codec_adapters
    >>> "snac_24khz" in codec_adapters.names()
    True
    """
    return [spec.name for spec in default_catalogue().codecs()]


def spec(name: str) -> CodecSpec:
    """Return the spec of codec variant ``name`` of the default catalogue.

    Raises:
        UnknownVariantError: no such variant; the message names the nearest one.

    >>> import codec_adapters
    >>> codec_adapters.spec("lyra_v2_6kbps").bitrate
    6000
    """
    return default_catalogue().codec(name)


def load(
    name: str,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    options: Mapping[str, OptionValue] | None = None,
) -> Adapter:
    """Load a codec variant of the default catalogue, ready to run.

    Args:
        name: a variant name, see :func:`names`.
        checkpoint: local folder in the codec's official file layout; ``None`` uses the pinned official weights,
            fetched into the user's cache on first use.
        device: a torch device, e.g. ``cpu`` or ``cuda:1``.
        dtype: ``float32``, ``bfloat16`` or ``float16`` for the networks; quantizer searches stay in float32.
        options: overrides of the variant's own inference options (``spec(name).options``).

    Raises:
        UnknownVariantError, OptionError, CheckpointError: one line each, naming what and where.

    >>> import codec_adapters, torch
    >>> adapter = codec_adapters.load("snac_24khz", "recipes/mini/weights/snac_24khz")
    >>> adapter.resynthesize(torch.zeros(1, 24000)).shape  # float32 [batch, samples]
    torch.Size([1, 24000])
    """
    from codec_adapters.loading import load_codec  # reads weights.lock by pydantic, which takes long to import

    catalogue = default_catalogue()
    return load_codec(catalogue.entry(catalogue.codec(name).name), checkpoint, device, dtype, options)
