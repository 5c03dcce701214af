"""What a SEANet (:mod:`codec_adapters.layers.seanet`) is built from, and how to read it off a checkpoint's tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from codec_adapters.errors import CheckpointError
from codec_adapters.layers.activation import Activation, elu
from codec_adapters.layers.conv import Norm, PaddedConv, Padding, Sizes


@dataclass(frozen=True)
class SeanetSettings:
    """All that a SEANet is built from."""

    filters: int
    """Channels of the outermost stage; each stage doubles them."""
    dimension: int
    """Channels of the latent."""
    ratios: tuple[Sizes, ...]
    """Stride of each stage, ``(time,)`` or ``(frequency, time)``, in the decoder's order; the encoder has them from the
    end."""
    channels: int = 1
    """Of the waveform, or planes of the spectrogram."""
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    residual_layers: int = 1
    """Residual units per stage; the j-th has dilation ``dilation_base ** j`` over time."""
    dilation_base: int = 2
    compress: int = 2
    """Channels inside a residual unit are fewer by this factor."""
    conv_shortcut: bool = True
    """Residual units add a 1x1 convolution of their input, not the input itself."""
    lstm_layers: int = 2
    lstm_skip: bool = True
    """The LSTM's input is added to its output."""
    bidirectional: bool = False
    """The encoder's LSTM runs both ways and doubles the channels; the decoder's never does."""
    activation: Activation = elu
    norm: Norm | None = None
    padding: Padding = field(default_factory=Padding)
    group_ratio: int = -1
    """Convolutions between first and last have ``channels // 2 // group_ratio`` groups; -1: one group."""
    transposed_group_ratio: int = -1
    last_overhang_kept: tuple[tuple[int, int], ...] = ((0, 1), (0, 0))
    """(left, right) per axis: what the last transposed convolution of two axes keeps of what it would cut."""

    @property
    def axes(self) -> int:
        """1: time; 2: frequency and time."""
        return len(self.ratios[0])

    @property
    def hop(self) -> int:
        """Steps of time per frame of the latent."""
        return math.prod(ratio[-1] for ratio in self.ratios)

    @property
    def width(self) -> int:
        """Channels of the innermost stage."""
        return self.filters << len(self.ratios)

    def groups(self, channels: int, transposed: bool = False) -> int:
        """Groups of a convolution between first and last."""
        ratio = self.transposed_group_ratio if transposed else self.group_ratio
        return channels // 2 // ratio if ratio > 0 else 1

    def conv(
        self, inputs: int, outputs: int, kernel: Sizes, stride: Sizes | None = None, groups: int = 1
    ) -> PaddedConv:
        """A convolution as all of them are here."""
        return PaddedConv(inputs, outputs, kernel, stride, groups=groups, padding=self.padding, norm=self.norm)


def settings_of_encoder(state: Mapping[str, Tensor], prefix: str, path: Path) -> SeanetSettings:
    """The settings of the one-axis encoder of tensors (weight norm folded) ``<prefix>model.0.conv.conv.weight`` etc.

    All sizes but the dilations can be read off the shapes: a strided convolution's kernel is twice its stride. What no
    shape shows stays at its default.

    Raises:
        CheckpointError: the state, from ``path``, holds no such encoder.
    """
    convolutions = _shapes(state, prefix, r"conv\.conv\.weight")
    branches = _shapes(state, prefix, r"block\.1\.conv\.conv\.weight")
    gates = _shapes(state, prefix, r"lstm\.weight_ih_l\d+(?:_reverse)?")
    if len(convolutions) < 3 or any(len(shape) != 3 or 0 in shape for shape in [*convolutions, *branches]):
        raise CheckpointError(f"{path}: does not fit, lacks a SEANet encoder {prefix}model")
    first, *strided, last = convolutions
    hidden, channels, kernel = branches[-1] if branches else (1, 2, 3)
    reverse = any(key.startswith(prefix) and key.endswith(".lstm.weight_ih_l0_reverse") for key in state)
    return SeanetSettings(
        filters=first[0],
        dimension=last[0],
        ratios=tuple((max(shape[2] // 2, 1),) for shape in reversed(strided)),
        kernel_size=first[2],
        last_kernel_size=last[2],
        residual_kernel_size=kernel,
        residual_layers=len(branches) // len(strided),
        compress=max(channels // hidden, 1),
        conv_shortcut=any(key.startswith(prefix) and ".shortcut." in key for key in state),
        lstm_layers=len(gates) // (2 if reverse else 1),
        bidirectional=reverse,
    )


def _shapes(state: Mapping[str, Tensor], prefix: str, suffix: str) -> list[list[int]]:
    """Shapes of the tensors ``<prefix>model.<index>.<suffix>``, by index."""
    pattern = re.compile(rf"{re.escape(prefix)}model\.(\d+)\.{suffix}")
    matches = [match for match in map(pattern.fullmatch, state) if match]
    return [list(state[match.string].shape) for match in sorted(matches, key=lambda match: int(match[1]))]
