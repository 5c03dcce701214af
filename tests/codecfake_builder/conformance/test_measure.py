"""Measurements of codecs whose properties are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import codec_adapters
from codecfake_builder.conformance import measure
from codecfake_builder.conformance.measure import fit_length_rule
from codecfake_builder.conformance.speech import bundled_speech
from tests.codecfake_builder.conformance.planted import MuLaw, WithoutCodes, adapter_of

RATE = 16000
SPEECH = bundled_speech(RATE, 3, 1.3)


class Shifted:
    """Its input, so many samples later, at another level, in noise; has no more than every codec has."""

    sample_rate = RATE

    def __init__(self, lag: int, gain: float = 1.0, noise: float = 0.0) -> None:
        self.lag, self.gain, self.noise = lag, gain, noise

    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        late = torch.nn.functional.pad(wav, (self.lag, -self.lag))
        noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(len(wav[0])))
        return self.gain * late + self.noise * wav.std() * noise


@pytest.mark.parametrize("lag", [-37, -1, 0, 1, 228, 1599])
@pytest.mark.parametrize(("gain", "noise"), [(1.0, 0.0), (-0.5, 0.0), (0.7, 1.0)])
def test_a_delay_is_measured_to_the_sample(lag: int, gain: float, noise: float) -> None:
    found = measure.measure_delay(Shifted(lag, gain, noise), SPEECH)
    assert (found.samples, found.tolerance) == (lag, 0)
    assert f"{lag} samples (correlation" in str(found)


def test_no_delay_is_guessed_where_the_waveform_is_lost() -> None:
    found = measure.measure_delay(Shifted(0, 0.0, 1.0), SPEECH)
    assert found.tolerance is None
    assert "cannot be measured" in str(found)


def test_half_a_sample_is_measured_to_one() -> None:
    class Between(Shifted):
        def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
            out = super().resynthesize(wav, seeds)
            return (out + torch.nn.functional.pad(out, (1, -1))) / 2

    found = measure.measure_delay(Between(10), SPEECH)
    assert found.samples in (10, 11)
    assert found.tolerance in (0, 1)


def test_gain_in_decibel() -> None:
    outputs = [0.5 * wave for wave in SPEECH]
    assert measure.measure_gain(SPEECH, outputs) == pytest.approx(-6.02, abs=0.01)
    assert measure.measure_gain(SPEECH, [0 * wave for wave in SPEECH]) == -np.inf


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda n: n, "output as long as the input"),
        (lambda n: n - 8, "output as long as the input -8"),
        (lambda n: -(-n // 320) * 320, "output is the input up to whole 320 samples"),
        (lambda n: n // 600 * 600, "output is the input down to whole 600 samples"),
        (lambda n: -(-n // 256) * 256 + 5, "output is the input up to whole 256 samples +5"),
        (lambda n: n + n % 3, "output +0 to +2 samples against the input, by no simple rule"),
    ],
)
def test_length_rules(rule: object, words: str) -> None:
    lengths = [8000 + more for more in measure.LENGTHS]
    assert str(fit_length_rule(tuple((n, rule(n)) for n in lengths))) == words  # type: ignore[operator]


def test_a_length_rule_is_measured() -> None:
    assert measure.measure_length_rule(adapter_of(MuLaw), SPEECH).rounding == "none"


def test_rates_from_codes() -> None:
    found = measure.measure_codes(adapter_of(MuLaw), SPEECH)
    assert found == measure.MeasuredCodes(hop=320, frame_rate=50, codebooks=320, bitrate=128000)
    assert measure.measure_codes(adapter_of(WithoutCodes), SPEECH) is None


def test_the_finest_of_several_scales_counts(tiny: dict[str, Path]) -> None:
    adapter = codec_adapters.load("snac_24khz", checkpoint=tiny["snac_24khz"])
    found = measure.measure_codes(adapter, bundled_speech(24000, 1))
    assert found is not None
    assert (found.hop, found.codebooks) == (512, 3)


class Chunked(Shifted):
    """Levels each chunk of a second by itself."""

    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        return torch.cat([part / (1 + part.square().mean()) for part in wav.split(RATE, dim=1)], dim=1)


class LooksAhead(Shifted):
    """By ``lag`` samples."""

    def resynthesize(self, wav: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        return 0.5 * (wav + torch.nn.functional.pad(wav, (-self.lag, self.lag), value=0.1))


def test_how_far_appended_silence_reaches() -> None:
    assert measure.measure_tail_reach(Shifted(0), SPEECH) == 0
    assert measure.measure_tail_reach(Shifted(100), SPEECH, delay=100) == 0
    near = measure.measure_tail_reach(LooksAhead(4000), SPEECH)
    assert near == 0.25
    assert measure.is_tail_local(near)
    assert not measure.is_tail_local(measure.measure_tail_reach(Chunked(0), SPEECH))


def test_bundled_speech_is_bilingual_and_at_any_rate() -> None:
    for rate in (8000, 24000, 44100):
        clips = bundled_speech(rate, 4)
        assert all(2.0 < len(clip) / rate < 4.0 and clip.dtype == np.float32 for clip in clips)
