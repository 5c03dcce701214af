"""Keep one codec loaded in a worker process, and derive the seed of each clip."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from codec_adapters.loading import load_codec
from codecfake_builder.recipe.variants import ResolvedCodec
from codecfake_builder.shards.shard import Utterance

if TYPE_CHECKING:
    from codec_adapters.base import Adapter


def seed_of(utterance: Utterance) -> int:
    """Return the seed of a clip's random step, a function of its utterance alone."""
    return int.from_bytes(hashlib.sha256(utterance.name.encode()).digest()[:8], "big") >> 1


_Made = TypeVar("_Made")
_kept: dict[tuple[str, ...], Any] = {}


def loaded_adapter(codec: ResolvedCodec, device: str) -> Adapter:
    """Return the adapter of a codec on a device; a process keeps the last one, since shards come sorted by variant."""
    return kept(
        (codec.fingerprint(), str(codec.checkpoint), device),
        lambda: load_codec(codec.entry(), codec.checkpoint, device, codec.dtype, codec.options),
    )


def kept(key: tuple[str, ...], load: Callable[[], _Made]) -> _Made:
    """Return what this process loaded last if ``key`` is the same; otherwise load it with ``load``."""
    if key not in _kept:
        _kept.clear()  # before loading the next: two large codecs need not fit side by side
        _kept[key] = load()
    model: _Made = _kept[key]
    return model


def release() -> None:
    """Release the adapter that this process keeps."""
    _kept.clear()
