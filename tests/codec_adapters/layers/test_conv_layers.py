"""Padded convolutions, SEANet and Fourier transforms, each against a plain statement of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from codec_adapters.errors import CheckpointError
from codec_adapters.layers.activation import Activation, Snake, elu
from codec_adapters.layers.conv import PaddedConv, Padding, SteadyConv1d, TrimmedConvTranspose, pad_reflect
from codec_adapters.layers.norm import SignalNorm
from codec_adapters.layers.seanet import SeanetDecoder, SeanetEncoder
from codec_adapters.layers.seanet_settings import SeanetSettings, settings_of_encoder
from codec_adapters.layers.spectrum import MagnitudeAngle, MagnitudePhase
from codec_adapters.layers.vocos import Istft

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture
def inference() -> Iterator[None]:
    """Layers work in place, which autograd would not take."""
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.mark.parametrize(("left", "right"), [(0, 0), (3, 3), (1, 0), (0, 4), (5, 2)])
def test_reflection_is_torchs(left: int, right: int) -> None:
    signal = torch.randn(2, 3, 6)
    assert torch.equal(pad_reflect(signal, 2, left, right), pad(signal, (left, right), mode="reflect"))
    image = torch.randn(2, 3, 7, 6)
    both = pad_reflect(pad_reflect(image, 2, left, right), 3, right, left)
    assert torch.equal(both, pad(image, (right, left, left, right), mode="reflect"))


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_a_short_signal_is_reflected_beyond_zeros(samples: int) -> None:
    signal = torch.randn(1, 1, samples)
    longer = pad(pad(signal, (0, 4 - samples)), (3, 3), mode="reflect")
    assert torch.equal(pad_reflect(signal, 2, 3, 3), longer[..., : samples + 6])


@pytest.mark.parametrize("stride", [1, 2, 3, 8])
@pytest.mark.parametrize("samples", [1, 5, 16, 33])
def test_strided_there_and_back(stride: int, samples: int) -> None:
    frames = PaddedConv(2, 3, (2 * stride,), (stride,))(torch.randn(4, 2, samples))
    assert frames.shape == (4, 3, -(-samples // stride))
    assert TrimmedConvTranspose(3, 2, (stride,))(frames).shape == (4, 2, frames.shape[-1] * stride)


def test_the_odd_sample_is_on_the_left() -> None:
    """With all-ones kernels, which window a frame covers can be read off a ramp."""
    layer = PaddedConv(1, 1, (6,), (3,))
    layer.load_state_dict({"conv.conv.weight": torch.ones(1, 1, 6), "conv.conv.bias": torch.zeros(1)})
    ramp = torch.arange(9.0)[None, None]
    first, second, _ = layer(ramp)[0, 0].tolist()
    assert (first, second) == (2 + 1 + 0 + 1 + 2 + 3, 1 + 2 + 3 + 4 + 5 + 6)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(7, 1, 1), (3, 1, 4), (10, 5, 1), (4, 2, 3), (1, 1, 1)])
def test_small_items_are_convolved_alike_at_any_batch_size(kernel: int, stride: int, dilation: int) -> None:
    layer, batch = SteadyConv1d(8, 12, kernel, stride, dilation=dilation), torch.randn(17, 8, 41)
    together = layer(batch)
    plain = torch.nn.functional.conv1d(batch, layer.weight, layer.bias, stride, dilation=dilation)
    assert torch.allclose(together, plain, atol=1e-5)
    assert all(torch.equal(layer(batch[:size])[-1], together[size - 1]) for size in (1, 2, 16))


def _norm(channels: int) -> nn.Module:
    return SignalNorm(1, channels)


def test_norm_follows_each_convolution() -> None:
    encoder = SeanetEncoder(SeanetSettings(2, 4, ((2,),), norm=_norm))
    names = {name for name in encoder.state_dict() if name.startswith("model.0.")}
    assert names == {f"model.0.conv.{part}" for part in ("conv.weight", "conv.bias", "norm.weight", "norm.bias")}


SETTINGS = SeanetSettings(
    filters=4,
    dimension=6,
    ratios=((3,), (2,)),
    kernel_size=5,
    last_kernel_size=3,
    residual_kernel_size=5,
    residual_layers=2,
    compress=4,
    lstm_layers=1,
)


@pytest.mark.parametrize("activation", [elu, Snake])
@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, lstm_layers=2, bidirectional=True),
        replace(SETTINGS, lstm_layers=0),
        replace(SETTINGS, conv_shortcut=False),
        replace(SETTINGS, residual_layers=0, residual_kernel_size=3, compress=2, conv_shortcut=False),
    ],
)
def test_settings_can_be_read_off_an_encoder(settings: SeanetSettings, activation: Activation) -> None:
    built = replace(settings, activation=activation)
    encoder, decoder = SeanetEncoder(built), SeanetDecoder(built)
    state = {f"a.encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    assert settings_of_encoder(state, "a.encoder.", Path("x.pt")) == settings
    latent = encoder(torch.randn(2, 1, 50))
    assert latent.shape == (2, 6, 9)
    assert decoder(latent).shape == (2, 1, 9 * settings.hop)
    with pytest.raises(CheckpointError, match=r"x\.pt: does not fit, lacks a SEANet encoder encoder\.model"):
        settings_of_encoder(state, "encoder.", Path("x.pt"))


def test_layers_leave_a_callers_tensors_alone() -> None:
    wav, encoder, decoder = torch.randn(2, 1, 50), SeanetEncoder(SETTINGS), SeanetDecoder(SETTINGS)
    before = wav.clone()
    latent = encoder(wav)
    assert torch.equal(wav, before)
    kept = latent.clone()
    decoder(latent)
    assert torch.equal(latent, kept)


def _first_change(network: torch.nn.Module, signal: Tensor, at: int) -> int:
    """The first step of the output that differs where the input does from step ``at`` on."""
    other = signal.clone()
    other[..., at:] += 1
    changed = (network(signal.clone()) - network(other)).abs().flatten(0, -2).amax(dim=0) > 1e-6
    return int(changed.nonzero()[0])


def test_causal_networks_do_not_look_ahead() -> None:
    settings = SeanetSettings(4, 6, ((5,), (3,)), padding=Padding("constant", causal=True))
    assert _first_change(SeanetEncoder(settings), torch.randn(1, 1, 150), 75) == 5
    assert _first_change(SeanetDecoder(settings), torch.randn(1, 6, 10), 5) == 75
    settings = replace(settings, padding=Padding("constant"))
    assert _first_change(SeanetEncoder(settings), torch.randn(1, 1, 150), 75) < 5


@pytest.mark.parametrize("samples", [1, 2, 14, 15, 16, 150])
def test_frames_are_rounded_up_and_come_back(samples: int) -> None:
    settings = SeanetSettings(4, 6, ((5,), (3,)), norm=_norm)
    latent = SeanetEncoder(settings)(torch.randn(2, 1, samples))
    assert latent.shape == (2, 6, -(-samples // 15))
    assert SeanetDecoder(settings)(latent).shape == (2, 1, 15 * latent.shape[2])


def test_surplus_goes_right_along_time_and_left_in_a_spectrogram() -> None:
    one, two = PaddedConv(1, 1, (4,), (2,)), PaddedConv(1, 1, (1, 4), (1, 2))
    for conv in (one, two):
        conv.get_parameter("conv.conv.bias").zero_()
        conv.get_parameter("conv.conv.weight").zero_()[..., 1] = 1
    assert one(torch.arange(1.0, 6)[None, None]).tolist() == [[[1.0, 3.0, 5.0]]]
    assert two(torch.arange(1.0, 6)[None, None, None]).tolist() == [[[[2.0, 2.0, 4.0]]]]


def test_the_norm_sees_what_the_transposed_convolution_cuts() -> None:
    layer = TrimmedConvTranspose(2, 1, (2,), norm=_norm)
    assert abs(layer(torch.randn(1, 2, 3)).mean()) > 1e-3  # only the whole has mean zero


@pytest.mark.parametrize(("n_fft", "hop"), [(16, 4), (18, 6), (20, 6), (14, 5)])
def test_istft_inverts_the_stft_of_tiled_frames(n_fft: int, hop: int) -> None:
    istft, frames = Istft(n_fft, hop), 9
    istft.window.copy_(torch.hann_window(n_fft))
    margin = (n_fft - hop) // 2
    signal = torch.randn(2, (frames - 1) * hop + n_fft - 2 * margin)
    spectrum = _stft(pad(signal, (margin, margin)), n_fft, hop)
    assert spectrum.shape == (2, frames, n_fft // 2 + 1)
    restored = istft(spectrum)
    assert restored.shape == signal.shape
    assert torch.allclose(restored, signal, atol=1e-5)


def _stft(signal: Tensor, n_fft: int, hop: int) -> Tensor:
    return torch.fft.rfft(signal.unfold(-1, n_fft, hop) * torch.hann_window(n_fft))


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
