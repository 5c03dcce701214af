"""Mimi through transformers.

Paper: Defossez et al., "Moshi: a speech-text foundation model for real-time dialogue", arXiv 2410.00037. Upstream:
kyutai-labs/moshi (code MIT, weights CC BY 4.0). Checkpoint: hub snapshot ``kyutai/mimi``, 24 kHz mono, hop 1920
(12.5 frames/s), 32 codebooks of 2048 entries.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from transformers import MimiModel

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.families.pretrained import load_pretrained
from codec_adapters.layers.precision import in_precision


class MimiAdapter(Adapter):
    """Adapter of Mimi (Defossez et al., arXiv 2410.00037; kyutai-labs/moshi).

    ``encode`` gives one tensor ``[batch, codebooks, frames]``. The first codebook is distilled from a self-supervised
    model, the others follow coarse to fine. Option ``codebooks`` is how many of the checkpoint's 32 are used, the first
    ones; Moshi uses 8. Nothing is random.

    On the CPU, the items of a batch run one by one, which is not slower there. The rounding of the transformers' matrix
    products depends on the shape of the whole batch, and a clip must not depend on its batch. Half precision covers the
    convolution stacks; the two transformers and the quantizer stay in float32.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.model = load_pretrained(MimiModel, setup.folder).to(setup.device)
        encoder, decoder = self.model.encoder, self.model.decoder
        self.config = self.model.config
        self._hop = round(self.config.sampling_rate / self.config.frame_rate)
        if setup.dtype != torch.float32:
            encoder.encoder_seanet = in_precision(encoder.encoder_seanet, setup.dtype)
            decoder.decoder_seanet = in_precision(decoder.decoder_seanet, setup.dtype)
        self.used = setup.codebooks(self.config.num_quantizers, least=self.config.num_semantic_quantizers)

    @property
    def sample_rate(self) -> int:
        return int(self.config.sampling_rate)

    @property
    def hop(self) -> int:
        return self._hop

    @property
    def codebooks(self) -> int:
        return self.used

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.used * math.log2(self.config.codebook_size)

    def _code_form(self) -> CodeForm:
        return CodeForm(
            [Scale([self.config.codebook_size] * self.config.num_quantizers, self.config.num_semantic_quantizers)]
        )

    def _encode(self, wav: Tensor) -> Codes:
        parts = [self.model.encode(part[:, None], num_quantizers=self.used).audio_codes for part in self._parts(wav)]
        return Codes([torch.cat(parts)])

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        return torch.cat([self.model.decode(part).audio_values[:, 0] for part in self._parts(codes[0])])

    def _parts(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Split a batch into what runs together: single items on the CPU, everything elsewhere."""
        return batch.split(1) if self.device.type == "cpu" else (batch,)
