"""Spell tensors as the official checkpoint files do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

TensorDict = dict[str, Tensor]


def orthonormal(rows: int, columns: int, seed: int) -> Tensor:
    """``[rows, columns]`` with orthonormal rows."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(columns, rows, generator=generator))[0].t().contiguous()


def half(state: TensorDict) -> TensorDict:
    """Floating-point tensors in half precision: the adapters load them into float32 networks."""
    return {key: value.half() if value.is_floating_point() else value for key, value in state.items()}


def weight_normed(state: TensorDict, wanted: Callable[[str], bool]) -> TensorDict:
    """Weights of the layers ``wanted`` as pairs (g, v), as training with weight norm leaves them."""
    paired: TensorDict = {}
    for key, value in state.items():
        layer = key.removesuffix(".weight")
        if layer == key or value.ndim < 2 or not wanted(layer):
            paired[key] = value
            continue
        norm = value.flatten(1).norm(dim=1).view(-1, *[1] * (value.ndim - 1))
        paired[f"{layer}.weight_g"] = norm
        paired[f"{layer}.weight_v"] = torch.where(norm > 0, value, torch.ones_like(value))
    return paired


def encodec_codebooks(books: Tensor, prefix: str) -> TensorDict:
    """Codebooks ``[stages, entries, dim]`` under EnCodec's names, less the moving averages that only training needs."""
    state: TensorDict = {}
    for stage, book in enumerate(books):
        name = f"{prefix}vq.layers.{stage}._codebook."
        state[f"{name}inited"] = torch.ones(1)
        state[f"{name}cluster_size"] = torch.ones(len(book))
        state[f"{name}embed"] = book
    return state


def angular(books: Tensor, vectors_rms: Tensor) -> Iterator[tuple[Tensor, float]]:
    """Codebooks for a search by angle that finds what a search by distance finds.

    Each codeword gets one more coordinate, a constant several times the vectors' length: of two vectors so extended,
    the angle grows with the distance. Yields (codewords ``[entries, dim + 1]``, that constant) per stage.
    """
    for book, rms in zip(books, vectors_rms, strict=True):
        constant = 4.0 * float(rms)
        yield torch.cat([book, torch.full((len(book), 1), constant)], dim=1), constant


def factorized(basis: Tensor, constant: float) -> TensorDict:
    """The projections of a factorized stage, 1x1 convolutions; the last coordinate in between is ``constant``."""
    dim, width = basis.shape
    return {
        "in_proj.weight": torch.cat([basis, basis.new_zeros(1, width)])[:, :, None],
        "in_proj.bias": torch.cat([basis.new_zeros(dim), basis.new_full((1,), constant)]),
        "out_proj.weight": torch.cat([basis.t(), basis.new_zeros(width, 1)], dim=1)[:, :, None],
        "out_proj.bias": basis.new_zeros(width),
    }


def save_transformers(model: Any, folder: Path) -> None:
    """A ``transformers`` model as ``config.json`` and half-precision ``model.safetensors``."""
    from safetensors.torch import save_file

    model.config.save_pretrained(folder)
    tied = getattr(model, "_tied_weights_keys", None) or {}  # stored once, under the name they are tied to
    state = {key: value.contiguous().clone() for key, value in half(model.state_dict()).items() if key not in tied}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def fill_codebooks(model: nn.Module, scale: float) -> None:
    """Freshly built EnCodec and Mimi have all-zero codebooks: every code would decode to the same constant."""
    generator = torch.Generator().manual_seed(7)
    for name, buffer in model.named_buffers():
        if name.endswith(("codebook.embed", "codebook.embed_sum")):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * scale)
        elif name.endswith("codebook.cluster_usage"):
            buffer.fill_(1.0)
