"""Trials keep speakers apart, and permute what can be exchanged."""

from __future__ import annotations

from typing import Any

import numpy as np

from codecfake_builder.audit.findings import failed
from codecfake_builder.audit.gates import gate_findings, generated_findings
from codecfake_builder.audit.measuring.features import FEATURES
from codecfake_builder.audit.probes import trials, trials_of_generated
from tests.kit.audited import Audited, ClipsInMemory

WAVE = np.zeros(10)


def clips(speakers: int = 8, each: int = 4, variants: tuple[str, ...] = ("real", "a", "b")) -> ClipsInMemory:
    return ClipsInMemory(
        [
            Audited(WAVE, f"{split}{speaker}_{number}", split, variant, f"{split}{speaker}")
            for split in ("train", "eval_id")
            for speaker in range(speakers)
            for number in range(each)
            for variant in variants
        ]
    )


def values(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, len(FEATURES)))


def test_halves_have_no_common_speaker_and_train_predicts_the_rest() -> None:
    found = clips()
    made = trials(found)
    assert len(made) == 5
    speakers = found.table["speaker"].to_numpy()
    for trial in made:
        assert not set(speakers[trial.learn]) & set(speakers[trial.predict])
        assert trial.paired
        assert trial.classes == ("real", "a", "b")
        assert abs(len(trial.learn) - len(trial.predict)) <= 12 or trial.name.startswith("train ->")


def test_classes_without_common_utterances_are_exchanged_all_together() -> None:
    found = ClipsInMemory(
        [Audited(WAVE, f"{variant}{number}", "files", variant, None) for variant in "ab" for number in range(50)]
    )
    made = trials(found)
    assert made
    assert not any(trial.paired for trial in made)
    features = values(len(found))
    assert not failed(gate_findings(made, features, []))
    features[:, 0] += np.where(found.table["variant"] == "a", 10, 0)
    assert {finding.line for finding in failed(gate_findings(made, features, []))} == {"length"}


def test_a_class_that_failed_before_is_left_out_of_what_follows_from_it() -> None:
    found = clips()
    features = values(len(found))
    own = np.flatnonzero(found.table["variant"] == "a")
    for number, feature in enumerate(FEATURES):
        if feature.name in ("trailing_silence", "last_20ms"):
            features[own, number] += 20
    lines = {finding.line: finding for finding in gate_findings(trials(found), features, [])}
    assert lines["silence"].status == "fail"
    assert lines["silence"].classes[0] == "a"
    assert lines["edges"].status == "pass"
    assert "without a" in lines["edges"].summary


def test_one_class_alone_gives_no_trial_and_the_lines_say_so() -> None:
    found = clips(variants=("a",))
    assert trials(found) == []
    assert {finding.status for finding in gate_findings([], values(len(found)), [])} == {"skipped"}


def test_generated_speech_is_reported_and_fails_nothing() -> None:
    made = [
        Audited(WAVE, f"{speaker}_{number}", "alm", variant, f"s{speaker}", origin=origin)
        for speaker in range(6)
        for number in range(4)
        for variant, origin in (("real", "recorded"), ("moshi", "generated"))
    ]
    found = ClipsInMemory(made)
    features = values(len(found))
    features[found.table["variant"] == "moshi"] += 10
    assert trials(found) == []
    notes = generated_findings(trials_of_generated(found), features)
    assert notes
    assert not failed(notes)
    assert all("1.00/1.00" in note.summary for note in notes)


def test_the_same_clips_give_the_same_figures() -> None:
    first, second = (gate_findings(trials(clips()), values(len(clips())), []) for _ in range(2))
    assert [finding.values for finding in first] == [finding.values for finding in second]


def test_of_many_clips_whole_utterances_are_taken(monkeypatch: Any) -> None:
    monkeypatch.setattr("codecfake_builder.audit.probes.MOST_CLIPS", 20)
    found = clips()
    utterances = found.table["utterance"].to_numpy()
    for trial in trials(found):
        assert len(trial.predict) <= 20
        counts = np.unique(utterances[trial.predict], return_counts=True)[1]
        assert set(counts) == {3}
