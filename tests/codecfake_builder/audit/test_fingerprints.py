"""Copies of speech share landmarks, whatever was done to them; different speech does not."""

from __future__ import annotations

import tracemalloc
from itertools import combinations
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest

from codecfake_builder.audit.measuring import fingerprints
from codecfake_builder.audit.measuring.fingerprints import (
    LEAST_VOTES,
    MOST_LANDMARKS,
    Fingerprint,
    fingerprint,
    near_duplicates,
)
from tests.kit.audited import COPIES, speech


def votes(first: Fingerprint, second: Fingerprint) -> int:
    """Landmarks that two clips share at one offset; 0 below the least that counts."""
    return next((number for _, _, number in near_duplicates([first, second], [0, 1])), 0)


@pytest.fixture(scope="module")
def clips() -> dict[str, Any]:
    found = speech()
    return {name: found[name] for name in sorted(found)[::3]}


@pytest.mark.slow
@pytest.mark.parametrize("name", COPIES)
def test_copies_are_candidates(name: str, clips: dict[str, Any]) -> None:
    shared = [votes(fingerprint(wave), fingerprint(COPIES[name](wave))) for wave in clips.values()]
    assert min(shared) >= 2 * LEAST_VOTES


@pytest.mark.slow
@pytest.mark.parametrize("name", COPIES)
def test_copies_of_real_speech_are_candidates(name: str, shared: Path) -> None:
    for wave in speech(
        shared / "speech" / "vctk", shared / "speech" / "aishell3", shared / "speech" / "folder"
    ).values():
        assert votes(fingerprint(wave), fingerprint(COPIES[name](wave))) >= 2 * LEAST_VOTES


def test_different_sentences_are_no_candidates(clips: dict[str, Any]) -> None:
    prints = [fingerprint(wave) for wave in speech().values()]
    assert list(near_duplicates(prints, range(len(prints)))) == []


def test_clips_of_one_utterance_are_no_candidates(clips: dict[str, Any]) -> None:
    wave = next(iter(clips.values()))
    prints = [fingerprint(wave), fingerprint(wave / 2), fingerprint(wave)]
    assert list(near_duplicates(prints, ["a", "a", "a"])) == []
    assert list(near_duplicates(prints, ["a", "a", "b"])) == [(0, 2, MOST_LANDMARKS), (1, 2, MOST_LANDMARKS)]


@pytest.mark.parametrize(
    "wave",
    [np.zeros(0), np.zeros(16000), np.full(8000, 0.5), np.ones(1), np.r_[np.zeros(8000), 1, np.zeros(8000)]],
    ids=["empty", "silent", "constant", "one sample", "click"],
)
def test_what_has_no_peaks_has_a_fingerprint_too(wave: np.ndarray) -> None:
    found = fingerprint(wave.astype(np.float32))
    assert len(found.hashes) == len(found.frames) <= MOST_LANDMARKS
    assert list(near_duplicates([found, fingerprint(next(iter(speech().values())))], [0, 1])) == []


def test_a_fingerprint_is_small_and_each_hash_is_there_once(clips: dict[str, Any]) -> None:
    found = fingerprint(next(iter(clips.values())))
    assert found.hashes.dtype == np.uint32
    assert found.frames.dtype == np.uint16
    assert (np.diff(found.hashes.astype(np.int64)) > 0).all()
    assert found.hashes.nbytes + found.frames.nbytes == 6 * MOST_LANDMARKS


def test_a_landmark_that_everybody_has_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    common = Fingerprint(np.arange(10, dtype=np.uint32), np.arange(10, dtype=np.uint16))
    assert len(list(near_duplicates([common] * 5, range(5)))) == 10
    monkeypatch.setattr(fingerprints, "MOST_SHARERS", 4)
    assert list(near_duplicates([common] * 5, range(5))) == []


def test_offsets_have_to_agree() -> None:
    hashes = np.arange(20, dtype=np.uint32)
    first = Fingerprint(hashes, np.arange(100, 120, dtype=np.uint16))
    scattered = Fingerprint(hashes, (50 * np.arange(20)).astype(np.uint16))
    assert votes(first, scattered) == 0
    between = Fingerprint(hashes, (np.arange(90, 110) + np.arange(20) % 2).astype(np.uint16))
    assert votes(first, between) == 20


def synthetic(clips: int, seed: int) -> list[Fingerprint]:
    """Random fingerprints, whose hashes are as uneven as those of speech: two clips share one in eleven times."""
    generator = np.random.default_rng(seed)
    prints = []
    for _ in range(clips):
        hashes = np.unique((generator.random(MOST_LANDMARKS) ** 2 * 30_000).astype(np.uint32))
        prints.append(Fingerprint(hashes, generator.integers(0, 400, len(hashes)).astype(np.uint16)))
    return prints


@pytest.mark.slow
def test_ten_thousand_clips_take_seconds_and_little_memory() -> None:
    prints = synthetic(10_000, 0)
    prints[7000] = Fingerprint(prints[12].hashes, (prints[12].frames + 17).astype(np.uint16))
    tracemalloc.start()
    begin = process_time()
    found = list(near_duplicates(prints, range(len(prints))))
    seconds = process_time() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (12, 7000) in [pair[:2] for pair in found]
    assert seconds < 30
    assert peak < 500e6


def test_portions_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = synthetic(60, 1)
    prints += [Fingerprint(found.hashes[:40], found.frames[:40] + np.uint16(3)) for found in prints[:10]]
    whole = sorted(near_duplicates(prints, range(len(prints))))
    monkeypatch.setattr(fingerprints, "_PAIRS_AT_A_TIME", 50)
    assert sorted(near_duplicates(prints, range(len(prints)))) == whole
    assert len(whole) == 10


def test_pairs_are_those_of_counting_one_by_one() -> None:
    prints = synthetic(40, 2)
    prints += [Fingerprint(found.hashes, found.frames + np.uint16(index % 2)) for index, found in enumerate(prints[:5])]
    expected = []
    for first, second in combinations(range(len(prints)), 2):
        _, here, there = np.intersect1d(prints[first].hashes, prints[second].hashes, return_indices=True)
        offsets = prints[first].frames[here].astype(int) - prints[second].frames[there]
        most = max((int(((offsets >= start) & (offsets <= start + 2)).sum()) for start in offsets), default=0)
        if most >= LEAST_VOTES:
            expected.append((first, second, most))
    assert sorted(near_duplicates(prints, range(len(prints)))) == expected
