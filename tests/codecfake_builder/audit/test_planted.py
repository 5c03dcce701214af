"""Faults of datasets, planted one by one: each fails its own line, and no other line where it is alone."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import soundfile

from codecfake_builder.audit.audit import Audit, Expectations, audit
from codecfake_builder.audit.findings import failed
from tests.kit.audited import Audited, ClipsInMemory, encoded
from tests.kit.audited_dataset import clean, lowpassed, spoiled

pytestmark = pytest.mark.slow
DISJOINT = Expectations(speakers_disjoint=True, texts_disjoint=True)
OWN = "coarse_4"
Clips = Sequence[Audited]


def audited(clips: Clips) -> Audit:
    return audit(ClipsInMemory(clips), "test", None, DISJOINT, workers=1, scored=0)


def failing(clips: Clips) -> set[str]:
    return {finding.line for finding in failed(audited(clips).findings)}


@pytest.mark.parametrize(
    ("seed", "train", "evaluation"), [(1, 24, 20), (2, 16, 12), (3, 28, 20), (4, 20, 8), (5, 10, 10)]
)
def test_clean_datasets_raise_no_alarm(seed: int, train: int, evaluation: int) -> None:
    found = audited(clean(seed, train, evaluation))
    assert found.passed, [finding.summary for finding in failed(found.findings)]


def shorter(wave: Any) -> Any:
    return wave[: len(wave) // 320 * 320]


def with_silent_tail(wave: Any) -> Any:
    return np.concatenate([wave[:-1600], np.zeros(1600, dtype=np.float32)])


def with_silent_head(wave: Any) -> Any:
    return np.concatenate([np.zeros(1600, dtype=np.float32), wave[1600:]])


def with_click(wave: Any) -> Any:
    clicked = wave.copy()
    clicked[:16] += 0.03 * np.exp(-np.arange(16) / 4).astype(np.float32)
    return clicked


def with_end_click(wave: Any) -> Any:
    return with_click(wave[::-1])[::-1]


def louder(decibels: float) -> Callable[[Any], Any]:
    return lambda wave: np.clip(wave * np.float32(10 ** (decibels / 20)), -1, 1)


def with_offset(wave: Any) -> Any:
    return wave + np.float32(0.002)


def without_low_bits(bits: int) -> Callable[[Any], Any]:
    return lambda wave: (np.rint(wave * 32768).astype(np.int32) >> bits << bits).astype(np.float32) / 32768


def later(milliseconds: float) -> Callable[[Any], Any]:
    late = round(milliseconds * 16)
    return lambda wave: np.concatenate([np.zeros(late, dtype=np.float32), wave[:-late]])


def packed(level: float) -> Callable[[Any], bytes]:
    def pack(wave: Any) -> bytes:
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, 16000, format="FLAC", subtype="PCM_16", compression_level=level)
        return buffer.getvalue()

    return pack


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "length": (shorter, "length"),
    "silent tail": (with_silent_tail, "silence"),
    "silent head": (with_silent_head, "silence"),
    "head transient": (with_click, "edges"),
    "tail transient": (with_end_click, "edges"),
    "1 dB louder": (louder(1), "level"),
    "3 dB quieter": (louder(-3), "level"),
    "offset": (with_offset, "level"),
    "lowest bit": (without_low_bits(1), "quantization"),
    "three low bits": (without_low_bits(3), "quantization"),
    "file size": (packed(0.0), "file"),
    "WAV instead of FLAC": (lambda wave: encoded(wave, "WAV"), "container"),
    "10 ms late": (later(10), "lag"),
    "5 ms late": (later(5), "lag"),
    "low-passed": (lowpassed(4000), "bandwidth"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_fault_of_one_class_fails_its_own_line(name: str) -> None:
    change, line = CHANGES[name]
    assert failing(spoiled(clean(), change, OWN)) == {line}


@pytest.mark.parametrize("name", ["length", "silent tail", "head transient", "offset", "lowest bit", "file size"])
@pytest.mark.parametrize("split", ["train", "eval_id"])
def test_so_does_one_of_one_split_only(name: str, split: str) -> None:
    change, line = CHANGES[name]
    assert failing(spoiled(clean(), change, OWN, split)) == {line}


@pytest.mark.parametrize("name", ["silent tail", "head transient", "offset", "lowest bit", "file size", "10 ms late"])
def test_so_does_one_of_all_fakes(name: str) -> None:
    change, line = CHANGES[name]
    assert failing(spoiled(clean(), change)) == {line}


def test_real_speech_that_was_low_passed_at_its_source() -> None:
    assert failing(spoiled(clean(), lowpassed(4000), "real")) == {"bandwidth"}


def test_the_failing_line_names_the_class() -> None:
    found = audited(spoiled(clean(), with_click, OWN))
    assert [finding.classes for finding in failed(found.findings)] == [(OWN,)]


def test_a_class_without_some_of_the_speakers() -> None:
    clips = [clip for clip in clean() if clip.variant != OWN or clip.speaker != clean()[0].speaker]
    assert failing(clips) == {"composition"}


def test_a_speaker_in_two_splits() -> None:
    clips = list(clean())
    other = clips[0].speaker
    moved = [
        dataclasses.replace(clip, speaker=other) if clip.utterance == clips[-1].utterance else clip for clip in clips
    ]
    assert failing(moved) == {"speakers"}


def test_a_text_in_two_splits() -> None:
    clips = list(clean())
    text = clips[0].text
    assert text is not None
    moved = [
        dataclasses.replace(clip, text=f"  {text.upper()}!") if clip.utterance == clips[-1].utterance else clip
        for clip in clips
    ]
    assert failing(moved) == {"texts"}


def _with_copy(change: Callable[[Any], Any]) -> list[Audited]:
    """An utterance of train is in eval_id too, under another name and speaker."""
    clips = list(clean())
    first = clips[0].utterance
    speaker = clips[-1].speaker
    copies = [
        dataclasses.replace(
            clip, wave=change(clip.wave), utterance="copy", split="eval_id", speaker=speaker, text="of the copy"
        )
        for clip in clips
        if clip.utterance == first
    ]
    return clips + copies


def test_a_duplicate_clip() -> None:
    assert failing(_with_copy(lambda wave: wave)) == {"duplicates"}


def test_a_near_duplicate() -> None:
    def changed(wave: Any) -> Any:
        buffer = io.BytesIO()
        soundfile.write(buffer, louder(1)(wave), 16000, format="OGG", subtype="VORBIS")
        buffer.seek(0)
        return np.roll(soundfile.read(buffer, dtype="float32")[0], 37)

    assert "near duplicates" in failing(_with_copy(changed))


def test_swapped_labels() -> None:
    """In a tenth of the utterances two classes have changed places."""
    clips = list(clean())
    chosen = {clip.utterance for clip in clips[:: 5 * 8]}
    names = {"coarse_4": "echo_5", "echo_5": "coarse_4"}
    swapped = [
        dataclasses.replace(clip, variant=names.get(clip.variant, clip.variant)) if clip.utterance in chosen else clip
        for clip in clips
    ]
    assert failing(swapped) == {"labels"}


def test_a_clip_of_another_utterance() -> None:
    clips = list(clean())
    own = [place for place, clip in enumerate(clips) if clip.variant == OWN and clip.split == "train"]
    for first, second in ((own[0], own[1]), (own[2], own[3])):
        one, other = clips[first].wave, clips[second].wave
        clips[first] = dataclasses.replace(clips[first], wave=np.resize(other, len(one)))
        clips[second] = dataclasses.replace(clips[second], wave=np.resize(one, len(other)))
    assert "outliers" in failing(clips)
