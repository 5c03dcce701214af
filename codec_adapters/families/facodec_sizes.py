"""FACodec's sizes, read off the shapes in its files: there is no configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from codec_adapters.errors import CheckpointError


@dataclass(frozen=True)
class Shapes:
    """The tensor shapes in a checkpoint file."""

    state: Mapping[str, Tensor]
    path: Path

    def of(self, name: str, axes: int) -> list[int]:
        """The shape of ``name``; :class:`CheckpointError` where it is not there with so many axes."""
        if name not in self.state or self.state[name].ndim != axes:
            found = list(self.state[name].shape) if name in self.state else "nothing"
            raise CheckpointError(f"{self.path}: does not fit, expected {name} with {axes} axes, found {found}")
        return list(self.state[name].shape)

    def count(self, pattern: str) -> int:
        """How many different numbers stand at the group of ``pattern``."""
        return len({match[1] for name in self.state if (match := re.match(pattern, name))})


@dataclass(frozen=True)
class StackSizes:
    """Encoder or decoder: convolution, levels of residual units and a strided convolution, convolution."""

    inputs: int
    filters: int
    """Channels behind the first convolution; levels double them, or halve them in the decoder."""
    outputs: int
    kernel: int
    last_kernel: int
    strides: tuple[int, ...]
    units: int
    """Residual units per level, of dilations 1, 3, 9, ..."""
    unit_kernel: int
    taps: int
    """Length of the activations' filters."""

    @classmethod
    def of_file(cls, shapes: Shapes, name: str, first_unit: int) -> StackSizes:
        """Of the stack under ``name``, whose residual units begin at index ``first_unit`` of each level."""
        levels = shapes.count(rf"{name}\.(\d+)\.block\.")
        units = shapes.count(rf"{name}\.1\.block\.(\d+)\.block\.1\.")
        strided = 1 if first_unit else units + 1
        filters, inputs, kernel = shapes.of(f"{name}.0.weight", 3)
        outputs, _, last_kernel = shapes.of(f"{name}.{levels + 2}.weight", 3)
        return cls(
            inputs=inputs,
            filters=filters,
            outputs=outputs,
            kernel=kernel,
            last_kernel=last_kernel,
            strides=tuple(shapes.of(f"{name}.{i + 1}.block.{strided}.weight", 3)[2] // 2 for i in range(levels)),
            units=units,
            unit_kernel=shapes.of(f"{name}.1.block.{first_unit}.block.1.weight", 3)[2],
            taps=shapes.of(f"{name}.{levels + 1}.upsample.filter", 3)[2],
        )
