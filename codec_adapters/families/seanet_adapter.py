"""What the adapters of codecs that are a SEANet around a residual quantizer have in common."""

from __future__ import annotations

from torch import Tensor

from codec_adapters.base import Adapter, Codes
from codec_adapters.layers.seanet import SeanetCodec


class SeanetAdapter(Adapter):
    """Facts and encoding of a :class:`SeanetCodec`; subclasses load ``network`` and choose ``used`` codebooks."""

    network: SeanetCodec
    used: int

    @property
    def hop(self) -> int:
        return self.network.hop

    @property
    def codebooks(self) -> int:
        return self.used

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.used * self.network.quantizer.bits

    @property
    def length_multiple(self) -> int:
        return 1  # the codec fills its last frame by mirroring the signal, not with zeros

    def _encode(self, wav: Tensor) -> Codes:
        return Codes([self.network.encode(wav, self.used)])
