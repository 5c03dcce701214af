"""What ``tools/recording.py`` adds to synthesized speech, on speech with digitally silent ends and pauses."""

from __future__ import annotations

import numpy as np
import pytest

from tools import recording
from tools.recording import RATE, Session, room_noise, room_response

STEP = 2**-15
"""Of 16-bit samples."""


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Two seconds: digital silence, harmonics of 120 Hz, silence, the harmonics again, silence."""
    time = np.arange(2 * RATE) / RATE
    wave = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 30))
    spoken = ((time > 0.2) & (time < 0.8)) | ((time > 1.1) & (time < 1.7))
    return np.asarray(wave * spoken / np.abs(wave).max(), dtype=np.float32)


@pytest.fixture(scope="module")
def clips(speech: np.ndarray) -> list[np.ndarray]:
    return [Session(7, session).record(speech, number) for session in range(1, 13) for number in range(1, 5)]


def test_no_part_is_digitally_silent(clips: list[np.ndarray]) -> None:
    for clip in clips:
        parts = clip[: len(clip) // 240 * 240].reshape(-1, 240)
        assert parts.std(axis=1).min() > STEP / 4
        samples = np.rint(clip / STEP)
        assert (samples == 0).mean() < 0.25
        twenties = clip[: len(clip) // 480 * 480].reshape(-1, 480)
        assert np.sqrt(np.square(twenties).mean(axis=1)).min() > STEP


def test_the_room_is_heard_before_and_after(speech: np.ndarray, clips: list[np.ndarray]) -> None:
    spoken = np.flatnonzero(np.abs(speech) > 0.01)
    pauses = [len(clip) - (spoken[-1] + 1 - spoken[0]) for clip in clips]
    least, most = (2 * round(seconds * RATE) for seconds in recording.PAUSE_SECONDS)
    assert least <= min(pauses) < max(pauses) <= most
    assert len(set(pauses)) > len(clips) * 0.9
    for clip in clips:
        before = np.sqrt(np.mean(np.square(clip[: round(least / 2)])))
        loudest = np.abs(clip).max()
        assert -75 < 20 * np.log10(before / loudest) < -35


def test_levels_are_spread_as_in_recordings(clips: list[np.ndarray]) -> None:
    peaks = np.array([20 * np.log10(np.abs(clip).max()) for clip in clips])
    levels = np.array([20 * np.log10(clip.std()) for clip in clips])
    assert np.ptp(peaks) >= 12
    assert 3 <= levels.std() <= 6
    assert peaks.max() < 0
    assert len({round(peak, 6) for peak in peaks}) == len(clips)


def test_the_noise_falls_towards_high_frequencies() -> None:
    for tilt_db in recording.TILT_DB:
        noise = room_noise(4 * RATE, tilt_db, np.random.default_rng(1))
        assert noise.std() == pytest.approx(1, rel=1e-6)
        power = np.abs(np.fft.rfft(noise)) ** 2
        frequencies = np.fft.rfftfreq(len(noise), 1 / RATE)
        bands = [power[(frequencies >= low) & (frequencies < 2 * low)].mean() for low in (200, 400, 800, 1600, 3200)]
        assert np.diff(10 * np.log10(bands)) == pytest.approx(tilt_db, abs=0.8)
        assert power[frequencies < recording.RUMBLE].max() < 1e-9 * power.max()


def test_the_room_reverberates_briefly() -> None:
    response = room_response(0.3, 14.0, np.random.default_rng(1))
    assert response[0] == 1
    gap = round(recording.GAP_SECONDS * RATE)
    assert not response[1:gap].any()
    assert 10 * np.log10(np.square(response[gap:]).sum()) == pytest.approx(-14)
    halves = np.array_split(response[gap:], 2)
    fallen = 10 * np.log10(np.square(halves[1]).sum() / np.square(halves[0]).sum())
    assert fallen == pytest.approx(-30, abs=3)


def test_seed_and_number_alone_decide(speech: np.ndarray) -> None:
    clip = Session(1, 2).record(speech, 3)
    assert np.array_equal(clip, Session(1, 2).record(speech, 3))
    for other in (Session(1, 2).record(speech, 4), Session(1, 3).record(speech, 3), Session(2, 2).record(speech, 3)):
        assert len(other) != len(clip) or not np.allclose(other, clip, atol=1e-3)
    assert clip.dtype == np.float32
