"""Residual vector quantization in training: k-means to begin with, moving averages after, straight-through gradients.

Source of the recipe: van den Oord et al., arXiv 1711.00937 (appendix A.1, moving averages), and Zeghidour et al.,
arXiv 2107.03312 (k-means initialisation, codewords out of use replaced).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, embedding

from codec_adapters.layers.quantization import nearest

DECAY = 0.97
SELDOM = 0.05
"""A codeword that fewer vectors per batch than this choose is replaced."""


@dataclass(frozen=True)
class Chain:
    """Residual stages over ``dim`` coordinates; a stage of stride s quantizes the mean of s frames."""

    dim: int
    entries: int
    strides: tuple[int, ...]


class VectorQuantizer(nn.Module):
    """Chains side by side: each has its own coordinates of ``[batch, dim, frames]``."""

    def __init__(self, chains: tuple[Chain, ...]) -> None:
        super().__init__()
        self.chains = chains
        for number, chain in enumerate(chains):
            stages = len(chain.strides)
            self.register_buffer(f"words_{number}", torch.zeros(stages, chain.entries, chain.dim))
            self.register_buffer(f"count_{number}", torch.ones(stages, chain.entries))
            self.register_buffer(f"rms_{number}", torch.ones(stages))

    @property
    def dim(self) -> int:
        return sum(chain.dim for chain in self.chains)

    def codebooks(self, chain: int) -> Tensor:
        """``[stages, entries, dim]``."""
        words: Tensor = getattr(self, f"words_{chain}")
        return words.detach().clone()

    def rms(self, chain: int) -> Tensor:
        """Typical length of the vectors that reach each stage, ``[stages]``."""
        rms: Tensor = getattr(self, f"rms_{chain}")
        return rms.clone()

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Quantized vectors, with straight-through gradient, and the commitment loss, relative to the variance."""
        with torch.no_grad():
            quantized = torch.cat(
                [
                    self._chain(number, part)
                    for number, part in enumerate(vectors.detach().split([chain.dim for chain in self.chains], dim=1))
                ],
                dim=1,
            )
        loss = (vectors - quantized).square().mean() / vectors.detach().var().clamp(min=1e-4)
        return vectors + (quantized - vectors).detach(), loss

    @torch.no_grad()
    def initialise(self, vectors: Tensor, rounds: int = 12) -> None:
        """k-means of ``vectors`` ``[batch, dim, frames]``, stage after stage."""
        for number, part in enumerate(vectors.split([chain.dim for chain in self.chains], dim=1)):
            words, count, rms = (getattr(self, f"{name}_{number}") for name in ("words", "count", "rms"))
            residual = part
            for stage, stride in enumerate(self.chains[number].strides):
                flat = _flat(residual, stride)
                rms[stage] = flat.norm(dim=1).square().mean().sqrt()
                words[stage] = _sample(flat, len(words[stage]))
                for _ in range(rounds):
                    codes = nearest(flat, words[stage])
                    sums, counts = _sums(flat, codes, len(words[stage]))
                    seen = counts > 0
                    words[stage][seen] = sums[seen] / counts[seen, None]
                    words[stage][~seen] = _sample(flat, int((~seen).sum()))
                count[stage] = counts.clamp(min=1.0)
                residual = residual - _spread(nearest(flat, words[stage]), words[stage], residual, stride)

    def _chain(self, number: int, residual: Tensor) -> Tensor:
        words, count, rms = (getattr(self, f"{name}_{number}") for name in ("words", "count", "rms"))
        total = torch.zeros_like(residual)
        for stage, stride in enumerate(self.chains[number].strides):
            flat = _flat(residual, stride)
            codes = nearest(flat, words[stage])
            step = _spread(codes, words[stage], residual, stride)
            if self.training:
                rms[stage] += 0.05 * (flat.norm(dim=1).square().mean().sqrt() - rms[stage])
                self._update(words[stage], count[stage], flat, codes)
            total += step
            residual = residual - step
        return total

    @staticmethod
    def _update(words: Tensor, count: Tensor, flat: Tensor, codes: Tensor) -> None:
        sums, counts = _sums(flat, codes, len(words))
        merged = count * DECAY + counts * (1 - DECAY)
        words.copy_((words * (count * DECAY)[:, None] + sums * (1 - DECAY)) / merged.clamp(min=1e-6)[:, None])
        count.copy_(merged)
        seldom = count < SELDOM * min(1.0, len(flat) / len(words))
        if bool(seldom.any()):
            words[seldom] = _sample(flat, int(seldom.sum()))
            count[seldom] = 1.0


def _flat(vectors: Tensor, stride: int) -> Tensor:
    pooled = avg_pool1d(vectors, stride, stride) if stride > 1 else vectors
    return pooled.transpose(1, 2).reshape(-1, vectors.shape[1])


def _spread(codes: Tensor, words: Tensor, like: Tensor, stride: int) -> Tensor:
    chosen = embedding(codes.view(like.shape[0], -1), words).transpose(1, 2)
    return chosen.repeat_interleave(stride, dim=2) if stride > 1 else chosen


def _sums(flat: Tensor, codes: Tensor, entries: int) -> tuple[Tensor, Tensor]:
    sums = flat.new_zeros(entries, flat.shape[1]).index_add_(0, codes, flat)
    return sums, torch.bincount(codes, minlength=entries).to(flat)


def _sample(flat: Tensor, number: int) -> Tensor:
    return flat[torch.randint(len(flat), (number,))]
