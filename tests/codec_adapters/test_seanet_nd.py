"""What FunCodec's parts promise where no golden looks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from codec_adapters.layers.seanet_config import SeanetConfig
from codec_adapters.layers.seanet_nd import PaddedConv, SeanetDecoder, SeanetEncoder, TrimmedConvTranspose
from codec_adapters.layers.spectrum import MagnitudeAngle, MagnitudePhase


def _config(**changes: object) -> SeanetConfig:
    sizes = {"channels": 1, "dimension": 6, "ratios": [5, 3], "n_filters": 4, "norm": "none", **changes}
    return SeanetConfig.model_validate(sizes)


@torch.inference_mode()
def _first_change(network: torch.nn.Module, signal: Tensor, at: int) -> int:
    """The first step of the output that differs where the input does from step ``at`` on."""
    other = signal.clone()
    other[..., at:] += 1
    changed = (network(signal.clone()) - network(other)).abs().flatten(0, -2).amax(dim=0) > 1e-6
    return int(changed.nonzero()[0])


def test_causal_networks_do_not_look_ahead() -> None:
    torch.manual_seed(0)
    config = _config(causal=True, pad_mode="constant")
    assert _first_change(SeanetEncoder(config), torch.randn(1, 1, 150), 75) == 5
    assert _first_change(SeanetDecoder(config), torch.randn(1, 6, 10), 5) == 75
    assert _first_change(SeanetEncoder(_config(pad_mode="constant")), torch.randn(1, 1, 150), 75) < 5


@pytest.mark.parametrize("samples", [1, 2, 14, 15, 16, 150])
def test_frames_are_rounded_up_and_come_back(samples: int) -> None:
    config = _config(norm="time_group_norm")
    with torch.inference_mode():
        latent = SeanetEncoder(config)(torch.randn(2, 1, samples))
        assert latent.shape == (2, 6, -(-samples // 15))
        assert SeanetDecoder(config)(latent).shape == (2, 1, 15 * latent.shape[2])


def test_padding_reflects_and_short_signals_get_zeros() -> None:
    conv = PaddedConv(_config(), 1, 1, [5])
    weight = conv.get_parameter("conv.conv.weight")
    with torch.inference_mode():
        conv.get_parameter("conv.conv.bias").zero_()
        weight.zero_()[..., 0] = 1  # picks the sample two steps earlier
        assert conv(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])).tolist() == [[[3.0, 2.0, 1.0, 2.0]]]
        assert conv(torch.tensor([[[1.0, 2.0]]])).tolist() == [[[0.0, 2.0]]]


def test_surplus_goes_right_along_time_and_left_in_a_spectrogram() -> None:
    one = PaddedConv(_config(), 1, 1, [4], [2])
    two = PaddedConv(_config(ratios=[[1, 2]], last_out_padding=[[0, 0], [0, 0]]), 1, 1, [1, 4], [1, 2])
    with torch.inference_mode():
        for conv in (one, two):
            conv.get_parameter("conv.conv.bias").zero_()
            conv.get_parameter("conv.conv.weight").zero_()[..., 1] = 1
        assert one(torch.arange(1.0, 6)[None, None]).tolist() == [[[1.0, 3.0, 5.0]]]
        assert two(torch.arange(1.0, 6)[None, None, None]).tolist() == [[[[2.0, 2.0, 4.0]]]]


def test_the_norm_sees_what_the_transposed_convolution_cuts() -> None:
    torch.manual_seed(0)
    layer = TrimmedConvTranspose(_config(norm="time_group_norm"), 2, 1, [2])
    with torch.inference_mode():
        assert abs(layer(torch.randn(1, 2, 3)).mean()) > 1e-3  # only the whole has mean zero


@pytest.mark.parametrize("domain", [MagnitudePhase(64, 16), MagnitudeAngle(64, 16)])
def test_spectrogram_returns_the_waveform(domain: MagnitudePhase | MagnitudeAngle) -> None:
    wav = torch.randn(2, 160, generator=torch.Generator().manual_seed(0))
    image = domain.analyse(wav)
    assert image.shape == (2, *domain.shape(11))
    image[:, 0] = image[:, 0].exp().expm1().log()  # softplus undone
    if isinstance(domain, MagnitudeAngle):
        image[:, 1] = (image[:, 1] / torch.pi).clamp(-1, 1).asin()
    assert torch.allclose(domain.synthesise(image), wav, atol=1e-4)
    assert domain.analyse(torch.zeros(1, 64)).isfinite().all()
