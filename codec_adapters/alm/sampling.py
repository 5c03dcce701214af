"""Sampling of token ids with temperature, top-k and top-p, from one generator per prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from codec_adapters.errors import OptionError


@dataclass(frozen=True)
class Sampler:
    """Sampler of ids from logits; temperature 0 takes the likeliest id."""

    temperature: float
    top_k: int = 0
    """Draw only from the k likeliest ids; 0 means all."""
    top_p: float = 1.0
    """Draw only from the likeliest ids that together have this probability; 1 means all."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            OptionError: a setting is out of its range; the message names both.
        """
        if self.temperature < 0:
            raise OptionError(f"temperature must be 0 or above, got {self.temperature:g}")
        if self.top_k < 0:
            raise OptionError(f"top_k must be 0 (all) or above, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise OptionError(f"top_p must be above 0 and at most 1, got {self.top_p:g}")

    def draw(self, logits: Tensor, generators: Sequence[Generator]) -> Tensor:
        """Draw one id per row.

        This is the Gumbel-max method: the largest of logits plus noise. The noise comes from one CPU generator per row,
        so that draws do not depend on the device, nor rows on each other.

        Args:
            logits: float ``[batch, ids]``; minus infinity excludes an id.
            generators: one per row, on the CPU.

        Returns:
            int64 ``[batch]``.
        """
        scores = logits.float()
        if self.temperature == 0 or self.top_k == 1:
            return scores.argmax(dim=-1)
        scores = self._kept(scores / self.temperature)
        uniform = torch.stack([torch.rand(scores.shape[-1], generator=g, dtype=torch.float64) for g in generators])
        gumbel = -torch.log(-torch.log(uniform.clamp_min(torch.finfo(torch.float64).tiny)))
        return (scores + gumbel.float().to(scores.device)).argmax(dim=-1)

    def _kept(self, scores: Tensor) -> Tensor:
        """Return ``scores`` with minus infinity for all ids that top-k and top-p leave out."""
        if 0 < self.top_k < scores.shape[-1]:
            least = scores.topk(self.top_k, dim=-1).values[:, -1:]
            scores = scores.masked_fill(scores < least, -torch.inf)
        if self.top_p < 1:
            ranked, order = scores.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
            beyond = ranked.cumsum(dim=-1) - ranked >= self.top_p  # the likeliest id always stays
            scores = scores.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), -torch.inf)
        return scores


def penalised(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make the ids in ``seen`` less likely: the repetition penalty of CTRL (Keskar et al., arXiv 1909.05858).

    Args:
        logits: float ``[1, ids]``.
        seen: int64 ``[n]``, the ids of the prompt and of what was generated so far.
        penalty: 1 changes nothing; the larger, the less likely.

    Returns:
        New logits ``[1, ids]``.
    """
    scores = logits.clone()
    chosen = scores[:, seen]
    scores[:, seen] = torch.where(chosen < 0, chosen * penalty, chosen / penalty)
    return scores
