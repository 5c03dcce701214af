"""What every tracing model does: a fixed front end, and a network that is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Traced(NamedTuple):
    """A model's output."""

    embedding: Tensor
    """float32 ``[batch, dimensions]``; what the open-set detectors look at."""
    logits: Tensor
    """float32 ``[batch, classes]``."""


class TracingModel(nn.Module, ABC):
    """Waveform in, embedding and logits out.

    The front end has nothing to learn, so its output can be computed once per clip and kept.
    """

    frozen_prefix: str | None = None
    """Prefix of the state of a frozen network that is kept beside a checkpoint, not in it."""

    looks_at_batch: bool = False
    """Whether :meth:`features` of a clip depends on the clips around it."""

    @abstractmethod
    def features(self, wave: Tensor) -> Tensor:
        """Output of the fixed front end for float32 ``[batch, samples]`` at 16 kHz, full scale 1; without gradient."""

    @abstractmethod
    def trace(self, features: Tensor) -> Traced:
        """Embedding and logits from :meth:`features`."""

    def forward(self, wave: Tensor) -> Traced:
        """Embedding and logits of float32 ``[batch, samples]`` at 16 kHz, full scale 1."""
        with torch.no_grad():
            features = self.features(wave)
        return self.trace(features)

    def on(self, device: torch.device) -> TracingModel:
        """Moved to a device, in the layout that CPUs and tensor cores convolve fastest."""
        move: Any = self.to  # torch's annotations lack the layout
        return move(device=device, memory_format=torch.channels_last)

    def own_state(self) -> dict[str, Tensor]:
        """The state that a checkpoint holds: everything but a frozen network that others publish."""
        prefix = self.frozen_prefix
        return {k: v for k, v in self.state_dict().items() if prefix is None or not k.startswith(prefix)}
