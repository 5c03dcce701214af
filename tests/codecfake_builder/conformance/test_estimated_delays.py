"""Delays of vocoders, which keep the speech and not its waveform, are estimated; never is one made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from scipy.linalg import solve_toeplitz
from scipy.signal import istft, lfilter, stft
from torch import Tensor

from codec_adapters.base import Adapter
from codecfake_builder.audio import Wave
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.settings import QUICK, THOROUGH
from codecfake_builder.conformance.speech import bundled_speech
from codecfake_builder.conformance.suite import run_suite
from tests.codecfake_builder.conformance.planted import NOISE, RATE, MuLaw, adapter_of

SPEECH = bundled_speech(RATE, 4, 2.0)


def random_phase(wave: Wave, rate: int) -> Wave:
    """Keep the magnitudes of a short-time Fourier transform, with random phases."""
    size = round(0.025 * rate) // 4 * 4
    spectrum = stft(wave, rate, nperseg=size, noverlap=size * 3 // 4)[2]
    turned = np.abs(spectrum) * np.exp(2j * np.pi * np.random.default_rng(0).random(spectrum.shape))
    made = istft(turned, rate, nperseg=size, noverlap=size * 3 // 4)[1]
    return np.resize(made, len(wave)).astype(np.float32)


def linear_prediction(wave: Wave, rate: int, order: int = 10) -> Wave:
    """Keep the spectral envelope and the level of each 20 ms, with noise for the excitation."""
    size, random = round(0.02 * rate), np.random.default_rng(0)
    made = np.zeros(len(wave), np.float32)
    for start in range(0, len(wave) - size + 1, size):
        frame = wave[start : start + size].astype(np.float64)
        tapered = np.pad(frame * np.hanning(size), (0, order))
        correlation = np.array([tapered[:size] @ tapered[lag : lag + size] for lag in range(order + 1)])
        correlation[0] = correlation[0] * 1.001 + 1e-9
        whitening = np.concatenate([[1.0], -solve_toeplitz(correlation[:-1], correlation[1:])])
        level = np.sqrt((lfilter(whitening, 1, frame) ** 2).mean())
        made[start : start + size] = lfilter([1.0], whitening, level * random.standard_normal(size))
    return made


Vocoder = Callable[[Wave, int], Wave]
VOCODERS: list[Vocoder] = [random_phase, linear_prediction]


class Late:
    """A vocoder that lags by so many seconds."""

    def __init__(self, vocoder: Vocoder, delay: float, rate: int = RATE) -> None:
        self.vocoder, self.sample_rate, self.lag = vocoder, rate, round(delay * rate)

    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        made = torch.from_numpy(np.stack([self.vocoder(wave, self.sample_rate) for wave in wav.numpy()]))
        return torch.nn.functional.pad(made, (self.lag, 0))[:, : wav.shape[1]]


@pytest.mark.parametrize("vocoder", VOCODERS)
@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.04, 0.3, 0.8])
@pytest.mark.parametrize("rate", [8000, RATE, 24000])
def test_a_delay_is_estimated_to_ten_milliseconds(vocoder: Vocoder, delay: float, rate: int) -> None:
    found = measure.measure_delay(Late(vocoder, delay, rate), bundled_speech(rate, 4, 2.0))
    assert found.estimated
    assert abs(found.samples / rate - delay) <= 0.01
    assert found.tolerance == rate // 100
    assert "samples, estimated, +-10 ms" in str(found)


def test_a_long_delay_of_a_codec_that_keeps_the_waveform_is_found_to_the_sample() -> None:
    found = measure.measure_delay(Late(lambda wave, rate: 0.5 * wave, 0.3), SPEECH)
    assert (found.samples, found.tolerance, found.estimated) == (4800, 0, False)


@pytest.mark.parametrize(
    "vocoder", [lambda w, r: w[::-1].copy(), lambda w, r: NOISE[: len(w)].numpy(), lambda w, r: 0 * w]
)
def test_no_delay_is_made_up(vocoder: Vocoder) -> None:
    found = measure.measure_delay(Late(vocoder, 0.0), SPEECH)
    assert found.tolerance is None
    assert "cannot be measured" in str(found)


def late(delay: float) -> type[Adapter]:
    class LateCodec(MuLaw):
        def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
            return Late(random_phase, delay).resynthesize(super()._resynthesize(wav, seeds))

    return LateCodec


@pytest.mark.slow
@pytest.mark.parametrize("settings", [QUICK, THOROUGH])
@pytest.mark.parametrize(
    ("delay", "claimed", "verdict"),
    [(0.0, 0, "pass"), (0.04, 640, "pass"), (0.04, 0, "fail"), (0.02, 0, "fail"), (0.0, 400, "fail")],
)
def test_a_spec_is_held_to_an_estimate(settings: object, delay: float, claimed: int, verdict: str) -> None:
    results = run_suite(adapter_of(late(delay), delay_samples=claimed), settings, checks=["delay"])  # type: ignore[arg-type]
    assert results[0].verdict == verdict, results[0]
    assert "estimated, +-10 ms" in results[0].measured


def test_an_output_barely_ahead_of_its_input_passes() -> None:
    class Ahead(MuLaw):
        def _resynthesize(self, wav: Tensor, seeds: list[int]) -> Tensor:
            return torch.nn.functional.pad(super()._resynthesize(wav, seeds)[:, 2:], (0, 2))

    assert run_suite(adapter_of(Ahead), QUICK, checks=["delay"])[0].verdict == "pass"
    assert run_suite(adapter_of(Ahead, delay_samples=1), QUICK, checks=["delay"])[0].verdict == "fail"
