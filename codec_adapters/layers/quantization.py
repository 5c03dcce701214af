"""Vector quantization at inference: nearest-codeword search, residual stages, and codebooks in checkpoints."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from codec_adapters.errors import CheckpointError


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the codeword nearest to each vector in Euclidean distance, computed in float32.

    A vector's own norm does not change which codeword is nearest, so the search is one matrix product. Of equally near
    codewords, the first is taken.

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
    """Residual vector quantizer without projections: each stage quantizes the remainder of the stages before it.

    Buffer ``embed`` ``[stages, entries, dim]`` holds the codebooks.
    """

    embed: Tensor

    def __init__(self, stages: int, entries: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("embed", torch.zeros(stages, entries, dim))

    @property
    def stages(self) -> int:
        """Number of codebooks."""
        return self.embed.shape[0]

    @property
    def bits(self) -> float:
        """Bits per code."""
        return math.log2(self.embed.shape[1])

    def encode(self, latent: Tensor, stages: int | None = None) -> Tensor:
        """Quantize a latent ``[batch, dim, frames]`` to int64 codes ``[batch, stages, frames]``.

        Args:
            stages: how many codebooks to use, the first ones; ``None`` uses all.
        """
        residual = latent.float().transpose(1, 2)
        codes = []
        for codebook in self.embed[:stages]:
            indices = nearest(residual, codebook)
            residual = residual - embedding(indices, codebook)
            codes.append(indices)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum of the codewords of ``codes`` ``[batch, stages, frames]``: ``[batch, dim, frames]``.

        With fewer stages than codebooks, the codes are those of the first codebooks.
        """
        first, *others = codes.unbind(dim=1)
        total = embedding(first, self.embed[0])
        for indices, codebook in zip(others, self.embed[1:], strict=False):
            total += embedding(indices, codebook)
        return total.transpose(1, 2)

    @property
    def entries(self) -> list[int]:
        """Number of codewords of each codebook."""
        return [self.embed.shape[1]] * self.stages


def take_codebooks(state: dict[str, Tensor], keys: Sequence[str], path: Path) -> Tensor:
    """Remove the codebooks ``keys``, one per stage, from ``state`` and return them stacked in the order of ``keys``.

    Args:
        path: the checkpoint file, for messages.

    Returns:
        ``[stages, ...]``, the first axis over ``keys``.

    Raises:
        CheckpointError: a codebook is missing, or its shape differs from the first one's; the message names it.
    """
    missing = [key for key in keys if key not in state]
    if missing:
        raise CheckpointError(f"{path}: does not fit, lacks {', '.join(missing[:3])}")
    tensors = [state.pop(key) for key in keys]
    for key, tensor in zip(keys, tensors, strict=True):
        if tensor.shape != tensors[0].shape:
            wanted = f"{list(tensor.shape)} instead of {list(tensors[0].shape)}"
            raise CheckpointError(f"{path}: does not fit, has wrongly shaped {key} {wanted}")
    return torch.stack(tensors)


def stack_encodec_codebooks(state: dict[str, Tensor], prefix: str, path: Path) -> Tensor:
    """Replace EnCodec's codebooks ``<prefix>vq.layers.<i>._codebook.embed`` in ``state`` by one ``<prefix>embed``.

    Entries that only training needs (``inited``, ``cluster_size``, ``embed_avg``) are dropped.

    Args:
        path: the checkpoint file, for messages.

    Returns:
        The codebooks, ``[stages, entries, dim]``.

    Raises:
        CheckpointError: there are no codebooks, their numbers have a gap, or they differ in shape.
    """
    pattern = re.compile(rf"{re.escape(prefix)}vq\.layers\.\d+\._codebook\.(embed|inited|cluster_size|embed_avg)")
    stages = 0
    for key in list(state):
        match = pattern.fullmatch(key)
        if match and match[1] == "embed":
            stages += 1
        elif match:
            del state[key]
    # without any codebook, ask for the first one, so that the error names it
    keys = [f"{prefix}vq.layers.{stage}._codebook.embed" for stage in range(max(stages, 1))]
    codebooks = take_codebooks(state, keys, path)
    state[f"{prefix}embed"] = codebooks
    return codebooks


class GroupedResidualVectorQuantizer(nn.Module):
    """Group-residual vector quantizer: channels are split into equal groups, each with its own residual quantizer.

    Source: Yang et al., "HiFi-Codec", arXiv 2305.02765. Codes are ordered by stage, then by group: row
    ``stage * groups + group``. Buffers ``groups.<group>.embed`` are ``[stages, entries, dim / groups]``.
    """

    def __init__(self, groups: int, stages: int, entries: int, dim: int) -> None:
        super().__init__()
        self.stages = stages
        self.groups = nn.ModuleList(ResidualVectorQuantizer(stages, entries, dim // groups) for _ in range(groups))

    def encode(self, latent: Tensor) -> Tensor:
        """Quantize a latent ``[batch, dim, frames]`` to int64 codes ``[batch, stages * groups, frames]``."""
        parts = latent.chunk(len(self.groups), dim=1)
        codes = [group.encode(part) for group, part in zip(self._quantizers, parts, strict=True)]
        return torch.stack(codes, dim=2).flatten(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the quantized latent ``[batch, dim, frames]`` of codes ``[batch, stages * groups, frames]``."""
        per_group = codes.unflatten(1, (self.stages, len(self.groups))).unbind(dim=2)
        return torch.cat([group.decode(own) for group, own in zip(self._quantizers, per_group, strict=True)], dim=1)

    @property
    def _quantizers(self) -> list[ResidualVectorQuantizer]:
        return cast(list[ResidualVectorQuantizer], list(self.groups))
