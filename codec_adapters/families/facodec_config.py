"""The sizes of FACodec's networks, read from the tensor shapes in its files: there is no configuration file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from codec_adapters.errors import CheckpointError


@dataclass(frozen=True)
class Shapes:
    """The tensors of a checkpoint file, and what their shapes tell."""

    state: Mapping[str, Tensor]
    path: Path
    """The checkpoint file, for messages."""

    def of(self, name: str, axes: int) -> list[int]:
        """Return the shape of tensor ``name``.

        Raises:
            CheckpointError: there is no such tensor with ``axes`` axes.
        """
        if name not in self.state or self.state[name].ndim != axes:
            found = list(self.state[name].shape) if name in self.state else "nothing"
            raise CheckpointError(f"{self.path}: does not fit, expected {name} with {axes} axes, found {found}")
        return list(self.state[name].shape)

    def count(self, pattern: str) -> int:
        """Return how many different values the group of ``pattern`` has among the names that it matches."""
        return len({match[1] for name in self.state if (match := re.match(pattern, name))})


@dataclass(frozen=True)
class StackSizes:
    """Sizes of the encoder's or the decoder's stack of convolutions.

    A stack is a convolution, levels of residual units with a strided convolution, and a last convolution.
    """

    inputs: int
    filters: int
    """Channels after the first convolution. Each level doubles them in the encoder and halves them in the decoder."""
    outputs: int
    kernel: int
    last_kernel: int
    strides: tuple[int, ...]
    units: int
    """Residual units per level, of dilations 1, 3, 9, ..."""
    unit_kernel: int
    taps: int
    """Length of the anti-aliasing filters in the activations."""

    @classmethod
    def of_file(cls, shapes: Shapes, name: str, first_unit: int) -> StackSizes:
        """Read the sizes of the stack ``name``.

        Args:
            first_unit: index of the first residual unit in each level: 0 in the encoder, 2 in the decoder.

        Raises:
            CheckpointError: a tensor of the stack is missing.
        """
        levels = shapes.count(rf"{name}\.(\d+)\.block\.")
        units = shapes.count(rf"{name}\.1\.block\.(\d+)\.block\.1\.")
        strided = 1 if first_unit else units + 1  # index of the strided convolution in each level
        filters, inputs, kernel = shapes.of(f"{name}.0.weight", 3)
        outputs, _, last_kernel = shapes.of(f"{name}.{levels + 2}.weight", 3)
        strides = [shapes.of(f"{name}.{level + 1}.block.{strided}.weight", 3)[2] // 2 for level in range(levels)]
        return cls(
            inputs=inputs,
            filters=filters,
            outputs=outputs,
            kernel=kernel,
            last_kernel=last_kernel,
            strides=tuple(strides),
            units=units,
            unit_kernel=shapes.of(f"{name}.1.block.{first_unit}.block.1.weight", 3)[2],
            taps=shapes.of(f"{name}.{levels + 1}.upsample.filter", 3)[2],
        )
