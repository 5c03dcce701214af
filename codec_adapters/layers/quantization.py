"""Vector quantization at inference: nearest-codeword search and residual stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from codec_adapters.errors import InputError


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


class GroupedResidualVectorQuantizer(nn.Module):
    """Group-residual vector quantizer: each of the equal channel groups has a residual quantizer of its own.

    Source: Yang et al., "HiFi-Codec", arXiv 2305.02765. Codes are ordered by stage, then group: code
    ``stage * groups + group``. Buffers ``groups.<group>.embed``: ``[stages, entries, dim / groups]``.
    """

    def __init__(self, groups: int, stages: int, entries: int, dim: int) -> None:
        super().__init__()
        self.stages = stages
        self.groups = nn.ModuleList(ResidualVectorQuantizer(stages, entries, dim // groups) for _ in range(groups))

    def encode(self, latent: Tensor) -> Tensor:
        """Latent ``[batch, dim, frames]`` to int64 codes ``[batch, stages * groups, frames]``."""
        parts = latent.chunk(len(self.groups), dim=1)
        codes = [group.encode(part) for group, part in zip(self._quantizers, parts, strict=True)]
        return torch.stack(codes, dim=2).flatten(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[batch, stages * groups, frames]`` to the quantized latent, ``[batch, dim, frames]``."""
        per_group = codes.unflatten(1, (self.stages, len(self.groups))).unbind(dim=2)
        return torch.cat([group.decode(own) for group, own in zip(self._quantizers, per_group, strict=True)], dim=1)

    @property
    def _quantizers(self) -> list[ResidualVectorQuantizer]:
        return cast(list[ResidualVectorQuantizer], list(self.groups))


def single_codes(codes: Sequence[Tensor], codebooks: int, entries: int) -> Tensor:
    """The one tensor of a codec with one scale, checked before it reaches a codebook lookup.

    Args:
        codes: one int64 tensor ``[batch, codebooks, frames]``.

    Raises:
        InputError: more than one tensor, another number of codebooks, no frames, or a code outside ``[0, entries)``.
    """
    if len(codes) != 1 or codes[0].shape[1] != codebooks or 0 in codes[0].shape:
        found = ", ".join(str(list(tensor.shape)) for tensor in codes)
        raise InputError(f"codes must be one tensor [batch, {codebooks}, frames], not empty; got {found}")
    low, high = codes[0].aminmax()
    if low < 0 or high >= entries:
        raise InputError(f"codes must lie in [0, {entries}); got {int(low)} to {int(high)}")
    return codes[0]
