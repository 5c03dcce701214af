"""Base of the adapters of SpeechTokenizer and AcademiCodec's EnCodec: a SEANet around a residual quantizer."""

from __future__ import annotations

from torch import Tensor

from codec_adapters.base import Adapter, Codes
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.layers.seanet import SeanetCodec


class SeanetAdapter(Adapter):
    """Base of adapters that run a :class:`SeanetCodec`.

    A subclass loads :attr:`network`, chooses how many codebooks are :attr:`used`, and says its sample rate. Outputs are
    not cut to the input's length.
    """

    network: SeanetCodec
    used: int
    """Codebooks in use, the first ones."""

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

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        return self._generate(self.network.encode(wav, self.used))

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale(self.network.quantizer.entries, least=1)])

    def _encode(self, wav: Tensor) -> Codes:
        return Codes([self.network.encode(wav, self.used)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return self._generate(codes[0])

    def _generate(self, codes: Tensor) -> Tensor:
        """Decode checked codes ``[batch, codebooks, frames]`` to float32 ``[batch, frames * hop]``."""
        return self.network.decode(codes)
