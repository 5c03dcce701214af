"""What a clip's comparison with its source measures: on real speech, through real codecs where they are at hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import signal

from codecfake_builder.audio import decode, resample
from codecfake_builder.audit.measuring.comparison import INCOMPARABLE, TRUSTED_CORRELATION, Comparison, compare
from tests.kit.audited import louder, noisy, speech, through

SHIFTS = (1, 2, 3, 5, 8, 10, 15, 20, 30, -4, -10, -30)
"""ms."""
KEEPING = {
    "itself": lambda wave: wave,
    "noise": noisy(-15),
    "mp3": through("MP3", "MPEG_LAYER_III"),
    "-3 dB": louder(-3),
}


def own(count: int) -> list[Any]:
    return list(speech().values())[::7][:count]


def official(shared: Path) -> dict[str, list[tuple[Any, Any]]]:
    """Sources and what official codecs made of them, by codec."""
    recorded = {
        path.name.removesuffix("_mic1.flac"): _wave(path)
        for path in (shared / "speech" / "vctk" / "wav48_silence_trimmed").rglob("*.flac")
    }
    return {
        folder.name: [(recorded[path.stem], _wave(path)) for path in sorted(folder.glob("*.flac"))]
        for folder in sorted((shared / "speech" / "official_codec_outputs").iterdir())
    }


def _wave(path: Path) -> Any:
    wave, rate = decode(path.read_bytes())
    return resample(wave, rate, 16000)


def shifted(wave: Any, milliseconds: float) -> Any:
    """The wave, later or earlier, as long as before; room is noise."""
    samples = round(16 * abs(milliseconds))
    noise = (1e-4 * np.random.default_rng(1).standard_normal(samples)).astype(np.float32)
    if milliseconds > 0:
        return np.concatenate([noise, wave[: len(wave) - samples]])
    return np.concatenate([wave[samples:], noise])


def low_passed(wave: Any, hertz: float, order: int = 10) -> Any:
    filtered = signal.sosfiltfilt(signal.butter(order, hertz / 8000, output="sos"), wave)
    return (np.rint(filtered * 32768) / 32768).astype(np.float32)


def through_8_khz(wave: Any) -> Any:
    narrow = resample(wave, 16000, 8000)
    return (np.rint(resample(narrow, 8000, 16000)[: len(wave)] * 32768) / 32768).astype(np.float32)


def vocoded(wave: Any) -> Any:
    """Noise with the short-time spectrum's magnitudes of speech: the envelopes are kept, the waveform is not."""
    _, _, spectra = signal.stft(wave, 16000, nperseg=320, noverlap=240)
    phases = np.exp(2j * np.pi * np.random.default_rng(3).random(spectra.shape))
    return signal.istft(np.abs(spectra) * phases, 16000, nperseg=320, noverlap=240)[1][: len(wave)].astype(np.float32)


def lag(found: Comparison) -> float:
    return found.waveform_lag / 16 if found.waveform_correlation >= TRUSTED_CORRELATION else found.envelope_lag


@pytest.mark.slow
@pytest.mark.parametrize("made", KEEPING)
def test_a_shift_is_found_to_the_sample_where_the_waveform_is_kept(made: str) -> None:
    for wave in own(2):
        clip = KEEPING[made](wave)
        before = compare(wave, clip)
        for milliseconds in SHIFTS:
            found = compare(wave, shifted(clip, milliseconds))
            assert found.waveform_correlation > 0.7
            assert found.waveform_lag - before.waveform_lag == pytest.approx(16 * milliseconds, abs=1)
            assert found.level_db == pytest.approx(before.level_db, abs=0.1)
            assert found.si_sdr_db == pytest.approx(before.si_sdr_db, abs=1.5) or found.si_sdr_db > 20


def test_a_shift_is_found_where_only_the_envelopes_are_kept() -> None:
    for wave in own(4):
        clip = vocoded(wave)
        before = compare(wave, clip)
        assert before.waveform_correlation < TRUSTED_CORRELATION
        assert before.envelope_correlation > 0.7
        assert abs(before.envelope_lag) < 2
        for milliseconds in SHIFTS:
            found = compare(wave, shifted(clip, milliseconds))
            assert found.envelope_lag - before.envelope_lag == pytest.approx(milliseconds, abs=1)


@pytest.mark.slow
def test_a_shift_of_official_outputs_is_found(shared: Path) -> None:
    for codec, pairs in official(shared).items():
        for wave, clip in pairs:
            before = compare(wave, clip)
            for milliseconds in (2, 10, -30):
                found = compare(wave, shifted(clip, milliseconds))
                assert found.envelope_lag - before.envelope_lag == pytest.approx(milliseconds, abs=0.5), codec
                if before.waveform_correlation > 0.7:
                    assert lag(found) - lag(before) == pytest.approx(milliseconds, abs=0.1), codec


def test_another_length_does_not_matter() -> None:
    wave = own(1)[0]
    for clip in (wave[:-3000], np.concatenate([wave, wave[:3000]]), wave[4800:]):
        found = compare(wave, clip)
        assert abs(found.level_db) < 0.1
        assert found.si_sdr_db > 40
        assert found.lsd_db < 1
    assert found.waveform_lag == -4800


@pytest.mark.parametrize("decibels", [-9, -3, -0.5, 0.5, 3])
def test_the_level_is_measured(decibels: float) -> None:
    for wave in own(2):
        quiet = wave / np.float32(4)
        for clip in (quiet, noisy(-20)(quiet), quiet + np.float32(0.05)):
            assert compare(quiet, louder(decibels)(clip)).level_db == pytest.approx(decibels, abs=0.1)
        assert compare(quiet, -louder(decibels)(quiet)).si_sdr_db > 30, "polarity is no distortion"


@pytest.mark.slow
@pytest.mark.parametrize("hertz", [2000, 3000, 3400, 4000, 6000, 6500])
def test_a_low_pass_is_found_in_the_clip_and_in_the_source(hertz: int) -> None:
    for wave in own(4):
        for clip in (wave, noisy(-30)(wave), through("OGG", "OPUS")(wave), vocoded(wave)):
            found = compare(wave, low_passed(clip, hertz))
            assert found.bandwidth == pytest.approx(hertz, abs=300)
            assert found.source_bandwidth == 8000
            found = compare(low_passed(wave, hertz), clip)
            assert found.bandwidth == 8000
            assert found.source_bandwidth == pytest.approx(hertz, abs=300)


def test_a_low_pass_is_found_below_the_end_of_what_the_other_one_has() -> None:
    """MP3 takes away what is above 7 kHz: there, both have nothing."""
    for wave in own(4):
        clip = through("MP3", "MPEG_LAYER_III")(wave)
        assert compare(low_passed(wave, 4000), clip).source_bandwidth == pytest.approx(4000, abs=300)
        assert compare(low_passed(wave, 6500), low_passed(clip, 4000)).bandwidth == pytest.approx(4000, abs=300)


def test_a_clip_that_was_at_8_khz_is_found_and_a_gentle_slope_is_not() -> None:
    for wave in own(4):
        assert 3400 < compare(wave, through_8_khz(wave)).bandwidth < 4100
        slope = signal.lfilter([0.6, 0.4], [1.0], wave).astype(np.float32)
        assert compare(wave, slope)[-2:] == (8000, 8000)
        assert compare(slope, wave)[-2:] == (8000, 8000)


def test_official_outputs_are_as_wide_as_their_sources(shared: Path) -> None:
    for codec, pairs in official(shared).items():
        found = [compare(wave, clip) for wave, clip in pairs]
        assert {(one.bandwidth, one.source_bandwidth) for one in found} == {(8000.0, 8000.0)}, codec
        assert min(one.envelope_correlation for one in found) > 0.9
        assert max(one.lsd_db for one in found) < 11
        late = codec.startswith("audiodec")
        assert all((7 < lag(one) < 10) == late for one in found) or codec.startswith("funcodec"), codec


def test_si_sdr_and_distance_say_how_much_was_changed() -> None:
    wave = own(1)[0]
    for decibels in (-5, -10, -20):
        found = compare(wave, noisy(decibels)(wave))
        assert found.si_sdr_db == pytest.approx(-decibels, abs=0.3)
    distances = [compare(wave, noisy(decibels)(wave)).lsd_db for decibels in (-40, -20, -5)]
    assert distances == sorted(distances)
    assert compare(wave, wave).lsd_db == pytest.approx(0, abs=1e-3)


def test_speech_of_another_utterance_has_other_envelopes() -> None:
    waves = own(6)
    for wave, other in zip(waves, [*waves[1:], waves[0]], strict=True):
        assert compare(wave, other).envelope_correlation < 0.45
        assert compare(wave, noisy(0)(wave)).envelope_correlation > 0.6


@pytest.mark.parametrize(
    ("source", "clip"),
    [
        (np.zeros(16000, np.float32), np.ones(16000, np.float32)),
        (np.ones(16000, np.float32), np.zeros(16000, np.float32)),
        (np.zeros(0, np.float32), np.ones(16000, np.float32)),
        (np.ones(100, np.float32), np.ones(100, np.float32)),
    ],
)
def test_what_cannot_be_compared_is_nan(source: Any, clip: Any) -> None:
    assert np.isnan(compare(source, clip)).all()
    assert np.isnan(INCOMPARABLE).all()


def test_odd_clips_give_numbers() -> None:
    wave = own(1)[0]
    click = np.zeros(16000, np.float32)
    click[9000] = 1
    noise = np.random.default_rng(1).standard_normal(1700).astype(np.float32)
    for one in (wave, click, noise, np.sin(np.arange(8000, dtype=np.float32) / 10)):
        for other in (wave, click, noise):
            found = np.array(compare(one, other))
            assert np.isfinite(found).all() or np.isnan(found).all()


@pytest.mark.slow
def test_a_clip_of_4_s_takes_at_most_12_ms() -> None:
    wave = np.resize(own(1)[0], 64000)
    clip = shifted(noisy(-10)(wave), 10)
    compare(wave, clip)
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        compare(wave, clip)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.012
