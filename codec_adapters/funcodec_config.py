"""FunCodec's ``config.yaml``: the keys that shape the network, with upstream's defaults, checked.

The training keys around them are ignored. A value whose network is not built here (none was released) is an error, as
is any unknown key in the sections of encoder and decoder.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from codec_adapters.checkpoint import ConfigModel
from codec_adapters.layers.seanet_config import SeanetConfig

_DOMAINS = {"encodec": ("time",), "freq_codec": ("mag_phase", "mag_angle")}


def _twice(domain: Any) -> Any:
    return [domain, domain] if isinstance(domain, str) else domain


class QuantizerConfig(ConfigModel):
    """``quantizer_conf``."""

    codebook_size: Annotated[int, Field(ge=2)] = 1024
    num_quantizers: PositiveInt = 8
    sampling_rate: PositiveInt = 24000
    encoder_hop_length: PositiveInt = 320
    codec_dim: PositiveInt | None = None
    """Channels that are quantized, where a projection makes them other than the latent's."""
    codec_range: float | None = None
    """Latents are brought into plus and minus this by tanh."""
    q0_ds_ratio: Literal[1] = 1


class DomainConfig(ConfigModel):
    """``model_conf.domain_conf``: the spectrogram."""

    n_fft: Annotated[int, Field(ge=1, le=2**16)] = 512
    hop_length: PositiveInt = 160


class ModelConfig(ConfigModel):
    """``model_conf``."""

    target_sample_hz: PositiveInt = 24000
    audio_normalize: bool
    segment_dur: None
    """Coding in segments is not built here; where the key is absent, upstream means segments of one second."""
    codec_domain: Annotated[list[str], BeforeValidator(_twice), Field(min_length=2, max_length=2)]
    """Of encoder and decoder."""
    domain_conf: DomainConfig = DomainConfig()
    bypass_quantizer: Literal[False] = False


class FuncodecConfig(ConfigModel):
    """``config.yaml``."""

    model: Literal["encodec", "freq_codec"] = "encodec"
    input_size: PositiveInt
    encoder_conf: SeanetConfig
    quantizer: Literal["costume_quantizer"] = "costume_quantizer"
    quantizer_conf: QuantizerConfig = QuantizerConfig()
    decoder_conf: SeanetConfig
    model_conf: ModelConfig

    @property
    def domain(self) -> str:
        """``time``, or how a spectrogram is coded: ``mag_phase`` or ``mag_angle``."""
        return self.model_conf.codec_domain[0]

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Defaults that differ between networks, and sizes that one section takes from another."""
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
