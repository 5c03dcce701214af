"""The audio policy: exact lengths, nothing clipped, nothing lost, one chain."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder import audio
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.benchmark import trace
from codecfake_builder.benchmark.scoring.truth import stem
from codecfake_builder.corpora import FolderConfig
from codecfake_builder.rejections import RejectedError
from tests.kit.synthetic import voice

RATES = st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000])
ANY_RATE = st.one_of(RATES, st.integers(8000, 48_000).filter(lambda rate: math.gcd(rate, 16000) >= 5))
"""The context of a codec at a rate that shares nothing with 16 kHz is whole seconds."""


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(50, 30_000), rate=RATES, target=RATES)
def test_resampling_gives_exactly_the_length_that_was_promised(samples: int, rate: int, target: int) -> None:
    wave = np.zeros(samples, dtype=np.float32)
    assert len(audio.resample(wave, rate, target)) == audio.samples_at(samples, rate, target)
    assert audio.samples_at(samples, rate, target) == -(-samples * target // rate)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(5000, 30_000),
    rate=ANY_RATE,
    native=ANY_RATE,
    extra=st.integers(0, 3000),
    delay=st.integers(0, 500),
    seconds=st.sampled_from([0, 0.05, 0.32, 1.5]),
)
def test_every_class_gets_the_sources_own_length_and_place(
    samples: int, rate: int, native: int, extra: int, delay: int, seconds: float
) -> None:
    """Whatever a codec appends, and whatever the context, the clip has ceil(n * 16000 / rate) samples: the source's."""
    source = voice(samples / rate, rate, 1)[:samples]
    context = audio.context_samples(seconds, native)
    at_native = audio.with_context(audio.resample(source, rate, native), context)
    output = np.pad(at_native, (delay, extra))
    expected = audio.samples_at(samples, rate, audio.RATE)
    restored = audio.restore(output, native, delay, expected, slack=2, context=context)
    assert len(restored) == expected
    if delay * 16000 % native == 0 and min(rate, native) >= 16000 and expected >= 4000:
        real = audio.resample(source, rate, audio.RATE)
        assert np.corrcoef(restored[100:-100], real[100:-100])[0, 1] > 0.999


@given(seconds=st.decimals(0, 10, places=3).map(float), rate=st.integers(8000, 48_000))
def test_a_context_is_the_least_number_of_samples_that_is_whole_at_the_datasets_rate(seconds: float, rate: int) -> None:
    found = audio.context_samples(seconds, rate)
    step = rate // math.gcd(rate, audio.RATE)
    assert found * audio.RATE % rate == 0
    assert found >= seconds * rate - 1e-6
    assert found == 0 or found - step < seconds * rate + 1e-6


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])
def test_the_default_context_needs_no_rounding_at_usual_rates(rate: int) -> None:
    seconds = AudioPolicy().context_seconds
    assert audio.context_samples(seconds, rate) == pytest.approx(seconds * rate, abs=1e-9)


@given(samples=st.integers(1, 500), context=st.integers(0, 2000))
def test_a_context_is_the_clip_mirrored_as_often_as_it_takes(samples: int, context: int) -> None:
    wave = np.arange(1, samples + 1, dtype=np.float32)
    found = audio.with_context(wave, context)
    assert found.dtype == np.float32
    assert np.array_equal(found[context : context + samples], wave)
    assert len(found) == samples + 2 * context
    most = min(context, samples - 1)
    assert np.array_equal(found[context - most : context], wave[1 : most + 1][::-1])
    assert np.array_equal(found[context + samples :][:most], wave[::-1][1 : most + 1])
    assert samples == 1 or np.abs(np.diff(found)).max() == 1  # to and fro, without a step


def test_an_output_that_lacks_its_end_is_rejected_with_and_without_context() -> None:
    wave = voice(1.0, 16000, 1)
    for context in (0, 5120):
        whole = audio.with_context(wave, context)
        assert len(audio.restore(whole[:-700], 16000, 0, 16000, 800, context)) == 16000
        with pytest.raises(RejectedError, match="length"):
            audio.restore(whole[:-900], 16000, 0, 16000, 800, context)
    assert np.array_equal(audio.restore(whole[:-700], 16000, 0, 16000, 800, 5120), wave)  # no zeros of the chain's own


def test_delay_is_taken_out() -> None:
    wave = voice(1.0, 24000, 1)
    late = np.concatenate([np.zeros(240, dtype=np.float32), wave])
    expected = audio.resample(wave, 24000, 16000)
    restored = audio.restore(late, 24000, 240, 16000, slack=0)
    assert np.corrcoef(restored[200:-200], expected[200:-200])[0, 1] > 0.999


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (np.full(16000, np.nan, dtype=np.float32), "non_finite"),
        (np.full(15000, 0.1, dtype=np.float32), "length"),
    ],
)
def test_broken_outputs_are_rejected_with_a_reason(wave: np.ndarray, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        audio.restore(wave, 16000, 0, 16000, slack=800)
    assert caught.value.reason == reason


LOUD = voice(1, 16000, 1)


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (0 * LOUD, "silent"),
        (0 * LOUD + 0.5, "silent"),
        (np.where(np.arange(16000) < 8000, 0, 0.5), "silent"),  # an offset that begins late
        (np.linspace(-0.005, 0.005, 16000), "silent"),
        (0.9 * (np.arange(16000) == 5000), "silent"),  # a click
        (1e30 * (np.arange(16000) == 5000) + LOUD, "silent"),  # beside which speech is nothing
        (1e-10 * LOUD, "silent"),
        (1e-3 * LOUD, None),
        (LOUD, None),
        (0.5 + 0.5 * LOUD, None),
        (32768 * LOUD, None),
        (1e30 * LOUD, None),
        (1.5 * LOUD / np.abs(LOUD).max(), None),
    ],
)
def test_a_source_is_made_fit_for_codecs_or_is_silent(wave: np.ndarray, reason: str | None) -> None:
    wave = wave.astype(np.float32)
    if reason:
        with pytest.raises(RejectedError) as caught:
            audio.make_fit(wave, 16000)
        assert caught.value.reason == reason
        return
    made, gain = audio.make_fit(wave, 16000)
    if np.abs(wave).max() <= 1:
        assert made is wave
        assert gain == 1
    else:
        assert np.abs(made).max() == pytest.approx(audio.FULL_SCALE, abs=1e-6)
        assert np.allclose(made / gain, wave, rtol=1e-5)


def test_short_sources_have_a_level_too() -> None:
    for samples in (1, 10, 320, 4000):
        with pytest.raises(RejectedError, match="silent"):
            audio.make_fit(np.zeros(samples, np.float32), 16000)
    assert audio.make_fit(LOUD[:1600], 16000)[1] == 1


def test_channels_are_mixed_down() -> None:
    left, right = voice(0.5, 16000, 1), voice(0.5, 16000, 2)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([left, right], axis=1), 16000, format="WAV", subtype="FLOAT")
    wave, rate = audio.decode(buffer.getvalue())
    assert rate == 16000
    assert np.allclose(wave, (left + right) / 2, atol=1e-6)


def test_a_streamed_wav_without_sizes_is_not_called_truncated() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, voice(0.5, 16000, 1), 16000, format="WAV")
    data = bytearray(buffer.getvalue())
    data[4:8] = b"\xff\xff\xff\xff"
    wave, _ = audio.decode(bytes(data))
    assert len(wave) == 8000


FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3", ".aif": "AIFF", ".aiff": "AIFF"}


@pytest.mark.parametrize("suffix", audio.AUDIO_SUFFIXES)
def test_one_list_says_what_an_audio_file_is(suffix: str, tmp_path: Path) -> None:
    """What a corpus lists is decoded, can be traced, and a prediction may name the clip by it, in either case."""
    files = [tmp_path / f"lower{suffix}", tmp_path / f"upper{suffix.upper()}"]
    for file in files:
        kind = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {"format": FORMATS[suffix]}
        soundfile.write(file, voice(0.5, 16000, 1), 16000, **kind)
    (tmp_path / "notes.txt").write_text("no audio")
    assert [audio.decode(file.read_bytes())[1] for file in files] == [16000, 16000]
    assert audio.find_audio(tmp_path) == files
    assert list(trace.audio_files([tmp_path])) == files
    assert [file.path for file in FolderConfig(kind="folder", root=tmp_path).wanted_files(builtin_catalogue())] == [
        file.name for file in files
    ]
    assert [stem(f"in/{file.name}") for file in files] == ["lower", "upper"]


def test_what_follows_a_dot_of_an_id_is_no_suffix() -> None:
    assert [stem("a/b_1.5"), stem("mp3"), stem("x.flac.wav")] == ["b_1.5", "mp3", "x.flac"]
