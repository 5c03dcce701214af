"""Base class of adapters whose sample rate, hop, codebooks and bit rate are known from the spec only."""

from __future__ import annotations

from torch import Tensor

from codec_adapters.base import Adapter, Codes
from codec_adapters.errors import InputError


class OpaqueAdapter(Adapter):
    """An adapter that reports the sample rate, hop, codebooks and bit rate of its spec, since no network tells them.

    ``encode`` and ``decode`` are refused, unless a subclass has them.
    """

    @property
    def sample_rate(self) -> int:
        return self.spec.sample_rate

    @property
    def hop(self) -> int:
        return self.spec.hop

    @property
    def codebooks(self) -> int:
        return self.spec.codebooks

    @property
    def bitrate(self) -> float:
        return self.spec.bitrate

    def _encode(self, wav: Tensor) -> Codes:
        raise InputError(f"{self.spec.name}: gives no codes, only resynthesize")

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        raise InputError(f"{self.spec.name}: takes no codes, only resynthesize")
