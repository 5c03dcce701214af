"""The configuration of :mod:`codec_adapters.layers.seanet_nd`, in the words of the field's configuration files."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from codec_adapters.checkpoint import ConfigModel


def _listed(ratio: Any) -> Any:
    return [ratio] if isinstance(ratio, int) else ratio


LayerCount = Annotated[int, Field(ge=0, le=64)]
"""Bounded, since layers are built before the weights can contradict."""

Ratio = Annotated[list[PositiveInt], BeforeValidator(_listed), Field(min_length=1, max_length=2)]
"""Stride of a level: of time alone, or of frequency and time."""

OutPadding = Annotated[list[int], Field(min_length=2, max_length=2)]


class NormParams(ConfigModel, extra="forbid"):
    """``norm_params`` of a configuration: arguments of the GroupNorm."""

    num_groups: PositiveInt = 1
    eps: PositiveFloat = 1e-5
    affine: bool = True


class EluParams(ConfigModel, extra="forbid"):
    """``activation_params`` of a configuration."""

    alpha: float = 1.0


class SeanetConfig(ConfigModel, extra="forbid"):
    """Encoder or decoder as upstream's configurations spell it; a value that is not built here is refused."""

    channels: PositiveInt
    """Channels of the waveform or spectrogram."""
    dimension: PositiveInt
    """Channels of the latent."""
    ratios: Annotated[list[Ratio], Field(min_length=1)]
    """In decoder order, one per level."""
    n_filters: PositiveInt = 32
    n_residual_layers: LayerCount = 1
    kernel_size: PositiveInt = 7
    last_kernel_size: PositiveInt = 7
    residual_kernel_size: PositiveInt = 3
    dilation_base: PositiveInt = 2
    compress: PositiveInt = 2
    true_skip: bool = False
    activation: Literal["ELU"] = "ELU"
    activation_params: EluParams = EluParams()
    norm: Literal["time_group_norm", "weight_norm", "none"] = "weight_norm"
    """``weight_norm`` is folded into the weights before they are loaded."""
    norm_params: NormParams = NormParams()
    causal: bool = False
    pad_mode: Literal["reflect", "replicate", "constant"] = "reflect"
    trim_right_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of a causal transposed convolution's surplus that is cut on the right."""
    seq_model: str | None = "lstm"
    """Any word but ``lstm`` means none, as upstream has it; its ``transformer`` is not built here."""
    seq_layer_num: Annotated[LayerCount, Field(ge=1)] = 2
    res_seq: bool = True
    conv_group_ratio: int = -1
    """Convolutions between first and last have ``channels // 2 // ratio`` groups; -1: one group."""
    tr_conv_group_ratio: int = -1
    last_out_padding: Annotated[list[OutPadding], Field(min_length=2, max_length=2)] = [[0, 1], [0, 0]]  # noqa: RUF012
    """(left, right) per axis: what the last transposed convolution of two axes keeps of what it would trim."""
    double_filters: Literal[True] = True
    half_filters: Literal[True] = True
    add_snake_activation: Literal[False] = False
    final_activation: None = None
    final_activation_params: None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.seq_model == "transformer":
            raise ValueError("seq_model transformer is not supported (no release has it)")
        if self.causal and self.norm == "time_group_norm":
            raise ValueError("causal contradicts norm time_group_norm")
        if len({len(ratio) for ratio in self.ratios}) > 1:
            raise ValueError("ratios must all have one number, or all two")
        if self.n_filters < self.compress:
            raise ValueError(f"compress {self.compress} leaves no channel of n_filters {self.n_filters}")
        return self

    @property
    def axes(self) -> int:
        """1: time; 2: frequency and time."""
        return len(self.ratios[0])

    @property
    def time_stride(self) -> int:
        """Steps of time per frame of the latent."""
        return math.prod(ratio[-1] for ratio in self.ratios)

    @property
    def widest(self) -> int:
        """Channels around the LSTM."""
        return self.n_filters * 2 ** len(self.ratios)
