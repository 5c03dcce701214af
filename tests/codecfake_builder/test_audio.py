"""The audio policy: exact lengths, nothing clipped, nothing lost, one chain."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder import audio
from codecfake_builder.benchmark import trace
from codecfake_builder.benchmark.scoring.truth import stem
from codecfake_builder.corpora import FolderConfig
from codecfake_builder.rejections import RejectedError
from tests.kit.synthetic import voice

RATES = st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000])


def decoded(flac: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(flac), dtype="int16")
    assert rate == 16000
    return samples


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(50, 30_000), rate=RATES, target=RATES)
def test_resampling_gives_exactly_the_length_that_was_promised(samples: int, rate: int, target: int) -> None:
    wave = np.zeros(samples, dtype=np.float32)
    assert len(audio.resample(wave, rate, target)) == audio.samples_at(samples, rate, target)
    assert audio.samples_at(samples, rate, target) == -(-samples * target // rate)


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(5000, 30_000), rate=RATES, native=RATES, extra=st.integers(0, 3000))
def test_every_class_gets_the_sources_own_length(samples: int, rate: int, native: int, extra: int) -> None:
    """Whatever a codec appends, the clip has ceil(n * 16000 / rate) samples."""
    at_native = audio.resample(voice(samples / rate, rate, 1)[:samples], rate, native)
    output = np.concatenate([at_native, np.zeros(extra, dtype=np.float32)])
    expected = audio.samples_at(samples, rate, audio.RATE)
    assert len(audio.restore(output, native, 0, expected, slack=2)) == expected


def test_sixteen_bit_sources_at_the_datasets_rate_pass_bit_exactly() -> None:
    pcm = (voice(0.5, 16000, 1) * 32767).astype(np.int16)
    pcm[0], pcm[1] = -32768 + 1, 32767
    clip = audio.finish((pcm / 32768).astype(np.float32))
    assert clip.gain == 1.0
    assert np.array_equal(decoded(clip.flac), pcm)
    assert np.array_equal(clip.pcm, pcm)


def test_a_peak_over_full_scale_is_scaled_down_and_the_gain_recorded() -> None:
    wave = 3 * voice(0.5, 16000, 1)
    clip = audio.finish(wave)
    assert clip.gain == pytest.approx(audio.FULL_SCALE / np.abs(wave).max())
    assert np.abs(clip.pcm.astype(np.int32)).max() == 32767
    assert np.allclose(decoded(clip.flac) / 32768, wave * clip.gain, atol=1 / 32768)


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


def test_silence_out_of_a_codec_is_rejected() -> None:
    with pytest.raises(RejectedError, match="silent"):
        audio.finish(np.zeros(16000, dtype=np.float32))


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


def test_the_gain_of_a_clip_counts_that_of_its_source() -> None:
    made, gain = audio.make_fit(20000 * LOUD, 16000)
    clip = audio.finish(3 * made, gain)
    assert np.allclose(decoded(clip.flac) / 32768, 3 * 20000 * LOUD * clip.gain, atol=1 / 32768)


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
