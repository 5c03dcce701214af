"""Two codecs without weights, and files of them in every format of a traced network.

:class:`FrameMeans` is quick to run and to check by hand; :class:`MuLaw` keeps speech intelligible.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class HalvedCodec(nn.Module):
    """An encoder and a decoder in one module: ``[batch, 1, samples]`` to codes ``[batch, codebooks, frames]``.

    ``samples`` must be a multiple of ``hop``.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, hop: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.hop = hop

    def encode(self, wav: Tensor) -> Tensor:
        return self.encoder(wav)

    def decode(self, codes: Tensor) -> Tensor:
        return self.decoder(codes)

    def forward(self, wav: Tensor) -> Tensor:
        return self.decoder(self.encoder(wav))


class FrameMeans(HalvedCodec):
    """Each frame's mean, quantized in three stages of 32 levels; decoded to steps."""

    HOP, CODEBOOKS, ENTRIES = 160, 3, 32

    def __init__(self) -> None:
        super().__init__(_MeansEncoder(), _MeansDecoder(), self.HOP)


class MuLaw(HalvedCodec):
    """Mu-law of eight bits a sample, four samples a frame."""

    HOP, LEVELS = 4, 255

    def __init__(self) -> None:
        super().__init__(_MuLawEncoder(), _MuLawDecoder(), self.HOP)


class _MeansEncoder(nn.Module):
    def forward(self, wav: Tensor) -> Tensor:
        means = torch.nn.functional.avg_pool1d(wav, FrameMeans.HOP, FrameMeans.HOP)
        stages = []
        rest = means[:, 0].clamp(-0.999, 0.999)
        entries = FrameMeans.ENTRIES
        for stage in range(FrameMeans.CODEBOOKS):
            step = (2.0 / entries) ** (stage + 1) * entries / 2
            code = ((rest / step * 2).floor() + entries // 2).clamp(0, entries - 1)
            rest = rest - (code - entries // 2 + 0.5) * step / 2
            stages.append(code)
        return torch.stack(stages, 1).long()


class _MeansDecoder(nn.Module):
    def forward(self, codes: Tensor) -> Tensor:
        entries = FrameMeans.ENTRIES
        scale = torch.tensor([(2.0 / entries) ** (stage + 1) * entries / 4 for stage in range(FrameMeans.CODEBOOKS)])
        means = ((codes - entries // 2 + 0.5) * scale[None, :, None]).sum(1, keepdim=True)
        return torch.nn.functional.conv_transpose1d(means, torch.ones(1, 1, FrameMeans.HOP), stride=FrameMeans.HOP)


class _MuLawEncoder(nn.Module):
    def forward(self, wav: Tensor) -> Tensor:
        wav = wav.clamp(-1, 1)
        companded = wav.sign() * torch.log1p(255 * wav.abs()) / math.log(256)
        codes = ((companded + 1) / 2 * (MuLaw.LEVELS - 1)).round().long()
        return codes.reshape(codes.shape[0], -1, MuLaw.HOP).transpose(1, 2)


class _MuLawDecoder(nn.Module):
    def forward(self, codes: Tensor) -> Tensor:
        companded = codes.transpose(1, 2).flatten(1) / (MuLaw.LEVELS - 1) * 2 - 1
        return (companded.sign() * torch.expm1(companded.abs() * math.log(256)) / 255)[:, None]


def write_torchscript(codec: HalvedCodec, path: Path) -> Path:
    """Write an archive with ``encode``, ``decode`` and ``forward``, traced."""
    wav = torch.zeros(1, 1, 8 * codec.hop)
    inputs = {"encode": wav, "decode": codec.encode(wav), "forward": wav}
    torch.jit.trace_module(codec, inputs).save(str(path))
    return path


def write_exported(module: nn.Module, path: Path, example: Tensor, **dynamic: Any) -> Path:
    """Write a program of ``torch.export``; ``dynamic`` gives the axes of the one input that are not fixed."""
    shapes = ({int(axis.removeprefix("axis")): dim for axis, dim in dynamic.items()},)
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), path)
    return path


def write_exported_halves(codec: HalvedCodec, folder: Path) -> tuple[Path, Path]:
    """Write ``encoder.pt2`` and ``decoder.pt2``, of any number of frames from two on."""
    frames = torch.export.Dim("frames", min=2, max=2**20)
    wav = torch.zeros(1, 1, 8 * codec.hop)
    encoder, decoder = folder / "encoder.pt2", folder / "decoder.pt2"
    write_exported(codec.encoder, encoder, wav, axis2=codec.hop * frames)
    write_exported(codec.decoder, decoder, codec.encode(wav), axis2=frames)
    return encoder, decoder
