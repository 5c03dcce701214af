"""EnCodec through transformers.

Paper: Defossez et al., "High Fidelity Neural Audio Compression", arXiv 2210.13438. Upstream: facebookresearch/encodec
(code MIT). Checkpoints: hub snapshots ``facebook/encodec_24khz`` (causal, mono, hop 320, 75 frames/s) and
``facebook/encodec_48khz`` (stereo, 1 s chunks overlapping by 1 %, each normalised by its own loudness, 150 frames/s).
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from transformers import EncodecConfig, EncodecModel

from codec_adapters.base import Adapter, Codes, Setup
from codec_adapters.code_form import CodeForm, Scale
from codec_adapters.errors import CheckpointError, InputError, OptionError
from codec_adapters.families.pretrained import load_pretrained
from codec_adapters.layers.chunks import Chunks
from codec_adapters.layers.precision import in_precision

_SILENCE = 1e-8
"""Upstream adds this to the RMS, so that digital silence does not lead to a division by zero."""


class EncodecAdapter(Adapter):
    """Adapter of EnCodec (Defossez et al., arXiv 2210.13438; facebookresearch/encodec).

    ``encode`` gives one tensor ``[batch, codebooks, frames]``, coarse to fine, of codebooks with 1024 entries. Option
    ``bandwidth`` (kbit/s, one of the checkpoint's own) sets how many codebooks are used. The stereo model gets the mono
    waveform as two equal channels, and the result is the mean of its two channels. The 48 kHz model codes chunks, whose
    frames stand one after the other, and each chunk's loudness: ``codes.side["scale"]`` ``[batch, chunks]``; codes
    without it decode at unit scale. Nothing is random. Quirk: upstream fails where the last chunk is one frame within
    the chunk before it (lengths of 161 to 320 samples beyond a multiple of 47,520); here the chunks are joined there as
    everywhere else.
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
        self.chunks = _chunks_of(self.config, setup.folder)

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

    def _code_form(self) -> CodeForm:
        return CodeForm([Scale([self.config.codebook_size] * len(self.model.quantizer.layers), least=1)])

    def _encode(self, wav: Tensor) -> Codes:
        channels = wav[:, None].expand(-1, self.config.audio_channels, -1)
        spans = self.chunks.spans(wav.shape[1]) if self.chunks else [slice(None)]
        coded = [self._encode_chunk(channels[..., span]) for span in spans]
        scales = [scale for _, scale in coded if scale is not None]
        side = {"scale": torch.cat(scales, dim=1)} if scales else {}
        return Codes([torch.cat([codes for codes, _ in coded], dim=-1)], side)

    def _decode(self, codes: Codes, seeds: list[int]) -> Tensor:
        total = codes[0].shape[-1]
        frames = self.chunks.frames_of(total) if self.chunks else [total]
        if frames is None:
            raise InputError(
                f"{self.spec.name}: no clip has {total} frames, in chunks of {self.config.chunk_length_s} s"
            )
        scale = codes.side.get("scale")
        if scale is not None and scale.shape != (len(codes[0]), len(frames)):
            wanted = f"[{len(codes[0])}, {len(frames)}], one for each chunk"
            raise InputError(f"{self.spec.name}: side 'scale' must be {wanted}; got {list(scale.shape)}")
        scales = [None] * len(frames) if scale is None else list(scale.split(1, dim=1))
        parts = codes[0].split(frames, dim=-1)
        decoded = [self._decode_chunk(part, level) for part, level in zip(parts, scales, strict=True)]
        audio = self.chunks.overlap_add(decoded) if self.chunks else decoded[0]
        return audio.mean(dim=1)

    def _encode_chunk(self, wav: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the codes ``[batch, codebooks, frames]`` of ``wav`` ``[batch, channels, samples]``, and its level.

        The level, ``[batch, 1]``, is the RMS of the mean of the channels; ``None`` where the model does not normalise.
        """
        level = None
        if self.config.normalize:
            mono = wav.sum(dim=1, keepdim=True) / wav.shape[1]
            rms = mono.pow(2).mean(dim=-1, keepdim=True).sqrt() + _SILENCE
            wav, level = wav / rms, rms.view(-1, 1)
        codes: Tensor = self.model.quantizer.encode(self.model.encoder(wav), self.bandwidth)
        return codes.transpose(0, 1), level

    def _decode_chunk(self, codes: Tensor, level: Tensor | None) -> Tensor:
        """Return the waveform ``[batch, channels, samples]`` of a chunk's codes ``[batch, codebooks, frames]``."""
        audio: Tensor = self.model.decoder(self.model.quantizer.decode(codes.transpose(0, 1)))
        return audio if level is None else audio * level.view(-1, 1, 1)


def _chunks_of(config: EncodecConfig, folder: Path) -> Chunks | None:
    """Return the chunks of a checkpoint's configuration; ``None`` where it codes a clip in one piece."""
    seconds, overlap = config.chunk_length_s, config.overlap
    if seconds is None:
        return None
    length = int(seconds * config.sampling_rate)
    if length < 1 or overlap is None or not 0 <= overlap < 1:
        raise CheckpointError(
            f"{folder / 'config.json'}: chunks of {seconds} s (chunk_length_s) with overlap {overlap}; expected at "
            "least one sample, and 0 to below 1"
        )
    stride = max(1, int((1.0 - overlap) * length))
    return Chunks(length, stride, math.prod(config.upsampling_ratios))
