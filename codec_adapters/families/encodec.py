"""EnCodec through transformers.

Paper: Defossez et al., "High Fidelity Neural Audio Compression", arXiv 2210.13438. Upstream: facebookresearch/encodec
(code MIT). Checkpoints: hub snapshots ``facebook/encodec_24khz`` (causal, mono, hop 320, 75 frames/s) and
``facebook/encodec_48khz`` (stereo, 1 s chunks overlapping by 1 %, each normalised by its own loudness, 150 frames/s).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from transformers import EncodecModel

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.errors import OptionError
from codec_adapters.families.pretrained import load_pretrained
from codec_adapters.layers.precision import in_precision


class EncodecAdapter(Adapter):
    """Adapter of EnCodec (Defossez et al., arXiv 2210.13438; facebookresearch/encodec).

    ``encode`` gives one tensor ``[batch, codebooks, frames]``, coarse to fine, of codebooks with 1024 entries. Option
    ``bandwidth`` (kbit/s, one of the checkpoint's own) sets how many codebooks are used. The stereo model gets the mono
    waveform as two equal channels, and the result is the mean of its two channels. The 48 kHz model also codes each
    chunk's loudness: ``codes.side["scale"]`` ``[batch, chunks]``; codes without it decode at unit scale. Nothing is
    random.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.model = load_pretrained(EncodecModel, setup.folder).to(setup.device)
        self.model.encoder = in_precision(self.model.encoder, setup.dtype)
        self.model.decoder = in_precision(self.model.decoder, setup.dtype)
        self.config = self.model.config
        self.bandwidth = float(setup.options["bandwidth"])
        if self.bandwidth not in self.config.target_bandwidths:
            valid = ", ".join(str(b) for b in self.config.target_bandwidths)
            raise OptionError(f"{setup.spec.name}: bandwidth {self.bandwidth} is not one of this checkpoint's: {valid}")

    @property
    def sample_rate(self) -> int:
        return int(self.config.sampling_rate)

    @property
    def hop(self) -> int:
        return math.prod(self.config.upsampling_ratios)

    @property
    def codebooks(self) -> int:
        return int(self.model.quantizer.get_num_quantizers_for_bandwidth(self.bandwidth))

    @property
    def bitrate(self) -> float:
        return self.frame_rate * self.codebooks * math.log2(self.config.codebook_size)

    def _encode(self, wav: Tensor) -> Codes:
        channels = wav[:, None].expand(-1, self.config.audio_channels, -1)
        chunks, scales, missing = self.model.encode(channels, None, self.bandwidth, return_dict=False)
        codes = torch.cat(list(chunks), dim=-1)
        codes = codes[..., : codes.shape[-1] - missing]
        side = {"scale": torch.cat(scales, dim=1)} if scales[0] is not None else {}
        return Codes([codes], side)

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        checked = self._checked_codes(codes, [self.config.codebook_size] * len(self.model.quantizer.layers), least=1)
        frames = checked.shape[-1]
        per_chunk = math.ceil(self.config.chunk_length / self.hop) if self.config.chunk_length else frames
        chunks = checked.split(per_chunk, dim=-1)
        missing = per_chunk - chunks[-1].shape[-1] if len(chunks) > 1 else 0
        padded = [*chunks[:-1], torch.nn.functional.pad(chunks[-1], (0, missing))]
        scale = codes.side.get("scale")
        scales = [None] * len(chunks) if scale is None else list(scale.split(1, dim=1))
        (audio,) = self.model.decode(torch.stack(padded), scales, return_dict=False, last_frame_pad_length=missing)
        return audio.mean(dim=1)
