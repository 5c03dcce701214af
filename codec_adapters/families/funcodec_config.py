"""FunCodec's ``config.yaml``: the keys that shape the network, with upstream's defaults.

Keys of training are ignored. A value whose network is not built here (none was released) is an error, and so is an
unknown key in the sections of encoder and decoder.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveFloat, model_validator
from torch import nn

from codec_adapters.files.config import ConfigModel, PositiveInt
from codec_adapters.layers.conv import Padding
from codec_adapters.layers.norm import SignalNorm
from codec_adapters.layers.seanet_settings import SeanetSettings

_DOMAINS = {"encodec": ("time",), "freq_codec": ("mag_phase", "mag_angle")}
"""Domains that each model type can code."""


def _for_both_sides(domain: Any) -> Any:
    """Return a single domain as that of encoder and decoder."""
    return [domain, domain] if isinstance(domain, str) else domain


def _as_list(ratio: Any) -> Any:
    """Return a single stride as a list of one."""
    return [ratio] if isinstance(ratio, int) else ratio


LayerCount = Annotated[int, Field(ge=0, le=64)]
"""Number of layers. It is limited, because layers are built before the weights can show that it is wrong."""

Ratio = Annotated[list[PositiveInt], BeforeValidator(_as_list), Field(min_length=1, max_length=2)]
"""Stride of a level: (time) or (frequency, time)."""

OutPadding = Annotated[list[int], Field(min_length=2, max_length=2)]
"""(left, right) of one axis."""


class NormParams(ConfigModel, extra="forbid"):
    """Key ``norm_params``: arguments of the GroupNorm."""

    num_groups: PositiveInt = 1
    eps: PositiveFloat = 1e-5
    affine: bool = True

    def layer(self, channels: int) -> nn.Module:
        """Return the norm over ``channels`` channels."""
        return SignalNorm(self.num_groups, channels, self.eps, self.affine)


class EluParams(ConfigModel, extra="forbid"):
    """Key ``activation_params``: arguments of the ELU."""

    alpha: float = 1.0


class SeanetConfig(ConfigModel, extra="forbid"):
    """Section ``encoder_conf`` or ``decoder_conf``; :class:`FuncodecConfig` adds sizes that other sections state."""

    channels: PositiveInt
    """Channels of the waveform or spectrogram."""
    dimension: PositiveInt
    """Channels of the latent."""
    ratios: Annotated[list[Ratio], Field(min_length=1)]
    """One per level, in the decoder's order."""
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
    """Share of a causal transposed convolution's overhang that is cut on the right."""
    seq_model: str | None = "lstm"
    """``lstm``; any other word means none, as in upstream. Upstream's ``transformer`` is not built here."""
    seq_layer_num: Annotated[LayerCount, Field(ge=1)] = 2
    res_seq: bool = True
    conv_group_ratio: int = -1
    """Convolutions except the first and last have ``channels // 2 // ratio`` groups; -1 means one group."""
    tr_conv_group_ratio: int = -1
    """The same for transposed convolutions."""
    last_out_padding: Annotated[list[OutPadding], Field(min_length=2, max_length=2)] = [[0, 1], [0, 0]]  # noqa: RUF012
    """(left, right) per axis: steps that the last transposed convolution, if it has two axes, keeps of its overhang."""
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
    def settings(self) -> SeanetSettings:
        """Settings of the network that this section describes."""
        alpha, norm = self.activation_params.alpha, self.norm_params
        return SeanetSettings(
            filters=self.n_filters,
            dimension=self.dimension,
            ratios=tuple(tuple(ratio) for ratio in self.ratios),
            channels=self.channels,
            kernel_size=self.kernel_size,
            last_kernel_size=self.last_kernel_size,
            residual_kernel_size=self.residual_kernel_size,
            residual_layers=self.n_residual_layers,
            dilation_base=self.dilation_base,
            compress=self.compress,
            conv_shortcut=not self.true_skip,
            lstm_layers=self.seq_layer_num if self.seq_model == "lstm" else 0,
            lstm_skip=self.res_seq,
            activation=lambda channels: nn.ELU(alpha, inplace=True),
            norm=norm.layer if self.norm == "time_group_norm" else None,
            padding=Padding(self.pad_mode, self.causal, self.trim_right_ratio),
            group_ratio=self.conv_group_ratio,
            transposed_group_ratio=self.tr_conv_group_ratio,
            last_overhang_kept=tuple((left, right) for left, right in self.last_out_padding),
        )


class QuantizerConfig(ConfigModel):
    """Section ``quantizer_conf``."""

    codebook_size: Annotated[int, Field(ge=2)] = 1024
    num_quantizers: PositiveInt = 8
    sampling_rate: PositiveInt = 24000
    encoder_hop_length: PositiveInt = 320
    codec_dim: PositiveInt | None = None
    """Channels of the codewords; ``None`` means those of the latent, without a projection."""
    codec_range: float | None = None
    """Limit of the latent: tanh maps it into [-codec_range, codec_range]. ``None`` means no limit."""
    q0_ds_ratio: Literal[1] = 1


class DomainConfig(ConfigModel):
    """Section ``model_conf.domain_conf``: sizes of the spectrogram, in samples."""

    n_fft: Annotated[int, Field(ge=1, le=2**16)] = 512
    hop_length: PositiveInt = 160


class ModelConfig(ConfigModel):
    """Section ``model_conf``."""

    target_sample_hz: PositiveInt = 24000
    audio_normalize: bool
    segment_dur: None
    """Coding in segments is not built here. Without this key, upstream codes in segments of one second."""
    codec_domain: Annotated[list[str], BeforeValidator(_for_both_sides), Field(min_length=2, max_length=2)]
    """Domains of encoder and decoder."""
    domain_conf: DomainConfig = DomainConfig()
    bypass_quantizer: Literal[False] = False


class FuncodecConfig(ConfigModel):
    """The document ``config.yaml``."""

    model: Literal["encodec", "freq_codec"] = "encodec"
    input_size: PositiveInt
    encoder_conf: SeanetConfig
    quantizer: Literal["costume_quantizer"] = "costume_quantizer"
    quantizer_conf: QuantizerConfig = QuantizerConfig()
    decoder_conf: SeanetConfig
    model_conf: ModelConfig

    @property
    def domain(self) -> str:
        """What the network codes: ``time`` (the waveform), or a spectrogram as ``mag_phase`` or ``mag_angle``."""
        return self.model_conf.codec_domain[0]

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Fill in defaults that depend on the model type, and sizes that one section takes from another."""
        spectral = document.get("model") == "freq_codec"
        ratios = [[4, 1], [4, 1], [4, 2], [4, 1]] if spectral else [8, 5, 4, 2]
        encoder, decoder, model = (document.get(part, {}) for part in ("encoder_conf", "decoder_conf", "model_conf"))
        if not all(isinstance(section, dict) for section in (encoder, decoder, model)):
            return document
        encoder = {"dimension": 128, "ratios": ratios, **encoder, "channels": document.get("input_size")}
        decoder = {"channels": 1, "ratios": ratios, **decoder, "dimension": encoder["dimension"]}
        model = {"audio_normalize": not spectral, "segment_dur": 1.0, "codec_domain": "time", **model}
        return {**document, "encoder_conf": encoder, "decoder_conf": decoder, "model_conf": model}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        encoded, decoded = self.model_conf.codec_domain
        if encoded != decoded or encoded not in _DOMAINS[self.model]:
            known = ", ".join(_DOMAINS[self.model])
            raise ValueError(f"model_conf.codec_domain {encoded}, {decoded} is not supported for {self.model}: {known}")
        return self
