"""The settings of a SEANet (:mod:`codec_adapters.layers.seanet`), and how to read them from a checkpoint's tensors."""

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
    """All settings of a SEANet."""

    filters: int
    """Channels of the outermost stage; each stage doubles them."""
    dimension: int
    """Channels of the latent."""
    ratios: tuple[Sizes, ...]
    """Stride of each stage, ``(time,)`` or ``(frequency, time)``, in the decoder's order; the encoder has the reverse
    order."""
    channels: int = 1
    """Channels of the waveform, or planes of the spectrogram."""
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    residual_layers: int = 1
    """Residual units per stage; unit j, from 0, has dilation ``dilation_base ** j`` over time."""
    dilation_base: int = 2
    compress: int = 2
    """Factor by which the channels inside a residual unit are fewer."""
    conv_shortcut: bool = True
    """A residual unit adds a 1x1 convolution of its input instead of the input itself."""
    lstm_layers: int = 2
    lstm_skip: bool = True
    """The LSTM's input is added to its output."""
    bidirectional: bool = False
    """The encoder's LSTM runs in both directions and doubles the channels; the decoder's always runs in one."""
    activation: Activation = elu
    norm: Norm | None = None
    padding: Padding = field(default_factory=Padding)
    group_ratio: int = -1
    """Convolutions except the first and last have ``channels // 2 // group_ratio`` groups; -1 means one group."""
    transposed_group_ratio: int = -1
    """The same for transposed convolutions."""
    last_overhang_kept: tuple[tuple[int, int], ...] = ((0, 1), (0, 0))
    """(left, right) per axis: steps that the last transposed convolution, if it has two axes, keeps of its overhang."""

    @property
    def axes(self) -> int:
        """Number of axes: 1 is time, 2 is frequency and time."""
        return len(self.ratios[0])

    @property
    def hop(self) -> int:
        """Time steps per frame of the latent."""
        return math.prod(ratio[-1] for ratio in self.ratios)

    @property
    def width(self) -> int:
        """Channels of the innermost stage."""
        return self.filters * 2 ** len(self.ratios)

    def groups(self, channels: int, transposed: bool = False) -> int:
        """Return the number of groups of a convolution that is neither the first nor the last."""
        ratio = self.transposed_group_ratio if transposed else self.group_ratio
        return channels // 2 // ratio if ratio > 0 else 1

    def conv(
        self, inputs: int, outputs: int, kernel: Sizes, stride: Sizes | None = None, groups: int = 1
    ) -> PaddedConv:
        """Return a convolution with these settings' padding and norm."""
        return PaddedConv(inputs, outputs, kernel, stride, groups=groups, padding=self.padding, norm=self.norm)


def settings_of_encoder(state: Mapping[str, Tensor], prefix: str, path: Path) -> SeanetSettings:
    """Read the settings of a one-axis encoder from the shapes of its tensors ``<prefix>model.0.conv.conv.weight`` etc.

    The shapes show all sizes except the dilations: a strided convolution's kernel is twice its stride. Settings that no
    shape shows keep their defaults.

    Args:
        state: a state dict with weight norm folded.
        path: the checkpoint file, for messages.

    Raises:
        CheckpointError: ``state`` holds no such encoder.
    """
    convolutions = _shapes(state, prefix, r"conv\.conv\.weight")
    branches = _shapes(state, prefix, r"block\.1\.conv\.conv\.weight")
    gates = _shapes(state, prefix, r"lstm\.weight_ih_l\d+(?:_reverse)?")
    if len(convolutions) < 3 or any(len(shape) != 3 or 0 in shape for shape in [*convolutions, *branches]):
        raise CheckpointError(f"{path}: does not fit, lacks a SEANet encoder {prefix}model")
    first, *strided, last = convolutions
    # without residual units their settings do not matter: these give the defaults
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
    """Return the shapes of the tensors ``<prefix>model.<index>.<suffix>``, ordered by index."""
    pattern = re.compile(rf"{re.escape(prefix)}model\.(\d+)\.{suffix}")
    matches = [match for match in map(pattern.fullmatch, state) if match]
    return [list(state[match.string].shape) for match in sorted(matches, key=lambda match: int(match[1]))]
