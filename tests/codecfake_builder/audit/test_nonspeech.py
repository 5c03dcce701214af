"""Speech is found, and what pauses and speech tell by themselves is told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codecfake_builder.audio import decode, resample
from codecfake_builder.audit.findings import Finding, Status
from codecfake_builder.audit.nonspeech import nonspeech_finding
from codecfake_builder.audit.probes import trials
from codecfake_builder.signals.speech_parts import FRAME, NAMES, speech_mask, split_speech
from tests.kit.audited import Audited, ClipsInMemory, speech

ROOM = 0.002


def room(samples: int, seed: int) -> Any:
    """What a microphone hears when nobody speaks."""
    white = np.random.default_rng(seed).standard_normal(samples + 64)
    return (ROOM * np.convolve(white, np.hanning(8) / 4, mode="same")[:samples]).astype(np.float32)


def with_pauses(wave: Any, seed: int) -> tuple[Any, Any]:
    """Speech at half of full scale, with half a second of room before, within and after it; and where speech
    is, a sample at a time."""
    wave = wave * np.float32(0.5 / np.abs(wave).max())
    half = len(wave) // 2
    still = np.zeros(8000, np.float32)
    whole = np.concatenate([still, wave[:half], still, wave[half:], still])
    heard = np.concatenate([still, np.ones(half), still, np.ones(len(wave) - half), still]) > 0
    return whole + room(len(whole), seed), heard


@pytest.mark.parametrize("level", [1.0, 0.03])
@pytest.mark.parametrize("offset", [0.0, 0.02])
def test_speech_is_found_at_any_level_and_offset(level: float, offset: float) -> None:
    for seed, wave in enumerate(list(speech().values())[::8]):
        whole, heard = with_pauses(wave, seed)
        mask = speech_mask(whole * np.float32(level) + np.float32(offset))
        assert len(mask) == len(whole) // FRAME
        truth = heard[FRAME // 2 :: FRAME][: len(mask)]
        assert mask[truth].mean() > 0.85
        assert mask[~truth].mean() < 0.3


def test_speech_of_recordings_and_official_outputs_is_found_alike(shared: Path) -> None:
    recordings = {}
    for path in (shared / "speech" / "vctk").rglob("*_mic1.flac"):
        wave, rate = decode(path.read_bytes())
        recordings[path.name.removesuffix("_mic1.flac")] = speech_mask(resample(wave, rate, 16000))
    assert all(0.3 < mask.mean() < 0.7 for mask in recordings.values())
    for path in (shared / "speech" / "official_codec_outputs").rglob("*.flac"):
        wave, rate = decode(path.read_bytes())
        mask, own = speech_mask(resample(wave, rate, 16000)), recordings[path.stem]
        count = min(len(mask), len(own))
        assert (mask[:count] == own[:count]).mean() > 0.9, path


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 1700])
def test_silence_and_short_clips_have_no_speech(samples: int) -> None:
    for wave in (np.zeros(samples, np.float32), np.ones(samples, np.float32)):
        mask = speech_mask(wave)
        assert len(mask) == samples // FRAME
        assert not mask.any()
        parts = split_speech(wave, mask)
        assert np.isnan(parts.speech).all()
        assert len(parts.pauses) == len(NAMES)
        assert np.isfinite(parts.pauses).all() == (samples >= 10 * FRAME)


def test_parts_say_nothing_of_level_and_of_each_other() -> None:
    whole, _ = with_pauses(speech()["e01_1"], 1)
    mask = speech_mask(whole)
    parts = split_speech(whole, mask)
    quiet = split_speech(whole / np.float32(8), mask)
    assert quiet.pauses == pytest.approx(parts.pauses, abs=0.01)
    assert quiet.speech == pytest.approx(parts.speech, abs=0.01)
    hissing = np.where(np.repeat(mask, FRAME), whole[: len(mask) * FRAME], 4 * whole[: len(mask) * FRAME])
    assert split_speech(hissing.astype(np.float32), mask).speech == pytest.approx(parts.speech, abs=0.5)
    shorter = split_speech(whole[:-5000], mask)
    assert np.isfinite(shorter.pauses).all()


def tone(wave: Any, mask: Any, in_speech: bool) -> Any:
    """The clip with a weak tone in its speech, or in its pauses."""
    where = np.repeat(mask if in_speech else ~mask, FRAME)
    where = np.pad(where, (0, len(wave) - len(where)))
    level = 0.1 if in_speech else ROOM
    return wave + np.float32(level) * where * np.sin(2 * np.pi * 3100 / 16000 * np.arange(len(wave))).astype(np.float32)


def found(plant: Callable[[Any, Any], Any], pauses: bool = True) -> Finding:
    clips, parts = [], []
    for seed, (name, wave) in enumerate(list(speech().items())[::2]):
        whole, _ = with_pauses(wave, seed) if pauses else (wave, None)
        mask = speech_mask(whole) if pauses else np.ones(len(whole) // FRAME, dtype=bool)
        for number, variant in enumerate(("real", "one", "two")):
            clip = whole + room(len(whole), 100 * number + seed)
            clip = plant(clip, mask) if variant == "two" else clip
            clips.append(Audited(clip, name, "train" if seed % 2 else "eval", variant, name.partition("_")[0]))
            parts.append(split_speech(clip, mask))
    own = trials(ClipsInMemory(clips))
    return nonspeech_finding(own, np.array([each.pauses for each in parts]), np.array([each.speech for each in parts]))


def means(finding: Finding) -> tuple[float, float]:
    """Macro F1 of the pauses alone and of the speech alone."""
    pauses, speech = ([one["macro_f1"] for one in finding.values[part]] for part in ("pauses", "speech"))
    return float(np.mean(pauses)), float(np.mean(speech))


@pytest.mark.slow
def test_a_label_in_the_pauses_is_told_from_one_in_the_speech() -> None:
    nowhere = means(found(lambda wave, mask: wave))
    assert max(nowhere) < 0.5
    in_pauses = found(lambda wave, mask: tone(wave, mask, in_speech=False))
    assert in_pauses.status is Status.NOTE
    assert means(in_pauses)[0] > 0.6
    assert means(in_pauses)[1] < 0.5
    in_speech = means(found(lambda wave, mask: tone(wave, mask, in_speech=True)))
    assert in_speech[1] > 0.6
    assert in_speech[0] < 0.5
    assert "pauses alone: macro F1" in in_pauses.summary
    assert "100% of the clips have both" in in_pauses.summary


def test_clips_without_pauses_are_skipped() -> None:
    finding = found(lambda wave, mask: wave, pauses=False)
    assert finding.status is Status.SKIPPED
    assert "0.1 s of pauses" in finding.summary
