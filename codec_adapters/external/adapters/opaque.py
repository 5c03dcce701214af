"""Codecs that are seen from outside only: waveform in, waveform out, and what was said of them."""

from __future__ import annotations

from torch import Tensor

from codec_adapters.base import Adapter, Codes
from codec_adapters.errors import InputError


class OpaqueAdapter(Adapter):
    """An adapter whose figures are those of its spec, since no network tells them. Gives no codes, unless a subclass
    knows how."""

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
