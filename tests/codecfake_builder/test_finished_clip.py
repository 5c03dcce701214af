"""The end of the audio chain: what it makes equal for all classes is equal, and nothing else of a clip is changed."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codecfake_builder import audio
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.finished_clip import Reference, content_seed, dither, fade_window, finish, loud_part
from codecfake_builder.rejections import RejectedError
from tests.kit.synthetic import voice

SPEECH = voice(1.0, 16000, 1)
PLAIN = AudioPolicy(fade_seconds=0, level="own")


def own(wave: np.ndarray, policy: AudioPolicy = PLAIN) -> Reference:
    return Reference.of(wave, content_seed(wave), policy)


def decoded(flac: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(flac), dtype="int16")
    assert rate == 16000
    return samples


def decibels(wave: np.ndarray) -> float:
    return 20 * np.log10(audio.rms(wave - wave.mean()))


@settings(max_examples=150, deadline=None)
@given(
    seconds=st.floats(0.1, 2.0),
    offset=st.floats(-0.3, 0.3),
    factor=st.floats(-3, 3).filter(lambda factor: abs(factor) > 0.02),
    hiss=st.floats(0, 0.05),
    loudness=st.floats(0.01, 1.9),
    fade=st.sampled_from([0.0, 0.005, 0.02, 0.7]),
    trim=st.sampled_from([None, 3.0, 25.0]),
)
def test_whatever_a_codec_does_to_level_ends_and_mean_its_clip_is_like_the_real_one(
    seconds: float, offset: float, factor: float, hiss: float, loudness: float, fade: float, trim: float | None
) -> None:
    policy = AudioPolicy(fade_seconds=fade, trim_db=trim, min_seconds=0)
    source = loudness * voice(seconds, 16000, 1)
    noise = np.random.default_rng(0).standard_normal(len(source))
    output = (factor * source + offset + hiss * noise).astype(np.float32)
    reference = own(source, policy)
    real, fake = (finish(wave.astype(np.float32), reference, policy) for wave in (source, output))
    assert real.pcm.shape == fake.pcm.shape == (reference.kept.stop - reference.kept.start,)
    assert real.level_gain == 1
    for clip in (real, fake):
        assert np.array_equal(decoded(clip.flac), clip.pcm)
        assert abs(clip.pcm.mean(dtype=np.float64)) < 1
        if fade:
            assert max(abs(int(clip.pcm[0])), abs(int(clip.pcm[-1]))) <= 4
    if real.gain == fake.gain == 1:
        # two steps of dither are heard in a clip of a few steps only
        assert decibels(real.pcm) == pytest.approx(decibels(fake.pcm), abs=0.05)
    else:
        assert np.abs(np.concatenate([real.pcm, fake.pcm]).astype(np.int32)).max() >= 32766


def test_sixteen_bit_sources_at_the_datasets_rate_pass_but_for_their_mean_and_the_dither() -> None:
    """With fade and mean they passed bit by bit before; what is left is a step of dither, and half of rounding."""
    pcm = (SPEECH * 32767).astype(np.int16)
    wave = (pcm / 32768).astype(np.float32)
    clip = finish(wave, own(wave), PLAIN)
    assert clip.gain == clip.level_gain == 1.0
    expected = pcm - pcm.mean() + dither(len(pcm), content_seed(wave))
    assert np.abs(clip.pcm - expected).max() <= 0.5 + 1e-6
    assert np.abs(clip.pcm - (pcm - pcm.mean())).max() < 1.5


def test_a_peak_over_full_scale_is_scaled_down_and_the_gain_recorded() -> None:
    wave = 3 * SPEECH
    clip = finish(wave, own(wave), PLAIN)
    still = wave - wave.mean()
    assert clip.gain == pytest.approx(audio.FULL_SCALE / np.abs(still).max())
    assert 32766 <= np.abs(clip.pcm.astype(np.int32)).max() <= 32768
    assert np.allclose(clip.pcm / 32768, still * clip.gain, atol=1.51 / 32768)


def test_the_gain_of_a_clip_counts_that_of_its_source() -> None:
    made, gain = audio.make_fit(20000 * SPEECH, 16000)
    clip = finish(3 * made, own(made), PLAIN, gain)
    still = 3 * 20000 * SPEECH
    assert np.allclose(clip.pcm / 32768, (still - still.mean()) * clip.gain, atol=1.51 / 32768)
    levelled = finish(0.1 * made, own(made), AudioPolicy(fade_seconds=0), gain)
    assert levelled.level_gain == pytest.approx(10, rel=1e-6)
    assert np.abs(levelled.pcm - finish(made, own(made), PLAIN, gain).pcm).max() <= 1


@pytest.mark.parametrize("output", [0 * SPEECH, 0 * SPEECH + 0.25, 1e-6 * SPEECH], ids=["zeros", "offset", "quiet"])
@pytest.mark.parametrize("level", ["source", "own"])
def test_silence_out_of_a_codec_is_rejected_not_amplified(output: np.ndarray, level: str) -> None:
    with pytest.raises(RejectedError, match="silent"):
        finish(output, own(SPEECH), AudioPolicy.model_validate({"level": level}))


def test_silence_in_what_is_kept_is_rejected_for_the_real_clip_and_the_others() -> None:
    source = (1e-7 * SPEECH).astype(np.float32)
    for wave in (source, SPEECH):
        with pytest.raises(RejectedError, match="silent"):
            finish(wave, own(source), AudioPolicy())


@given(samples=st.integers(1, 40_000), seconds=st.floats(0, 1))
def test_a_fade_rises_from_almost_nothing_and_falls_likewise(samples: int, seconds: float) -> None:
    window = fade_window(samples, seconds)
    assert len(window) == samples
    assert np.array_equal(window, window[::-1])
    assert (window > 0).all()
    assert window.max() <= 1
    length = min(round(seconds * 16000), samples // 2)
    assert (window[length : samples - length] == 1).all()
    assert (np.diff(window[:length]) >= 0).all()


@settings(deadline=None)
@given(
    before=st.integers(0, 5000),
    after=st.integers(0, 5000),
    loudness=st.floats(0.01, 1),
    floor=st.floats(1e-6, 1e-4),
    limit=st.floats(20, 35),
    offset=st.floats(-0.5, 0.5),
)
def test_a_clip_is_cut_to_its_loud_part_whatever_its_level_and_offset(
    before: int, after: int, loudness: float, floor: float, limit: float, offset: float
) -> None:
    generator = np.random.default_rng(0)
    room = [floor * generator.standard_normal(samples) for samples in (before, after)]
    wave = np.concatenate([loudness * room[0], loudness * SPEECH, loudness * room[1]]).astype(np.float32)
    kept = loud_part((wave + offset).astype(np.float32), limit)
    assume(loudness * floor > 1e-7)  # below, float32 around the offset is all there is
    assert before - 160 < kept.start <= before + 160
    assert before + 16000 - 160 <= kept.stop < before + 16000 + 160 or kept.stop == len(wave)


@given(samples=st.integers(1, 400), limit=st.floats(0.1, 200))
def test_something_is_kept_of_any_waveform(samples: int, limit: float) -> None:
    for wave in (np.zeros(samples, np.float32), SPEECH[:samples]):
        kept = loud_part(wave, limit)
        assert 0 <= kept.start < kept.stop <= samples


def test_a_trim_that_leaves_too_little_is_a_rejection_and_none_without_it() -> None:
    brief = np.pad(SPEECH[:3200], 8000)
    with pytest.raises(RejectedError) as caught:
        own(brief, AudioPolicy(trim_db=25))
    assert caught.value.reason == "too_short"
    assert "0.2" in caught.value.detail
    assert own(brief, AudioPolicy()).kept == slice(0, len(brief))
    assert own(brief, AudioPolicy(trim_db=25, min_seconds=0.1)).kept.start == 8000


def test_dither_is_triangular_of_one_step_the_same_for_a_seed_and_never_another() -> None:
    noise = dither(200_000, 7)
    assert np.array_equal(noise[:1000], dither(1000, 7))
    assert noise[:4] == pytest.approx([-0.319809, 0.213034, 0.197393, -0.608444], abs=1e-6)  # whatever the NumPy
    assert np.abs(noise).max() < 1
    assert abs(noise.mean()) < 0.005
    assert noise.std() == pytest.approx(6**-0.5, rel=0.01)
    assert np.mean(np.abs(noise) < 0.5) == pytest.approx(0.75, abs=0.01)
    assert abs(np.corrcoef(noise, dither(200_000, 8))[0, 1]) < 0.01


def test_equal_outputs_stay_equal_and_digital_silence_is_no_class_of_its_own() -> None:
    half = np.concatenate([SPEECH, np.zeros(16000, np.float32)])
    reference = own(half)
    real, fake = (finish(wave, reference, AudioPolicy()) for wave in (half, half.copy()))
    assert real.flac == fake.flac
    assert len(np.unique(real.pcm[16400:-400])) >= 3
    assert content_seed(half) != content_seed(SPEECH)


def test_a_clip_takes_no_more_than_its_samples_do() -> None:
    room = (1e-4 * np.random.default_rng(0).standard_normal(160_000)).astype(np.float32)
    for wave in (np.resize(SPEECH, 160_000), room + 0):
        assert len(finish(wave, own(wave), AudioPolicy()).flac) < 2 * len(wave)
