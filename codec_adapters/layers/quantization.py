"""Vector quantization at inference: nearest-codeword search and residual stages."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from codec_adapters.errors import CheckpointError, InputError


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

    def checked(self, codes: Sequence[Tensor]) -> Tensor:
        """The one tensor ``[batch, stages, frames]`` in ``codes``, if :meth:`decode` can take it.

        Raises:
            InputError: several scales, no or too many codebooks, no frames, or an index outside of the codebooks.
        """
        entries = self.embed.shape[1]
        if len(codes) != 1 or not 1 <= codes[0].shape[1] <= self.stages or 0 in codes[0].shape:
            found = ", ".join(str(list(scale.shape)) for scale in codes)
            raise InputError(f"codes must be one tensor [batch, 1 to {self.stages} codebooks, frames], got {found}")
        lowest, highest = (int(bound) for bound in codes[0].aminmax())
        if lowest < 0 or highest >= entries:
            raise InputError(f"codes must be 0 to {entries - 1}, got {lowest} to {highest}")
        return codes[0]


def stack_codebooks(state: dict[str, Tensor], prefix: str, path: Path) -> Tensor:
    """Replace EnCodec's codebooks ``<prefix>vq.layers.<i>._codebook.embed`` in ``state`` by one ``<prefix>embed``.

    What only their training needs (``inited``, ``cluster_size``, ``embed_avg``) is dropped.

    Returns:
        ``[stages, entries, dim]``.

    Raises:
        CheckpointError: the state, from ``path``, has no codebooks, a gap between them, or they differ in shape.
    """
    pattern = re.compile(rf"{re.escape(prefix)}vq\.layers\.(\d+)\._codebook\.(embed|inited|cluster_size|embed_avg)")
    found = {key: match for key in state if (match := pattern.fullmatch(key))}
    tensors = {(match[2], int(match[1])): state.pop(key) for key, match in found.items()}
    books = [tensors[kind, stage] for kind, stage in sorted(tensors) if kind == "embed"]
    whole = all(("embed", stage) in tensors for stage in range(len(books)))
    if not whole or len({book.shape for book in books}) != 1 or books[0].ndim != 2:
        raise CheckpointError(
            f"{path}: expected codebooks {prefix}vq.layers.0, 1, ... of one shape, found {len(books)}"
        )
    state[f"{prefix}embed"] = torch.stack(books)
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


def single_codes(codes: Sequence[Tensor], codebooks: int, entries: int, variant: str) -> Tensor:
    """The one tensor of a codec with one scale, checked before it reaches a codebook lookup.

    Args:
        codes: one int64 tensor ``[batch, codebooks, frames]``.
        variant: name of the codec variant, for messages.

    Raises:
        InputError: more than one tensor, another number of codebooks, no frames, or a code outside ``[0, entries)``.
    """
    if len(codes) != 1 or codes[0].shape[1] != codebooks or 0 in codes[0].shape:
        found = ", ".join(str(list(tensor.shape)) for tensor in codes)
        raise InputError(f"{variant}: codes must be one tensor [batch, {codebooks}, frames], not empty; got {found}")
    low, high = codes[0].aminmax()
    if low < 0 or high >= entries:
        raise InputError(f"{variant}: codes must lie in [0, {entries}); got {int(low)} to {int(high)}")
    return codes[0]
