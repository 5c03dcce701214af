"""SEANet whose convolutions are normalised over the whole signal, along time or along frequency and time.

The layout is that of SoundStream and EnCodec (Défossez et al., arXiv 2210.13438): residual units and strided
convolutions around an LSTM. FunCodec (arXiv 2309.07405) puts a GroupNorm of one group behind every convolution and has
a second form over spectrograms, where each level strides over (frequency, time) and the LSTM runs over time once
frequency has shrunk to one. Both forms are the same layers with one or two axes here, time last.

Layers carry the names of the field's checkpoints: ``model.N.conv.conv``, ``model.N.convtr.convtr``, ``.norm``,
``.block.{1,3}``, ``.shortcut``, ``.lstm``.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from codec_adapters.layers.seanet_config import SeanetConfig

Sizes = Sequence[int]
"""One number per axis: ``(time,)`` or ``(frequency, time)``."""


class PaddedConv(nn.Module):
    """Convolution whose input is padded so that the last window is full, then the norm.

    Surplus padding for the last window goes to the right of a one-axis signal and to the left of a two-axis one's time,
    as FunCodec does it; frequency gets none.
    """

    def __init__(
        self,
        config: SeanetConfig,
        inputs: int,
        outputs: int,
        kernel: Sizes,
        stride: Sizes | None = None,
        dilation: Sizes | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__()
        axes = len(kernel)
        self.kernel, self.stride, self.dilation = kernel, stride or (1,) * axes, dilation or (1,) * axes
        conv: Any = (nn.Conv1d, nn.Conv2d)[axes - 1]
        self.conv = _normed("conv", conv(inputs, outputs, kernel, self.stride, 0, self.dilation, groups), config)
        self.causal, self.pad_mode = config.causal, config.pad_mode

    def forward(self, hidden: Tensor) -> Tensor:
        return self.conv(_padded(hidden, self._paddings(hidden), self.pad_mode))

    def _paddings(self, hidden: Tensor) -> list[tuple[int, int]]:
        paddings = []
        for axis, (kernel, stride, dilation) in enumerate(zip(self.kernel, self.stride, self.dilation, strict=True)):
            total = (kernel - 1) * dilation - (stride - 1)
            is_time = axis == len(self.kernel) - 1
            surplus = -hidden.shape[-1] % stride if is_time else 0
            if self.causal and is_time:
                paddings.append((total, surplus))
                continue
            left, right = total - total // 2, total // 2
            paddings.append((left + surplus, right) if len(self.kernel) == 2 else (left, right + surplus))
        return paddings


class TrimmedConvTranspose(nn.Module):
    """Transposed convolution with a kernel of twice the stride, then the norm, then the cut to ``stride`` x the input.

    The norm sees the samples that are cut.
    """

    def __init__(
        self,
        config: SeanetConfig,
        inputs: int,
        outputs: int,
        stride: Sizes,
        groups: int = 1,
        out_padding: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__()
        conv: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d)[len(stride) - 1]
        kernel = [2 * s for s in stride]
        self.convtr = _normed("convtr", conv(inputs, outputs, kernel, stride, groups=groups), config)
        self.trims = []
        for axis, total in enumerate(stride):
            causal = config.causal and axis == len(stride) - 1
            right = math.ceil(total * config.trim_right_ratio) if causal else total // 2
            keep_left, keep_right = out_padding[axis] if out_padding else (0, 0)
            self.trims.append((max(total - right - keep_left, 0), max(right - keep_right, 0)))

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.convtr(hidden)
        for axis, (left, right) in enumerate(self.trims, start=2):
            hidden = hidden.narrow(axis, left, hidden.shape[axis] - left - right)
        return hidden.contiguous()  # one copy here spares one in each of the layers that follow


class ResidualUnit(nn.Module):
    """Two convolutions, the second of kernel 1, added to the input or to a pointwise convolution of it.

    Works in place on its input where it does not keep it.
    """

    def __init__(self, config: SeanetConfig, channels: int, layer: int) -> None:
        super().__init__()
        hidden = channels // config.compress
        ones = (1,) * config.axes
        dilation = (*ones[:-1], config.dilation_base**layer)
        groups = _groups(hidden, config.conv_group_ratio)
        self.block = nn.Sequential(
            nn.ELU(config.activation_params.alpha, inplace=not config.true_skip),
            PaddedConv(
                config, channels, hidden, (config.residual_kernel_size,) * config.axes, dilation=dilation, groups=groups
            ),
            nn.ELU(config.activation_params.alpha, inplace=True),
            PaddedConv(config, hidden, channels, ones, groups=groups),
        )
        self.shortcut: nn.Module = nn.Identity()
        if not config.true_skip:
            self.shortcut = PaddedConv(
                config, channels, channels, ones, groups=_groups(channels, config.conv_group_ratio)
            )

    def forward(self, hidden: Tensor) -> Tensor:
        skipped = self.shortcut(hidden)
        return self.block(hidden).add_(skipped)


class SequenceModel(nn.Module):
    """LSTM over time of ``[batch, channels, frames]``, always in float32: few machines have another on the CPU."""

    def __init__(self, channels: int, layers: int, skip: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, layers)
        self.skip = skip

    def forward(self, hidden: Tensor) -> Tensor:
        steps = hidden.permute(2, 0, 1).float()
        output, _ = self.lstm(steps)
        if self.skip:
            output = output + steps
        return output.permute(1, 2, 0).to(hidden.dtype)


class Squeeze(nn.Module):
    """Drops the frequency axis, which must have shrunk to one."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden.squeeze(2)


class Unsqueeze(nn.Module):
    """Adds a frequency axis of one."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden.unsqueeze(2)


class SeanetEncoder(nn.Module):
    """``[batch, channels, (frequency,) time]`` to latent ``[batch, dimension, frames]``."""

    def __init__(self, config: SeanetConfig) -> None:
        super().__init__()
        width = config.n_filters
        layers: list[nn.Module] = [PaddedConv(config, config.channels, width, (config.kernel_size,) * config.axes)]
        for stride in reversed(config.ratios):
            layers += [ResidualUnit(config, width, layer) for layer in range(config.n_residual_layers)]
            layers.append(nn.ELU(config.activation_params.alpha, inplace=True))
            kernel, groups = [2 * s for s in stride], _groups(width, config.conv_group_ratio)
            layers.append(PaddedConv(config, width, 2 * width, kernel, stride, groups=groups))
            width *= 2
        layers += [Squeeze()] * (config.axes - 1)
        layers += _sequence_model(config)
        layers.append(nn.ELU(config.activation_params.alpha, inplace=True))
        layers.append(PaddedConv(config, width, config.dimension, (config.last_kernel_size,)))
        self.model = nn.Sequential(*layers)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.model(hidden)


class SeanetDecoder(nn.Module):
    """Latent ``[batch, dimension, frames]`` to ``[batch, channels, (frequency,) time]``, untrimmed."""

    def __init__(self, config: SeanetConfig) -> None:
        super().__init__()
        width = config.widest
        layers: list[nn.Module] = [PaddedConv(config, config.dimension, width, (config.kernel_size,))]
        layers += _sequence_model(config)
        layers += [Unsqueeze()] * (config.axes - 1)
        for level, stride in enumerate(config.ratios, start=1):
            is_last_of_two_axes = config.axes == 2 and level == len(config.ratios)
            out_padding = config.last_out_padding if is_last_of_two_axes else ()
            groups = _groups(width, config.tr_conv_group_ratio)
            layers.append(nn.ELU(config.activation_params.alpha, inplace=True))
            layers.append(TrimmedConvTranspose(config, width, width // 2, stride, groups, out_padding))
            width //= 2
            layers += [ResidualUnit(config, width, layer) for layer in range(config.n_residual_layers)]
        layers.append(nn.ELU(config.activation_params.alpha, inplace=True))
        layers.append(PaddedConv(config, width, config.channels, (config.last_kernel_size,) * config.axes))
        self.model = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        return self.model(latent)


class SignalNorm(nn.GroupNorm):
    """GroupNorm that takes a single sample too (torch's own module refuses one value per channel)."""

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.group_norm(hidden, self.num_groups, self.weight, self.bias, self.eps)


def _normed(name: str, conv: Any, config: SeanetConfig) -> nn.Sequential:
    """The convolution under ``name`` and, where there is one, its norm under ``norm``."""
    parts = OrderedDict({name: conv})
    if config.norm == "time_group_norm":
        params = config.norm_params
        parts["norm"] = SignalNorm(params.num_groups, conv.out_channels, params.eps, params.affine)
    return nn.Sequential(parts)


def _groups(channels: int, ratio: int) -> int:
    return channels // 2 // ratio if ratio > 0 else 1


def _sequence_model(config: SeanetConfig) -> list[nn.Module]:
    if config.seq_model != "lstm":
        return []
    return [SequenceModel(config.widest, config.seq_layer_num, config.res_seq)]


def _padded(hidden: Tensor, paddings: Sequence[tuple[int, int]], mode: str) -> Tensor:
    """``hidden`` padded along its last axes; to reflect a signal no longer than the padding, zeros are appended first
    and cut off again."""
    if not any(left or right for left, right in paddings):
        return hidden
    flat = [amount for axis in reversed(paddings) for amount in axis]  # torch counts axes from the last one
    if mode != "reflect":
        return pad(hidden, flat, mode)
    sizes = hidden.shape[-len(paddings) :]
    short = [max(max(axis) - size + 1, 0) for axis, size in zip(paddings, sizes, strict=True)]
    if any(short):
        hidden = pad(hidden, [amount for missing in reversed(short) for amount in (0, missing)])
    hidden = pad(hidden, flat, mode)
    for axis, missing in enumerate(short, start=2):
        hidden = hidden.narrow(axis, 0, hidden.shape[axis] - missing)
    return hidden
