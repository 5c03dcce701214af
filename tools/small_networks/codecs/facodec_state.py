"""Fresh tensors of FACodec's two files, and a running network's as the files have them."""

from __future__ import annotations

import numpy as np
import torch
from librosa.filters import mel as mel_filters
from torch import Tensor

from tools.small_networks.state_dicts import (
    TensorDict,
    weight_normed,
)


def facodec_official(state: TensorDict) -> TensorDict:
    """A running FACodec network's tensors as its files have them: weight-normed, activations unfolded."""
    official: TensorDict = {}
    for key, value in state.items():
        if key.endswith(".act.alpha"):
            value = value.clamp(min=1e-3).log()
        elif key.endswith(".act.beta"):
            value = (value.clamp(min=1e-3).reciprocal() - 1e-9).log()
        elif key.endswith(".upsample.filter"):
            taps = value.shape[-1]
            value = torch.stack([value[..., : taps // 2], value[..., taps // 2 :]], dim=-1).flatten(-2).flip(-1) / 2
        elif key.endswith(".downsample.lowpass.filter"):
            taps = value.shape[-1]
            value = torch.stack([value[..., taps // 2 :], value[..., : taps // 2]], dim=-1).flatten(-2)
        official[key] = value
    return weight_normed(official, lambda layer: layer.startswith(("block.", "model.")))


def facodec_states(width: int, filters: int, bands: int) -> tuple[TensorDict, TensorDict]:
    """Fresh tensors of encoder and decoder file, activations and weight norm folded: the shapes say all sizes."""
    encoder, decoder = _FacodecDraft(), _FacodecDraft()
    channels = filters
    encoder.conv("block.0", filters, 1, 7)
    for level, stride in enumerate((2, 4, 5, 5), start=1):
        encoder.unit(f"block.{level}.block.0", channels)
        encoder.activation(f"block.{level}.block.1", channels)
        encoder.conv(f"block.{level}.block.2", 2 * channels, channels, 2 * stride)
        channels *= 2
    encoder.activation("block.5", channels)
    encoder.conv("block.6", width, channels, 3)
    basis = mel_filters(sr=16000, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    encoder.state["mel_transform.mel_basis"] = torch.from_numpy(basis)
    encoder.state["mel_transform.hann_window"] = torch.hann_window(800)
    channels = 16 * filters
    decoder.conv("model.0", channels, width, 7)
    for level, stride in enumerate((5, 5, 4, 2), start=1):
        decoder.activation(f"model.{level}.block.0", channels)
        decoder.conv(f"model.{level}.block.1", channels, channels // 2, 2 * stride, bias=channels // 2)
        channels //= 2
        decoder.unit(f"model.{level}.block.2", channels)
    decoder.activation("model.5", channels)
    decoder.conv("model.6", 1, channels, 7)
    for group, (stages, dim) in enumerate(((1, 8), (2, 16), (3, 16))):
        for stage in range(stages):
            name = f"quantizer.{group}.layers.{stage}"
            decoder.linear(f"{name}.in_proj", dim, width)
            decoder.linear(f"{name}.out_proj", width, dim)
            decoder.state[f"{name}._codebook.weight"] = torch.randn(256, dim)
    for name in ("timbre_encoder", "melspec_encoder"):
        decoder.transformer(name, width, layers=1, inner=64, kernel=5)
    decoder.linear("timbre_linear", 2 * width, width)
    decoder.state["timbre_linear.bias"][:width] = 1.0
    decoder.linear("melspec_linear", width, bands)
    return encoder.state, decoder.state


class _FacodecDraft:
    """A state dict in the making."""

    def __init__(self) -> None:
        self.state: TensorDict = {}

    def conv(self, name: str, out: int, channels: int, kernel: int, bias: int | None = None) -> None:
        self.state[f"{name}.weight"] = torch.randn(out, channels, kernel) / (channels * kernel) ** 0.5
        self.state[f"{name}.bias"] = torch.zeros(out if bias is None else bias)

    def linear(self, name: str, out: int, channels: int) -> None:
        self.state[f"{name}.weight"] = torch.randn(out, channels) / channels**0.5
        self.state[f"{name}.bias"] = torch.zeros(out)

    def activation(self, name: str, channels: int) -> None:
        from codec_adapters.layers.alias_free import folded_activations

        taps = kaiser_lowpass(12)
        self.state.update(
            folded_activations(
                {
                    f"{name}.act.alpha": torch.zeros(channels),
                    f"{name}.act.beta": torch.zeros(channels),
                    f"{name}.upsample.filter": taps,
                    f"{name}.downsample.lowpass.filter": taps,
                }
            )
        )

    def unit(self, name: str, channels: int) -> None:
        self.activation(f"{name}.block.0", channels)
        self.conv(f"{name}.block.1", channels, channels, 7)
        self.activation(f"{name}.block.2", channels)
        self.conv(f"{name}.block.3", channels, channels, 1)
        self.state[f"{name}.block.3.weight"] *= 0.3

    def transformer(self, name: str, width: int, layers: int, inner: int, kernel: int) -> None:
        self.state[f"{name}.position_emb.pe"] = torch.zeros(1, 1, width)
        for layer in range(layers):
            place = f"{name}.layers.{layer}"
            for norm in ("ln_1", "ln_2"):
                self.state[f"{place}.{norm}.weight"], self.state[f"{place}.{norm}.bias"] = (
                    torch.ones(width),
                    torch.zeros(width),
                )
            self.state[f"{place}.self_attn.in_proj_weight"] = torch.randn(3 * width, width) / width**0.5
            self.state[f"{place}.self_attn.in_proj_bias"] = torch.zeros(3 * width)
            self.linear(f"{place}.self_attn.out_proj", width, width)
            self.conv(f"{place}.ffn.ffn_1", inner, width, kernel)
            self.linear(f"{place}.ffn.ffn_2", width, inner)
        self.state[f"{name}.last_ln.weight"] = torch.ones(width)
        self.state[f"{name}.last_ln.bias"] = torch.zeros(width)


def kaiser_lowpass(taps: int) -> Tensor:
    """A windowed-sinc lowpass at half the band, ``[1, 1, taps]``, of unit gain."""
    time = np.arange(taps) - taps / 2 + 0.5
    window = np.kaiser(taps, 4.66)
    filter_ = np.sinc(0.5 * time) * window
    return torch.from_numpy((filter_ / filter_.sum()).astype(np.float32)).view(1, 1, -1)
