"""Vector quantization at inference: nearest-codeword search and residual stages."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Index of the codeword nearest to each vector in Euclidean distance, always in float32.

    The vector's own norm does not change which codeword is nearest, so one matrix product is the whole search. Ties go
    to the first codeword.

    Args:
        vectors: ``[..., dim]``.
        codebook: ``[entries, dim]``.

    Returns:
        int64 ``[...]``.
    """
    with torch.autocast(vectors.device.type, enabled=False):
        words = codebook.float()
        flat = vectors.float().reshape(-1, words.shape[1])
        distances = torch.addmm(words.pow(2).sum(dim=1), flat, words.t(), alpha=-2.0)
    return distances.argmin(dim=1).view(vectors.shape[:-1])


class ResidualVectorQuantizer(nn.Module):
    """Residual vector quantizer without projections: stage i quantizes what the stages before it left over.

    Buffer ``embed``: ``[stages, entries, dim]``.
    """

    embed: Tensor

    def __init__(self, stages: int, entries: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("embed", torch.zeros(stages, entries, dim))

    def encode(self, latent: Tensor, stages: int | None = None) -> Tensor:
        """Latent ``[batch, dim, frames]`` to int64 codes ``[batch, stages, frames]``; ``None`` uses all stages."""
        residual = latent.float().transpose(1, 2)
        codes = []
        for codebook in self.embed[:stages]:
            indices = nearest(residual, codebook)
            residual = residual - embedding(indices, codebook)
            codes.append(indices)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[batch, stages, frames]`` to the sum of their codewords, ``[batch, dim, frames]``."""
        words = [embedding(stage, codebook) for stage, codebook in zip(codes.unbind(dim=1), self.embed, strict=False)]
        return torch.stack(words).sum(dim=0).transpose(1, 2)
