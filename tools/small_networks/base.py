"""The trainer's view of a small codec."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import codec_adapters
from tools.small_networks.quantizer import Chain, VectorQuantizer
from tools.small_networks.state_dicts import orthonormal


class SmallCodec(nn.Module, ABC):
    """A family's small network.

    ``vectors`` are what is quantized, ``[batch, dim, frames]``; where the network's latent is wider than ``dim``, the
    projection between the two is fixed and orthonormal, so that residual stages see what the trainer's quantizer saw.
    """

    variant: str
    rate: int
    """Hz."""
    hop: int
    chains: tuple[Chain, ...]
    seconds: float = 0.64
    """Length of a training segment."""

    def __init__(self) -> None:
        super().__init__()
        self.quantizer = VectorQuantizer(self.chains)

    @abstractmethod
    def vectors(self, wav: Tensor) -> Tensor:
        """``[batch, samples]`` to ``[batch, dim, frames]``."""

    @abstractmethod
    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        """Quantized vectors to ``[batch, samples]``; ``wav`` for what a codec sends beside its codes."""

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the checkpoint."""

    def restore(self, folder: Path) -> None:
        """Take the network's weights from a checkpoint that :meth:`export` wrote; codebooks are made anew.

        Raises:
            SystemExit: the family has no way back from its official format.
        """
        raise SystemExit(f"{self.variant}: cannot begin from a finished checkpoint; train it from the start")

    def levelled(self, wav: Tensor) -> Tensor:
        """The input as the codec's own front end brings it to level."""
        return wav

    @property
    def delay(self) -> int:
        """Samples by which the codec's output lags, by its specification."""
        return codec_adapters.spec(self.variant).delay_samples


class ProjectedCodec(SmallCodec):
    """A network ``model`` whose latent is wider than the vectors that are quantized.

    ``basis``: ``[dim, width]`` with orthonormal rows, not trained.
    """

    model: Any
    basis: Tensor

    def project(self, width: int, seed: int) -> None:
        """Draw the basis."""
        self.register_buffer("basis", orthonormal(self.quantizer.dim, width, seed))

    def vectors(self, wav: Tensor) -> Tensor:
        return self.basis @ self.model.encoder(wav[:, None])

    def synthesis(self, vectors: Tensor, wav: Tensor) -> Tensor:
        audio: Tensor = self.model.decoder(self.basis.t() @ vectors)
        return audio[:, 0]
