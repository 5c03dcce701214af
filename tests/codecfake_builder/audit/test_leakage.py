"""What is planted in clean clips is found by its own line, and by no other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from codecfake_builder.audio import decode, resample
from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.findings import Finding, Status, failed
from codecfake_builder.audit.leakage import against, duplicates, near_duplicates, speakers, texts, utterances
from codecfake_builder.audit.leakage.against import Known, known_of, read_known
from codecfake_builder.audit.leakage.copies import compare
from codecfake_builder.audit.leakage.splits import normalized
from codecfake_builder.audit.measuring.fingerprints import fingerprint
from codecfake_builder.errors import DatasetError
from tests.kit.audited import COPIES, Audited, ClipsInMemory, chained, later, louder, speech, through

HERE, THERE = "train", "eval_id, eval_ood"
VARIANTS = {"real": louder(0), "coded": chained(louder(-1), through("OGG", "VORBIS"))}


def clean() -> list[Audited]:
    return list(made())


@cache
def made() -> tuple[Audited, ...]:
    """Four utterances to learn from, four to evaluate on, of two speakers each, real and through a codec."""
    found = []
    for number, (name, wave) in enumerate(list(speech().items())[:8]):
        split = "train" if number < 4 else "eval_id"
        for variant, codec in VARIANTS.items():
            speaker = f"speech/{name.partition('_')[0]}{number // 2}"
            found.append(Audited(codec(wave), f"speech/{name}", split, variant, speaker, f"Sentence {name}, read."))
        if number >= 4:
            found.append(dataclasses.replace(found[-1], split="eval_ood", variant="other", wave=louder(-3)(wave)))
    return tuple(found)


def place(clips: list[Audited], split: str, variant: str, number: int = 0) -> int:
    return [row for row, clip in enumerate(clips) if (clip.split, clip.variant) == (split, variant)][number]


def hashes(clips: Clips) -> list[bytes]:
    waves = [decode(clips.read(row))[0] for row in range(len(clips))]
    return [hashlib.sha256(np.rint(wave * 32768).astype("<i2").tobytes()).digest() for wave in waves]


def near(clips: Clips) -> list[Finding]:
    prints = [fingerprint(decode(clips.read(row))[0]) for row in range(len(clips))]
    return near_duplicates(clips, prints, hashes(clips))


def look(found: list[Audited], disjoint: bool = True) -> list[Finding]:
    clips = ClipsInMemory(found)
    return [
        *speakers(clips, disjoint),
        *texts(clips, disjoint),
        *utterances(clips),
        *duplicates(clips, hashes(clips)),
        *near(clips),
    ]


def lines(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.line, finding.where) for finding in failed(findings)]


def test_clean_clips_pass_every_line() -> None:
    findings = look(clean())
    assert {finding.line for finding in findings} == {
        "speakers",
        "texts",
        "utterances",
        "duplicates",
        "identical variants",
        "near duplicates",
    }
    assert {finding.status for finding in findings} == {Status.PASS}


def test_a_speaker_in_two_splits() -> None:
    found = clean()
    name = found[0].speaker
    moved = [
        dataclasses.replace(clip, speaker=name) if clip.utterance == found[-1].utterance else clip for clip in found
    ]
    findings = look(moved)
    assert lines(findings) == [("speakers", f"{HERE} / {THERE}")]
    assert failed(findings)[0].examples == (name,)
    assert failed(findings)[0].values == {"shared": 1}
    allowed = next(finding for finding in look(moved, disjoint=False) if finding.line == "speakers")
    assert allowed.status is Status.NOTE
    assert allowed.values == {"shared": 1}


@pytest.mark.parametrize("name", [None, "speech/unknown"])
def test_speakers_that_are_not_known_are_nobody(name: str | None) -> None:
    found = [dataclasses.replace(clip, speaker=name) for clip in clean()]
    assert [finding.status for finding in speakers(ClipsInMemory(found), True)] == [Status.SKIPPED]


@pytest.mark.parametrize("change", [str.upper, lambda text: text.replace(",", " –") + "!", lambda text: f" {text}\n"])
def test_a_text_in_two_splits(change: Callable[[str], str]) -> None:
    found = clean()
    text = change(str(found[0].text))
    moved = [dataclasses.replace(clip, text=text) if clip.utterance == found[-1].utterance else clip for clip in found]
    assert lines(look(moved)) == [("texts", f"{HERE} / {THERE}")]
    assert lines(look(moved, disjoint=False)) == []


def test_texts_that_are_not_written_are_none() -> None:
    found = [dataclasses.replace(clip, text=text) for clip, text in zip(clean(), [None, "...", ""] * 9, strict=False)]
    assert [finding.status for finding in texts(ClipsInMemory(found), True)] == [Status.SKIPPED]


@pytest.mark.parametrize(("split", "status"), [("unseen_real", Status.NOTE), ("dev", Status.FAIL)])
def test_texts_of_two_evaluations_may_be_the_same(split: str, status: Status) -> None:
    found = clean()
    more = dataclasses.replace(found[-1], utterance="other/1", split=split, speaker="other/a")
    assert status in [finding.status for finding in texts(ClipsInMemory([*found, more]), True)]


def test_texts_are_compared_by_their_letters() -> None:
    assert normalized("Ｈello, Wörld — 你好。") == normalized("hello wörld 你 好!") == "hellowörld你好"
    assert normalized("STRASSE") == normalized("straße")
    assert normalized("a1") != normalized("a2")


@pytest.mark.parametrize("split", ["eval_id", "dev"])
def test_an_utterance_to_learn_from_and_to_evaluate_on(split: str) -> None:
    found = clean()
    moved = found[place(found, "train", "coded")]
    findings = look([*found, dataclasses.replace(moved, split=split, variant="third", wave=louder(-2)(moved.wave))])
    assert lines(findings) == [("utterances", f"{HERE} / {split}")]
    assert failed(findings)[0].examples == (moved.utterance,)


@pytest.mark.parametrize(
    ("source", "target", "where"),
    [
        (("train", "coded", 0), ("eval_id", "coded", 0), f"{HERE} / {THERE}"),
        (("train", "coded", 0), ("train", "coded", 1), HERE),
        (("eval_ood", "other", 0), ("eval_id", "real", 1), THERE),
    ],
)
def test_a_duplicate_clip(source: tuple[str, str, int], target: tuple[str, str, int], where: str) -> None:
    found = clean()
    first, second = place(found, *source), place(found, *target)
    found[second] = dataclasses.replace(found[second], wave=found[first].wave)
    findings = look(found)
    assert lines(findings) == [("duplicates", where)]
    assert found[first].row()["id"] in failed(findings)[0].examples[0]
    assert found[second].row()["id"] in failed(findings)[0].examples[0]


def test_identical_variants() -> None:
    found = clean()
    for number in range(2):
        row = place(found, "eval_ood", "other", number)
        found[row] = dataclasses.replace(found[row], wave=found[place(found, "eval_id", "coded", number)].wave)
    (finding,) = failed(look(found))
    assert finding.line == "identical variants"
    assert finding.classes == ("coded", "other")
    assert finding.values == {"variants": ["coded", "other"], "identical": 2, "utterances": 4}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize(
    ("source", "target", "where"),
    [
        (("train", "real", 0), ("eval_id", "real", 0), f"{HERE} / {THERE}"),
        (("eval_id", "coded", 0), ("eval_ood", "other", 2), THERE),
    ],
    ids=["between pools", "within a pool"],
)
@pytest.mark.slow
def test_a_near_duplicate(name: str, source: tuple[str, str, int], target: tuple[str, str, int], where: str) -> None:
    found = clean()
    first, second = place(found, *source), place(found, *target)
    found[second] = dataclasses.replace(found[second], wave=COPIES[name](found[first].wave))
    findings = look(found)
    assert lines(findings) == [("near duplicates", where)]
    (pair,) = failed(findings)[0].values["pairs"]
    assert pair["clips"][1] == found[second].row()["id"]
    assert pair["clips"][0].endswith(found[first].utterance.replace("/", "-"))  # the codec of the test changes little


def test_a_near_duplicate_is_told_with_its_lag_and_level() -> None:
    found = clean()
    first, second = place(found, "train", "real"), place(found, "eval_id", "real")
    found[second] = dataclasses.replace(found[second], wave=later(133)(louder(1)(found[first].wave)))
    (finding,) = failed(look(found))
    assert finding.line == "near duplicates"
    (pair,) = finding.values["pairs"]
    assert (pair["lag_ms"], pair["level_db"]) == (133.0, pytest.approx(1, abs=0.1))
    assert "+133 ms, +1.0 dB" in finding.summary


def test_an_utterance_under_two_names_is_said_once() -> None:
    found = clean()
    copies = [
        dataclasses.replace(clip, utterance="speech/again") for clip in found if clip.utterance == found[0].utterance
    ]
    assert lines(look([*found, *copies])) == [("duplicates", HERE)]


def test_fakes_made_elsewhere_from_recordings_that_are_evaluated_on_are_noted() -> None:
    found = clean()
    recording = found[place(found, "eval_id", "real")]
    fake = Audited(through("MP3", "MPEG_LAYER_III")(recording.wave), "other/1", "ood", "vocoder", origin="vocoded")
    findings = near(ClipsInMemory([*found, fake]))
    assert [finding.status for finding in findings] == [Status.PASS, Status.NOTE]
    learned = dataclasses.replace(fake, split="dev")
    assert [finding.where for finding in failed(near(ClipsInMemory([*found, learned])))] == [f"{THERE} / dev"]


def test_clips_that_cannot_be_read_take_no_part() -> None:
    found = clean()
    clips = ClipsInMemory([dataclasses.replace(found[0], origin="unreadable"), *found[1:]])
    prints = [None, *(fingerprint(decode(clips.read(row))[0]) for row in range(1, len(clips)))]
    digests = [b"", *hashes(clips)[1:]]
    assert not failed(near_duplicates(clips, prints, digests) + duplicates(clips, digests))
    assert not failed(duplicates(clips, [b""] * len(clips)))


@pytest.mark.slow
def test_different_speech_is_no_copy(shared: Path) -> None:
    """All pairs of real recordings, and of their parts: the same speaker in the same room."""
    waves = speech(shared / "speech" / "vctk", shared / "speech" / "aishell3", shared / "speech" / "folder")
    parts = [wave[start : start + 32000] for wave in waves.values() for start in range(0, len(wave) - 24000, 32000)]
    assert [pair for pair in combinations(range(len(parts)), 2) if compare(parts[pair[0]], parts[pair[1]])] == []


@pytest.mark.slow
def test_official_outputs(shared: Path) -> None:
    """Two folders of FunCodec are identical; no sentence is a copy of another one, through no codec."""
    files = sorted((shared / "speech" / "official_codec_outputs").glob("*/*.flac"))
    found = [Audited(decode(path.read_bytes())[0], path.stem, "files", path.parent.name) for path in files]
    findings = look(found)
    assert lines(findings) == [("identical variants", "all")]
    (finding,) = failed(findings)
    assert finding.classes == (
        "funcodec-funcodec_zh_en_general_16k_nq32ds320",
        "funcodec-funcodec_zh_en_general_16k_nq32ds640",
    )
    assert finding.values["identical"] == finding.values["utterances"] == 3


@pytest.mark.slow
def test_outputs_of_codecs_are_copies_of_their_source(shared: Path) -> None:
    sources = speech(shared / "speech" / "vctk")
    for path in (shared / "speech" / "official_codec_outputs").glob("*/*.flac"):
        wave, rate = decode(path.read_bytes())
        found = compare(sources[f"{path.stem}_mic1"], resample(wave, rate, 16000))
        assert found is not None, path
        assert abs(found.lag_ms) <= 10


HASH = "a" * 64
OWN = Known(frozenset({HASH, "b" * 64}), frozenset({"vctk/p225"}), frozenset({"vctk/p225_001", "vctk/p225_002"}))


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (Known(frozenset({HASH})), {"audio": 1}),
        (Known(frozenset({"c" * 64}), frozenset({"p225"})), {"audio": 0, "speakers": 1}),
        (Known(utterances=frozenset({"vctk/p225_001", "libri/p225_002"})), {"utterances": 1}),
        (Known(speakers=frozenset({"libri/p225"})), {"speakers": 0}),
    ],
)
def test_against_other_data(other: Known, shared: dict[str, int]) -> None:
    findings = against(OWN, other, "list.txt")
    assert {finding.values["kind"]: finding.values["shared"] for finding in findings} == shared
    assert all((finding.status is Status.FAIL) == bool(finding.values["shared"]) for finding in findings)
    assert {finding.line for finding in findings} == {"against"}


def test_against_nothing() -> None:
    assert [finding.status for finding in against(OWN, Known(), "empty.txt")] == [Status.SKIPPED]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("list.txt", f"{HASH.upper()}\n\np225\n", Known(frozenset({HASH}), frozenset({"p225"}), frozenset({"p225"}))),
        ("list.csv", f"sha256,speaker\n{HASH},p1\n,unknown\n", Known(frozenset({HASH}), frozenset({"p1"}))),
        ("list.tsv", "speaker\tcorpus\tutterance_id\np1\tvctk\tp1_1\n", None),
        ("list.jsonl", json.dumps({"speaker": "p1", "corpus": "vctk", "utterance_id": "p1_1", "more": 1}), None),
        ("hashes.csv", f'"audio_sha256"\n"{HASH}"\n', Known(frozenset({HASH}))),
    ],
)
def test_lists_are_read(name: str, content: str, expected: Known | None, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    wanted = expected or Known(frozenset(), frozenset({"vctk/p1"}), frozenset({"vctk/p1_1"}))
    assert read_known(tmp_path / name) == wanted


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.csv", "path\na.wav\n", "no column sha256"),
        ("list.csv", "sha256\nabc\n", "line 2: sha256: 'abc' is no sha256"),
        ("list.jsonl", "{", "line 1: not JSON"),
        ("list.txt", b"\xff\xfe\xfa", "list.txt"),
        ("folder", None, "no dataset of this builder"),
        ("missing.txt", None, "missing.txt"),
    ],
)
def test_lists_that_cannot_be_read(name: str, content: str | bytes | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DatasetError, match=message) as raised:
        read_known(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_a_dataset_is_held_against_itself(tmp_path: Path) -> None:
    row: dict[str, Any] = {"audio_sha256": HASH, "source_sha256": "b" * 64, "corpus": "vctk", "speaker": "p225"}
    (tmp_path / "metadata").mkdir()
    table = pd.DataFrame([{**row, "utterance_id": "p225_001", "is_fake": False, "origin": "recorded"}])
    table.to_parquet(tmp_path / "metadata" / "train.parquet")
    known = read_known(tmp_path)
    assert known == Known(frozenset({HASH, "b" * 64}), frozenset({"vctk/p225"}), frozenset({"vctk/p225_001"}))
    assert [finding.values["shared"] for finding in against(OWN, known, "itself")] == [2, 1, 1]


def test_clips_are_held_against_a_list() -> None:
    clips = ClipsInMemory(clean())
    known = known_of(clips, hashes(clips))
    assert len(known.utterances) == 8
    assert len(known.sha256) == len(clips)
    other = Known(speakers=frozenset({str(clean()[0].speaker)}))
    assert lines(against(known, other, "list")) == [("against", "list")]
