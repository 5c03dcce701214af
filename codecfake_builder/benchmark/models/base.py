"""The contract of a tracing model: a fixed front end, then a network that is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_OUTPUT_LAYERS = ("fc_mu", "out_layer")
"""Names of the last layer in the published models and in ours."""


class ModelOutput(NamedTuple):
    """Output of a tracing model for a batch of clips."""

    embedding: Tensor
    """float32 ``[batch, dimensions]``; input of the open-set detectors."""
    logits: Tensor
    """float32 ``[batch, classes]``."""


class TracingModel(nn.Module, ABC):
    """A source-tracing model: waveform in, embedding and logits out.

    The front end has no trained parameters, so its output can be computed once per clip and kept.
    """

    frozen_prefix: str | None = None
    """Prefix in the state of a frozen network, whose weights checkpoints leave out."""

    depends_on_batch: bool = False
    """Whether :meth:`features` of a clip depend on the other clips of its batch."""

    @abstractmethod
    def features(self, wave: Tensor) -> Tensor:
        """Return the front end's output for float32 ``[batch, samples]`` at 16 kHz, full scale 1; without gradient."""

    @abstractmethod
    def classify(self, features: Tensor) -> ModelOutput:
        """Return embedding and logits for the output of :meth:`features`."""

    def forward(self, wave: Tensor) -> ModelOutput:
        """Return embedding and logits for float32 ``[batch, samples]`` at 16 kHz, full scale 1."""
        with torch.no_grad():
            features = self.features(wave)
        return self.classify(features)

    def to_device(self, device: torch.device) -> TracingModel:
        """Move the model to a device, in the memory layout that CPUs and tensor cores convolve fastest; return it."""
        move: Any = self.to  # torch's annotations lack the layout
        return move(device=device, memory_format=torch.channels_last)

    def output_layer(self) -> nn.Linear | None:
        """Return the linear layer between embedding and logits; ``None`` for a model without one of a known name."""
        named = [module for name, module in self.named_modules() if name.rpartition(".")[2] in _OUTPUT_LAYERS]
        return named[-1] if named and isinstance(named[-1], nn.Linear) else None

    def own_state(self) -> dict[str, Tensor]:
        """Return the state that a checkpoint holds: all but a frozen network, whose weights others publish."""
        prefix = self.frozen_prefix
        return {k: v for k, v in self.state_dict().items() if prefix is None or not k.startswith(prefix)}
