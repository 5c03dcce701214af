"""FACodec's networks: convolutional encoder and decoder, factorized quantizers, timbre and prosody transformers.

The layers have the names of the checkpoint files. All sizes are read from the shapes in the (folded) state dicts,
except the number of attention heads, which no shape shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, layer_norm, normalize, pad

from codec_adapters.errors import InputError
from codec_adapters.families.facodec_config import Shapes, StackSizes
from codec_adapters.layers.alias_free import AliasFreeSnake
from codec_adapters.layers.quantization import nearest

_HEADS = 4
"""Attention heads of every transformer layer."""


class ResidualUnit(nn.Module):
    """Residual unit: activation, dilated convolution, activation and pointwise convolution, plus the input."""

    def __init__(self, channels: int, sizes: StackSizes, dilation: int) -> None:
        super().__init__()
        padding = (sizes.unit_kernel - 1) * dilation // 2
        self.block = nn.Sequential(
            AliasFreeSnake(channels, sizes.taps),
            nn.Conv1d(channels, channels, sizes.unit_kernel, dilation=dilation, padding=padding),
            AliasFreeSnake(channels, sizes.taps),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        return self.block(hidden).add_(hidden)


class Level(nn.Module):
    """The layers of one resolution of encoder or decoder."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*layers)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.block(hidden)


def encoder_stack(sizes: StackSizes) -> nn.Sequential:
    """Return the encoder's stack, padded with zeros: ``[batch, 1, samples]`` to latent ``[batch, width, frames]``."""
    width = sizes.filters
    layers: list[nn.Module] = [nn.Conv1d(sizes.inputs, width, sizes.kernel, padding=sizes.kernel // 2)]
    for stride in sizes.strides:
        units = [ResidualUnit(width, sizes, 3**unit) for unit in range(sizes.units)]
        down = nn.Conv1d(width, 2 * width, 2 * stride, stride, padding=_padding(stride))
        layers.append(Level(*units, AliasFreeSnake(width, sizes.taps), down))
        width *= 2
    layers.append(AliasFreeSnake(width, sizes.taps))
    layers.append(nn.Conv1d(width, sizes.outputs, sizes.last_kernel, padding=sizes.last_kernel // 2))
    return nn.Sequential(*layers)


def decoder_stack(sizes: StackSizes) -> nn.Sequential:
    """Return the decoder's stack: ``[batch, width, frames]`` to ``[batch, 1, frames * hop]`` within [-1, 1]."""
    width = sizes.filters
    layers: list[nn.Module] = [nn.Conv1d(sizes.inputs, width, sizes.kernel, padding=sizes.kernel // 2)]
    for stride in sizes.strides:
        up = nn.ConvTranspose1d(width, width // 2, 2 * stride, stride, _padding(stride), stride % 2)
        units = [ResidualUnit(width // 2, sizes, 3**unit) for unit in range(sizes.units)]
        layers.append(Level(AliasFreeSnake(width, sizes.taps), up, *units))
        width //= 2
    layers.append(AliasFreeSnake(width, sizes.taps))
    layers.append(nn.Conv1d(width, sizes.outputs, sizes.last_kernel, padding=sizes.last_kernel // 2))
    return nn.Sequential(*layers, nn.Tanh())


def _padding(stride: int) -> int:
    """Return the zeros to pad at each end of a resampling convolution."""
    return stride // 2 + stride % 2


class FactorizedStage(nn.Module):
    """Quantizer stage that projects to few channels, takes the codeword nearest in angle, and projects back."""

    def __init__(self, width: int, entries: int, dim: int) -> None:
        super().__init__()
        self.in_proj = nn.Linear(width, dim) if width != dim else nn.Identity()
        self.out_proj = nn.Linear(dim, width) if width != dim else nn.Identity()
        self._codebook = nn.Embedding(entries, dim)

    def encode(self, vectors: Tensor) -> Tensor:
        """Return the indices, int64 ``[batch, frames]``, of vectors ``[batch, frames, width]``."""
        return nearest(normalize(self.in_proj(vectors), dim=-1), normalize(self._codebook.weight, dim=-1))

    def decode(self, indices: Tensor) -> Tensor:
        """Return the vectors ``[batch, frames, width]`` of indices ``[batch, frames]``."""
        return self.out_proj(embedding(indices, self._codebook.weight))


class FactorizedQuantizer(nn.Module):
    """Residual quantizer of factorized stages; its sizes are those of the tensors under ``name``."""

    def __init__(self, shapes: Shapes, name: str, width: int) -> None:
        super().__init__()
        stages = shapes.count(rf"{re.escape(name)}\.layers\.(\d+)\.")
        sizes = [shapes.of(f"{name}.layers.{stage}._codebook.weight", 2) for stage in range(stages)]
        self.entries = [entries for entries, _ in sizes]
        self.layers = nn.ModuleList(FactorizedStage(width, entries, dim) for entries, dim in sizes)

    @property
    def stages(self) -> Sequence[FactorizedStage]:
        """Stages, coarse to fine."""
        return cast(Sequence[FactorizedStage], self.layers)

    def encode(self, vectors: Tensor) -> Tensor:
        """Return the int64 codes ``[batch, stages, frames]`` of vectors ``[batch, frames, width]``."""
        codes = []
        for stage in self.stages:
            codes.append(stage.encode(vectors))
            vectors = vectors - stage.decode(codes[-1])
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum over stages, ``[batch, frames, width]``, of codes ``[batch, stages, frames]``."""
        parts = [stage.decode(indices) for stage, indices in zip(self.stages, codes.unbind(dim=1), strict=True)]
        return torch.stack(parts).sum(dim=0)


class FeedForward(nn.Module):
    """Feed-forward part of a transformer layer: convolution over time, ReLU, linear; ``[batch, frames, width]``."""

    def __init__(self, width: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.ffn_1 = nn.Conv1d(width, inner, kernel, padding=kernel // 2)
        self.ffn_2 = nn.Linear(inner, width)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.ffn_2(self.ffn_1(hidden.transpose(1, 2)).transpose(1, 2).relu())


class TransformerLayer(nn.Module):
    """Transformer layer with norms before self-attention and feed-forward; ``[batch, frames, width]``."""

    def __init__(self, width: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.ln_2 = nn.LayerNorm(width)
        self.self_attn = nn.MultiheadAttention(width, _HEADS, batch_first=True)
        self.ffn = FeedForward(width, inner, kernel)

    def forward(self, hidden: Tensor) -> Tensor:
        normed = self.ln_1(hidden)
        hidden = hidden + self.self_attn(normed, normed, normed, need_weights=False)[0]
        return hidden + self.ffn(self.ln_2(hidden))


class PositionTable(nn.Module):
    """Table of sinusoidal positions; buffer ``pe`` ``[rows, 1, width]``."""

    pe: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("pe", torch.zeros(rows, 1, width))


class Transformer(nn.Module):
    """Transformer over all frames of an utterance; ``[batch, frames, width]`` in and out.

    Upstream indexes its table of positions by the item's place in the batch, not by time: a single utterance gets row 0
    added to each of its frames. Here every item gets row 0, so that items do not depend on the batch. With
    ``time_positions``, frame t gets row t. The table was made for that, but no released weights were trained with it.

    Raises:
        ValueError: the width cannot be divided by the number of attention heads.
    """

    def __init__(self, shapes: Shapes, name: str, time_positions: bool) -> None:
        super().__init__()
        self.time_positions = time_positions
        rows, _, width = shapes.of(f"{name}.position_emb.pe", 3)
        inner, _, kernel = shapes.of(f"{name}.layers.0.ffn.ffn_1.weight", 3)
        if width % _HEADS:
            raise ValueError(f"{name}: {width} channels cannot be split among {_HEADS} heads")
        layers = shapes.count(rf"{name}\.layers\.(\d+)\.")
        self.position_emb = PositionTable(rows, width)
        self.layers = nn.ModuleList(TransformerLayer(width, inner, kernel) for _ in range(layers))
        self.last_ln = nn.LayerNorm(width)

    def forward(self, hidden: Tensor) -> Tensor:
        table, frames = self.position_emb.pe, hidden.shape[1]
        if self.time_positions and frames > len(table):
            raise InputError(f"{frames} frames are more than the {len(table)} positions of the checkpoint's table")
        hidden = hidden + (table[:frames, 0] if self.time_positions else table[0])
        for layer in self.layers:
            hidden = layer(hidden)
        return self.last_ln(hidden)


class MelSpectrogram(nn.Module):
    """Mel spectrogram with logarithmic magnitudes, one frame per ``hop`` samples."""

    mel_basis: Tensor
    hann_window: Tensor

    def __init__(self, shapes: Shapes, name: str, hop: int) -> None:
        super().__init__()
        self.hop = hop
        self.register_buffer("mel_basis", torch.zeros(shapes.of(f"{name}.mel_basis", 2)))
        self.register_buffer("hann_window", torch.zeros(shapes.of(f"{name}.hann_window", 1)))
        self.n_fft = 2 * (self.mel_basis.shape[1] - 1)
        self.margin = (self.n_fft - hop) // 2  # samples mirrored at each end; a waveform must be longer

    def forward(self, wav: Tensor, bands: int) -> Tensor:
        """Return the lowest ``bands`` bands of ``wav`` ``[batch, samples]``: ``[batch, bands, samples // hop]``."""
        wav = pad(wav[:, None], (self.margin, self.margin), mode="reflect")[:, 0]
        window = self.hann_window
        spectrum = torch.stft(wav, self.n_fft, self.hop, len(window), window, center=False, return_complex=True)
        magnitude = torch.view_as_real(spectrum).square().sum(dim=-1).add_(1e-9).sqrt_()
        return (self.mel_basis[:bands] @ magnitude).clamp_(min=1e-5).log_()


class FacodecEncoder(nn.Module):
    """All that the encoder file holds: waveform ``[batch, samples]`` to latent ``[batch, frames, width]``."""

    def __init__(self, shapes: Shapes, prosody_from_mel: bool) -> None:
        super().__init__()
        sizes = StackSizes.of_file(shapes, "block", first_unit=0)
        self.strides, self.hop = sizes.strides, math.prod(sizes.strides)
        self.block: nn.Module = encoder_stack(sizes)
        self.mel_transform = MelSpectrogram(shapes, "mel_transform", self.hop) if prosody_from_mel else None

    def forward(self, wav: Tensor) -> Tensor:
        return self.block(wav[:, None]).transpose(1, 2)

    def frames(self, samples: int) -> int:
        """Return the number of frames of the latent of ``samples`` samples."""
        for stride in self.strides:
            samples = (samples + 2 * _padding(stride) - 2 * stride) // stride + 1
        return samples


class FacodecDecoder(nn.Module):
    """All that the decoder file holds, quantizers and speaker encoder included, except the heads that training uses."""

    def __init__(self, shapes: Shapes, prosody_from_mel: bool, time_positions: bool) -> None:
        super().__init__()
        sizes = StackSizes.of_file(shapes, "model", first_unit=2)
        self.hop, self.width = math.prod(sizes.strides), sizes.inputs
        width = self.width
        count = shapes.count(r"quantizer\.(\d+)\.")
        self.quantizer = nn.ModuleList(FactorizedQuantizer(shapes, f"quantizer.{i}", width) for i in range(count))
        self.entries = [entries for group in self.groups for entries in group.entries]
        self.timbre_encoder = Transformer(shapes, "timbre_encoder", time_positions)
        self.timbre_linear = nn.Linear(width, 2 * width)
        self.model: nn.Module = decoder_stack(sizes)
        self.bands = 0  # mel bands that prosody is coded from; 0 where it is coded from the latent
        if prosody_from_mel:
            self.bands = shapes.of("melspec_linear.weight", 2)[1]
            self.melspec_linear = nn.Linear(self.bands, width)
            self.melspec_encoder = Transformer(shapes, "melspec_encoder", time_positions)

    @property
    def groups(self) -> Sequence[FactorizedQuantizer]:
        """Quantizers of prosody, content and residual."""
        return cast(Sequence[FactorizedQuantizer], self.quantizer)

    def speaker(self, latent: Tensor) -> Tensor:
        """Return the speaker vector ``[batch, width]`` of a latent ``[batch, frames, width]``."""
        return self.timbre_encoder(latent).mean(dim=1)

    def encode(self, latent: Tensor, mel: Tensor | None) -> Tensor:
        """Return codes ``[batch, stages, frames]`` of a latent ``[batch, frames, width]``: prosody, content, residual.

        Prosody is coded from ``mel`` ``[batch, bands, frames]``, or from the latent if ``mel`` is ``None``.
        """
        prosody = latent if mel is None else self.melspec_encoder(self.melspec_linear(mel.transpose(1, 2)))
        first, second, *others = self.groups
        codes = [first.encode(prosody), second.encode(latent)]
        rest = latent - (first.decode(codes[0]) + second.decode(codes[1]))
        return torch.cat(codes + [group.encode(rest) for group in others], dim=1)

    def embed(self, codes: Tensor) -> Tensor:
        """Return the sum ``[batch, frames, width]`` of all vectors that codes ``[batch, stages, frames]`` stand for."""
        parts = codes.split([len(group.entries) for group in self.groups], dim=1)
        return torch.stack([group.decode(own) for group, own in zip(self.groups, parts, strict=True)]).sum(dim=0)

    def forward(self, embedded: Tensor, speaker: Tensor) -> Tensor:
        """Decode vectors ``[batch, frames, width]``, in the voice of ``speaker``, to ``[batch, frames * hop]``."""
        gain, offset = self.timbre_linear(speaker)[:, None].chunk(2, dim=2)
        voiced = torch.addcmul(offset, layer_norm(embedded, embedded.shape[-1:]), gain)
        return self.model(voiced.transpose(1, 2))[:, 0]
