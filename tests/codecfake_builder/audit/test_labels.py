"""Exchanged labels are found within utterances and between pools of splits; classes that sound alike raise no alarm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codecfake_builder.audio import resample
from codecfake_builder.audit.findings import Finding, Status, failed
from codecfake_builder.audit.labels import labels, timbre
from tests.kit.audited import Audited, ClipsInMemory, chained, louder, noisy, speech, through

CLASSES = ("real", "a", "b", "c", "d", "e")
FEATURES = 60
SIZES = {"train": 24, "dev": 8, "eval": 16}
EVAL = ("eval_id", "eval_ood")


class Drawn:
    """Clips without sound, and features that classes, utterances, speakers and chance add up to."""

    def __init__(self, seed: int, noise: float = 0.35, shift: float = 0.3, alike: dict[str, str] | None = None) -> None:
        generator = np.random.default_rng(seed)
        centres = {name: generator.standard_normal(FEATURES) * 0.5 for name in CLASSES}
        centres.update({name: centres[other] for name, other in (alike or {}).items()})
        self.clips, features = [], []
        for split, size in SIZES.items():
            moved = shift * generator.standard_normal((len(CLASSES), FEATURES)) * 0.5
            for number in range(size):
                own = 3 * generator.standard_normal(FEATURES)
                for place, name in enumerate(CLASSES):
                    where = split if split != "eval" else EVAL[place > 3]
                    speaker = f"corpus/{split}{number // 4}"
                    self.clips.append(Audited(None, f"corpus/{split}{number}", where, name, speaker))
                    features.append(centres[name] + moved[place] + own + noise * generator.standard_normal(FEATURES))
        self.features = np.array(features)

    def row(self, split: str, number: int, name: str) -> int:
        place = list(SIZES).index(split)
        return (sum(list(SIZES.values())[:place]) + number) * len(CLASSES) + CLASSES.index(name)

    def exchange(self, split: str, numbers: Any, *names: str) -> None:
        for number in numbers:
            rows = [self.row(split, number, name) for name in names]
            self.features[rows] = self.features[[*rows[1:], rows[0]]]

    def found(self) -> list[Finding]:
        return labels(ClipsInMemory(self.clips), self.features)


@pytest.mark.parametrize("seed", range(4))
def test_right_labels_pass(seed: int) -> None:
    assert [finding.status for finding in Drawn(seed).found()] == [Status.PASS]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "alike"), [(0.35, {"b": "a"}), (0.35, {"b": "a", "c": "a", "e": "d"}), (3.0, {}), (30.0, {})]
)
def test_classes_that_sound_alike_are_no_alarm(noise: float, alike: dict[str, str]) -> None:
    for seed in range(4):
        assert failed(Drawn(seed, noise, alike=alike).found()) == []


@pytest.mark.parametrize(("split", "where"), [("train", "train"), ("dev", "dev"), ("eval", "eval_id, eval_ood")])
@pytest.mark.parametrize("names", [("a", "b"), ("real", "e")])
@pytest.mark.parametrize("count", [2, 3])
def test_labels_exchanged_in_some_utterances(split: str, where: str, names: tuple[str, str], count: int) -> None:
    drawn = Drawn(1)
    drawn.exchange(split, range(1, 1 + count), *names)
    (finding,) = failed(drawn.found())
    assert (finding.line, finding.where) == ("labels", where)
    assert set(finding.classes) == set(names)
    assert finding.values["exchanged"] == [{"classes": sorted(names, key=CLASSES_SORTED.index), "utterances": count}]
    assert all(f"corpus-{split}{number}" in finding.values["clips"][number - 1] for number in range(1, 1 + count))


CLASSES_SORTED = sorted(CLASSES)


def test_labels_exchanged_with_a_class_that_another_one_sounds_like() -> None:
    drawn = Drawn(2, alike={"c": "b"})
    drawn.exchange("train", range(3), "a", "b")
    (finding,) = failed(drawn.found())
    assert set(finding.classes) <= {"a", "b", "c"}
    assert "a" in finding.classes


def test_labels_that_go_round() -> None:
    drawn = Drawn(3)
    drawn.exchange("train", range(4, 7), "a", "b", "c")
    (finding,) = failed(drawn.found())
    assert set(finding.classes) == {"a", "b", "c"}


def test_labels_dealt_out_at_random() -> None:
    """No pair of classes is exchanged twice, but together they are too many for chance."""
    drawn = Drawn(4)
    for number, names in enumerate([("a", "b"), ("c", "d"), ("real", "e"), ("a", "d")]):
        drawn.exchange("train", [5 * number], *names)
    (finding,) = failed(drawn.found())
    assert len(finding.values["clips"]) == 4


@pytest.mark.parametrize("names", [("a", "b"), ("real", "c")])
def test_labels_exchanged_throughout_a_pool(names: tuple[str, str]) -> None:
    drawn = Drawn(5)
    drawn.exchange("train", range(SIZES["train"]), *names)
    findings = failed(drawn.found())
    assert {finding.where for finding in findings} == {"train / dev", "train / eval_id, eval_ood"}
    assert all(set(finding.classes) == set(names) for finding in findings)


def test_a_pool_with_other_sounds_raises_no_alarm() -> None:
    for seed in range(4):
        assert failed(Drawn(seed, shift=1.0).found()) == []


def test_too_few_utterances_are_skipped() -> None:
    drawn = Drawn(0)
    rows = [drawn.row("train", number, name) for number in range(5) for name in CLASSES]
    found = labels(ClipsInMemory([drawn.clips[row] for row in rows]), drawn.features[rows])
    assert [finding.status for finding in found] == [Status.SKIPPED]


def test_clips_that_are_missing_or_made_otherwise_take_no_part() -> None:
    drawn = Drawn(6)
    drawn.exchange("train", range(3), "a", "b")
    gone = {drawn.row("train", 7, "c"), drawn.row("train", 9, "real"), drawn.row("eval", 3, "d")}
    kept = [row for row in range(len(drawn.clips)) if row not in gone]
    clips = [drawn.clips[row] for row in kept]
    clips.append(Audited(None, "corpus/train0", "train", "spoken", origin="generated"))
    clips.append(Audited(None, "corpus/train1", "train", "a", origin="unreadable"))
    found = labels(ClipsInMemory(clips), np.vstack([drawn.features[kept], np.zeros((2, FEATURES))]))
    assert [set(finding.classes) for finding in failed(found)] == [{"a", "b"}]


def test_timbre_of_anything() -> None:
    for wave in (np.zeros(0), np.zeros(100), np.ones(16000), np.random.default_rng(0).standard_normal(16000)):
        found = timbre(wave.astype(np.float32))
        assert found.shape == (120,)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()


def test_timbre_does_not_depend_on_level() -> None:
    wave = next(iter(speech().values()))
    assert np.abs(timbre(wave) - timbre(wave / 4)).max() < 0.5


@pytest.mark.slow
def test_exchanged_codecs_of_speech() -> None:
    codecs = {
        "real": louder(0),
        "mulaw": through("WAV", "ULAW"),
        "adpcm": through("WAV", "IMA_ADPCM"),
        "narrow": lambda wave: resample(resample(wave, 16000, 8000), 8000, 16000),
        "noisy": chained(noisy(-25), louder(-1)),
    }
    waves = list(speech().items())[:24]
    clips = [Audited(None, f"speech/{n}", "train", codec, n.partition("_")[0]) for n, _ in waves for codec in codecs]
    features = np.array([timbre(run(wave)) for _, wave in waves for run in codecs.values()])
    assert failed(labels(ClipsInMemory(clips), features)) == []
    for number in (3, 11):
        rows = [number * len(codecs) + place for place in (1, 2)]
        features[rows] = features[rows[::-1]]
    (finding,) = failed(labels(ClipsInMemory(clips), features))
    assert set(finding.classes) == {"adpcm", "mulaw"}
    assert len(finding.examples) == 2


def test_classes_of_the_same_sound_are_not_told_apart() -> None:
    """A codec that changes nothing: no clip differs from another of its utterance."""
    drawn = Drawn(0)
    drawn.features = np.repeat(drawn.features[:: len(CLASSES)], len(CLASSES), axis=0)
    assert not failed(drawn.found())
