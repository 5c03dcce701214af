"""Audio language models (ALMs) behind one contract: ``names()``, ``spec(name)``, ``load(name, ...)``.

An ALM answers, continues or reads a prompt in speech that a neural codec's decoder makes from the model's tokens; the
clip's class is that of the codec.

>>> import codec_adapters
>>> codec_adapters.alm.spec("codec_lm_mimi").codec_variant
'mimi_8codebooks'
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from codec_adapters.registration import default_catalogue, register
from codec_adapters.spec import AlmSpec, OptionValue

if TYPE_CHECKING:
    from codec_adapters.alm.base import Alm

__all__ = ["AlmSpec", "load", "names", "register", "spec"]


def names() -> list[str]:
    """List every ALM of the default catalogue, built-in ones first. Imports no model.

    >>> from codec_adapters import alm
    >>> "moshiko" in alm.names()
    True
    """
    return [spec.name for spec in default_catalogue().alms()]


def spec(name: str) -> AlmSpec:
    """Return the spec of ALM ``name`` of the default catalogue.

    Raises:
        UnknownVariantError: no such ALM; the message names the nearest one.

    >>> from codec_adapters import alm
    >>> alm.spec("moshiko").codec_variant
    'mimi_8codebooks'
    """
    return default_catalogue().alm(name)


def load(
    name: str,
    checkpoint: str | Path | None = None,
    codec_checkpoint: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    options: Mapping[str, OptionValue] | None = None,
    codec_options: Mapping[str, OptionValue] | None = None,
) -> Alm:
    """Load an ALM of the default catalogue with the codec that it speaks through; one that decodes by itself, without.

    Args:
        name: an ALM's name, see :func:`names`.
        checkpoint: local folder in the ALM's official file layout; ``None`` uses the pinned official weights.
        codec_checkpoint: the same for the codec.
        device: a torch device, e.g. ``cpu`` or ``cuda:1``; of both.
        dtype: ``float32``, ``bfloat16`` or ``float16``; of both.
        options: overrides of the ALM's own options (``spec(name).options``).
        codec_options: overrides of the codec variant's options.

    Raises:
        UnknownVariantError, OptionError, CheckpointError: one line each, naming what and where.

    >>> import torch
    >>> from codec_adapters import alm
    >>> from codec_adapters.alm.base import Prompt
    >>> folder = "recipes/mini/weights"  # of small networks, trained for the embedded edition
    >>> limit = {"max_seconds": 1.0}
    >>> model = alm.load("codec_lm_mimi", f"{folder}/codec_lm_mimi", f"{folder}/mimi_8codebooks", options=limit)
    >>> (spoken,) = model.generate([Prompt("first", audio=torch.zeros(24000))], seeds=[7])
    >>> spoken.wav.dtype, len(spoken.wav) <= model.sample_rate  # float32 [samples], at most a second
    (torch.float32, True)
    """
    from codec_adapters.alm.loading import load_alm  # reads weights.lock by pydantic, which takes long to import

    catalogue = default_catalogue()
    own = catalogue.entry(catalogue.alm(name).name)
    codec = catalogue.entry(catalogue.speaking_codec(name).name)
    return load_alm(own, codec, checkpoint, codec_checkpoint, device, dtype, options, codec_options)
