"""Each trivial feature sees its own fault, and the others do not."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile

from codecfake_builder.audit.measuring.features import FEATURES, NAMES, Group, measure
from codecfake_builder.finished_clip import fade_window

RATE = 16000


def noise(seconds: float = 2.0, seed: int = 0, level: float = 0.03) -> Any:
    """Coloured noise that swells and fades as syllables do, and ends as a clip of a dataset does."""
    generator = np.random.default_rng(seed)
    samples = round(seconds * RATE)
    wave = np.convolve(generator.standard_normal(samples), [1, 0.9, 0.6, 0.3], "same")
    wave *= (1.1 + np.sin(np.arange(samples) / 900)) * level * fade_window(samples, 0.02)
    wave += (generator.random(samples) - generator.random(samples)) / 32768
    return (np.rint((wave - wave.mean()) * 32768) / 32768).astype(np.float32)


def flac(wave: Any, level: float | None = None) -> bytes:
    buffer = io.BytesIO()
    pcm = np.rint(wave * 32768).astype(np.int16)
    options = {} if level is None else {"compression_level": level}
    soundfile.write(buffer, pcm, RATE, format="FLAC", subtype="PCM_16", **options)
    return buffer.getvalue()


def features(wave: Any, data: bytes | None = None) -> dict[str, float]:
    found = measure(wave, flac(wave) if data is None else data, len(wave), RATE)
    return dict(zip(NAMES, found.tolist(), strict=True))


def changed(before: dict[str, float], after: dict[str, float]) -> set[str]:
    """The groups of gate features that tell two clips apart by more than a hair."""
    tolerance = {"edges": 2.0, "level": 0.3, "quantization": 0.06, "silence": 0.01, "length": 0, "file": 0.001}
    return {
        str(feature.group)
        for feature in FEATURES
        if feature.group is not Group.SIGNAL
        and abs(after[feature.name] - before[feature.name]) > tolerance[feature.group]
    }


def test_names_are_unique_and_every_group_has_features() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {feature.group for feature in FEATURES} == set(Group)


def test_silent_tail() -> None:
    wave = noise()
    silent = wave.copy()
    silent[-1600:] = 0
    found = changed(features(wave), features(silent))
    assert "silence" in found
    assert "quantization" not in found


@pytest.mark.parametrize("offset", [0.002, -0.004])
def test_offset(offset: float) -> None:
    wave = noise()
    moved = np.rint((wave + offset) * 32768).astype(np.float32) / 32768
    assert changed(features(wave), features(moved)) == {"level"}


def test_level() -> None:
    assert changed(features(noise()), features(noise(level=0.04))) == {"level"}


def test_level_changed_after_quantization_leaves_gaps() -> None:
    wave = noise()
    louder = (np.rint(wave * 1.3 * 32768) / 32768).astype(np.float32)
    assert changed(features(wave), features(louder)) == {"level", "quantization"}


def test_click_at_the_start() -> None:
    wave = noise()
    clicked = wave.copy()
    clicked[:8] += 0.02
    assert changed(features(wave), features(clicked)) == {"edges"}


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_low_bits(bits: int) -> None:
    wave = noise()
    pcm = np.rint(wave * 32768).astype(np.int16)
    coarse = (pcm >> bits << bits).astype(np.float32) / 32768
    assert changed(features(wave), features(coarse)) == {"quantization"}


def test_another_encoder_setting() -> None:
    wave = noise()
    assert changed(features(wave), features(wave, flac(wave, 0.0))) == {"file"}


def test_a_comment_in_the_header() -> None:
    wave = noise()
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", RATE, 1, format="FLAC", subtype="PCM_16") as file:
        file.title = "made by a codec"
        file.write(wave)
    assert changed(features(wave), features(wave, buffer.getvalue())) == {"file"}


def test_a_wav_file_and_a_short_and_a_constant_clip_are_measured() -> None:
    for wave in (noise(0.01), np.zeros(800, dtype=np.float32), np.full(5000, 0.1, dtype=np.float32)):
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, RATE, format="WAV", subtype="PCM_16")
        assert np.isfinite(measure(wave, buffer.getvalue(), len(wave), RATE)).all()


def test_a_damaged_flac_header_is_no_error() -> None:
    wave = noise()
    assert np.isfinite(measure(wave, flac(wave)[:50], len(wave), RATE)).all()
    assert np.isfinite(measure(wave, b"fLaC\xff\xff\xff\xff", len(wave), RATE)).all()
