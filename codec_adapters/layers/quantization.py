"""Vector quantization at inference: nearest-codeword search and residual stages."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from codec_adapters.files.checkpoint import take_stacked


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

    @property
    def stages(self) -> int:
        """How many codebooks there are."""
        return self.embed.shape[0]

    @property
    def bits(self) -> float:
        """Bits of one code."""
        return math.log2(self.embed.shape[1])

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
        """Codes ``[batch, stages, frames]`` to the sum of their codewords, ``[batch, dim, frames]``.

        Fewer stages than there are codebooks: the first ones.
        """
        first, *others = codes.unbind(dim=1)
        total = embedding(first, self.embed[0])
        for indices, codebook in zip(others, self.embed[1:], strict=False):
            total += embedding(indices, codebook)
        return total.transpose(1, 2)

    @property
    def entries(self) -> list[int]:
        """Of each codebook."""
        return [self.embed.shape[1]] * self.stages


def stack_codebooks(state: dict[str, Tensor], prefix: str, path: Path) -> Tensor:
    """Replace EnCodec's codebooks ``<prefix>vq.layers.<i>._codebook.embed`` in ``state`` by one ``<prefix>embed``.

    What only their training needs (``inited``, ``cluster_size``, ``embed_avg``) is dropped.

    Returns:
        ``[stages, entries, dim]``.

    Raises:
        CheckpointError: the state, from ``path``, has no codebooks, a gap between them, or they differ in shape.
    """
    pattern = re.compile(rf"{re.escape(prefix)}vq\.layers\.\d+\._codebook\.(embed|inited|cluster_size|embed_avg)")
    kinds = {key: match[1] for key in state if (match := pattern.fullmatch(key))}
    for key in [key for key, kind in kinds.items() if kind != "embed"]:
        del state[key]
    stages = max(list(kinds.values()).count("embed"), 1)
    keys = [f"{prefix}vq.layers.{stage}._codebook.embed" for stage in range(stages)]
    state[f"{prefix}embed"] = take_stacked(state, keys, path)
    return state[f"{prefix}embed"]


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
