"""Descript Audio Codec through transformers.

Paper: Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN", arXiv 2306.06546. Upstream:
descriptinc/descript-audio-codec (MIT). Checkpoints: hub snapshots ``descript/dac_16khz``, ``descript/dac_24khz`` (hop
320) and ``descript/dac_44khz`` (hop 512).
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import pad
from transformers import DacModel

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.families.pretrained import load_pretrained
from codec_adapters.layers.precision import in_precision


class DacAdapter(Adapter):
    """Adapter of DAC (Kumar et al., arXiv 2306.06546; descriptinc/descript-audio-codec).

    ``encode`` gives one tensor ``[batch, codebooks, ceil(samples / hop)]``, coarse to fine, of factorised codebooks
    with 1024 entries in 8 dimensions. Option ``codebooks`` is how many of the checkpoint's codebooks are used, the
    first ones. The input is padded with zeros to whole frames, as upstream does, and the output is cut to the input's
    length. Nothing is random.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.model = load_pretrained(DacModel, setup.folder).to(setup.device)
        self.model.encoder = in_precision(self.model.encoder, setup.dtype)
        self.model.decoder = in_precision(self.model.decoder, setup.dtype)
        self.config = self.model.config
        self.used = setup.codebooks(self.config.n_codebooks)

    @property
    def sample_rate(self) -> int:
        return int(self.config.sampling_rate)

    @property
    def hop(self) -> int:
        return math.prod(self.config.downsampling_ratios)

    @property
    def codebooks(self) -> int:
        return self.used

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.used * math.log2(self.config.codebook_size)

    def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
        _, latent, _, _ = self._quantize(wav)
        audio: Tensor = self.model.decode(quantized_representation=latent, return_dict=False)[0]
        return audio[:, : wav.shape[1]]

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale([self.config.codebook_size] * self.config.n_codebooks, least=1)])

    def _encode(self, wav: Tensor) -> Codes:
        _, _, codes, _ = self._quantize(wav)
        return Codes([codes])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        audio: Tensor = self.model.decode(audio_codes=codes[0], return_dict=False)[0]
        return audio

    def _quantize(self, wav: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        whole = pad(wav, (0, -wav.shape[1] % self.hop))[:, None]
        loss, latent, codes, projected = self.model.encode(whole, self.used, return_dict=False)
        return loss, latent, codes, projected
