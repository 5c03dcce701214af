"""The embedded edition: built from what the repository carries, by the code that builds the complete one."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import datasets
import numpy as np
import pytest
import soundfile
from librosa.feature import melspectrogram
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from codecfake_builder.audit.audit import audit_dataset
from codecfake_builder.audit.findings import failed
from codecfake_builder.changes.build import BuildResult, build
from codecfake_builder.dataset.quality import measure_stoi
from codecfake_builder.dataset.verify import verify
from codecfake_builder.recipe.load import load_recipe
from tests.conftest import REPOSITORY
from tests.kit.datasets_for_tests import rows

MINI = REPOSITORY / "recipes" / "mini"
SPLITS = {
    "train": 7,
    "dev": 7,
    "eval_id": 7,
    "eval_ood": 5,
    "id_config": 2,
    "ood_config": 1,
    "unseen_real": 1,
    "id_source": 2,
    "ood_source": 1,
    "ood_vocoder": 1,
    "alm": 1,
}
"""Splits of the edition, and through how many variants their utterances pass."""
FAMILIES = 11

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildResult]:
    out = tmp_path_factory.mktemp("edition") / "st-codecfake-mini"
    return out, build(load_recipe("mini"), out)


def test_every_split_and_class_is_there(edition: tuple[Path, BuildResult]) -> None:
    out, result = edition
    clips = {split: sum(cell.clips for cell in result.contents.cells if cell.split == split) for split in SPLITS}
    utterances = {"train": 24, "dev": 8, "ood_vocoder": 8}
    assert clips == {split: variants * utterances.get(split, 16) for split, variants in SPLITS.items()}
    assert not [cell for cell in result.contents.cells if cell.rejected]
    assert result.contents.families[-1] == "vocoder"
    assert len(result.contents.families) == FAMILIES + 1
    opened = datasets.load_dataset(str(out), cache_dir=str(out.parent / "cache"))
    assert set(opened) == set(SPLITS)
    assert set(opened["train"].features["label"].names) == {"real", *result.contents.families} - {"vocoder"}
    assert verify(out).problems == []


def test_it_opens_as_the_readme_shows(edition: tuple[Path, BuildResult]) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    code = next(text for text in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "st-codecfake-mini" in text)
    out, _ = edition
    code = code.replace("build/st-codecfake-mini", str(out))
    code = code.replace('split="eval_id"', f'split="eval_id", cache_dir="{out.parent / "readme-cache"}"')
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("112 ['real', 'mimi',")


def test_splits_share_neither_speakers_nor_sentences(edition: tuple[Path, BuildResult]) -> None:
    out, _ = edition
    speakers, sentences = defaultdict(set), defaultdict(set)
    for split in ("train", "dev", "eval_id", "unseen_real"):
        for row in rows(out, f"{split}/real-*.parquet"):
            speakers[split].add(row["speaker"])
            sentences[split].add(row["text"])
    for found in (speakers, sentences):
        everything = [value for values in found.values() for value in values]
        assert len(everything) == len(set(everything))
    assert {row["language"] for row in rows(out, "eval_id/real-*.parquet")} == {"en", "zh"}


def test_the_codecs_leave_speech_intelligible(edition: tuple[Path, BuildResult]) -> None:
    """No clip of the edition was in the codecs' training, nor its voice."""
    out, result = edition
    family = result.contents.family
    scores = {family(s.variant): s.median for s in measure_stoi(out, 16) if s.split in ("eval_id", "eval_ood")}
    assert len(scores) == FAMILIES
    assert min(scores.values()) >= 0.70, scores
    assert sum(score >= 0.75 for score in scores.values()) > FAMILIES / 2, scores
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "## Intelligibility" in card
    assert "synthesized with espeak-ng" in card


def test_a_plain_classifier_tells_the_classes_apart(edition: tuple[Path, BuildResult]) -> None:
    """By the signal alone: statistics of log-mel bands over time, nothing of lengths or headers."""
    out, _ = edition
    (train, train_labels), (test, test_labels) = _features(out, "train"), _features(out, "eval_id")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(train, train_labels)
    assert f1_score(test_labels, classifier.predict(test), average="macro") >= 0.9


def test_no_gate_tells_the_classes_apart(edition: tuple[Path, BuildResult]) -> None:
    """Neither ends, nor levels, nor silence of clips do: what no codec has to change."""
    out, result = edition
    done = audit_dataset(out, result.root)
    assert done.passed, [finding.summary for finding in failed(done.findings)]


def test_ends_and_levels_of_clips_are_at_chance(edition: tuple[Path, BuildResult]) -> None:
    """A probe of its own, from train to eval_id, beside the audit's: chance is 0.14. Speech that was not put into rooms
    gave 0.93 by the edges."""
    out, _ = edition
    (train, train_labels), (test, test_labels) = (_gates(out, split) for split in ("train", "eval_id"))
    for name, values in train.items():
        forest = RandomForestClassifier(300, random_state=0, min_samples_leaf=2).fit(values, train_labels)
        assert f1_score(test_labels, forest.predict(test[name]), average="macro") <= 0.3, name


def _gates(dataset: Path, split: str) -> tuple[dict[str, np.ndarray], list[int]]:
    """Edges, level and lowest bits of a split's clips."""
    gates, labels = defaultdict(list), []
    for row in rows(dataset, f"{split}/*.parquet"):
        wave, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float64")
        ends = [wave[:320], wave[-320:], wave[:1600], wave[-1600:]]
        energies = [10 * np.log10(np.mean(np.square(end)) + 1e-10) for end in ends]
        gates["edges"].append([wave[0], wave[-1], *energies])
        gates["level"].append([wave.std(), wave.mean()])
        gates["lowest bits"].append([(wave == 0).mean(), (np.rint(wave * 32768).astype(int) & 1).mean()])
        labels.append(row["label"])
    return {name: np.array(values) for name, values in gates.items()}, labels


def _features(dataset: Path, split: str) -> tuple[np.ndarray, list[int]]:
    features, labels = [], []
    for row in rows(dataset, f"{split}/*.parquet"):
        wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        mel = np.log(melspectrogram(y=wave, sr=rate, n_fft=1024, hop_length=256, n_mels=64) + 1e-8)
        features.append(np.concatenate([mel.mean(axis=1), mel.std(axis=1), np.abs(np.diff(mel, axis=1)).mean(axis=1)]))
        labels.append(row["label"])
    return np.array(features), labels


def test_a_prompt_is_continued_not_repeated(edition: tuple[Path, BuildResult]) -> None:
    out, _ = edition
    clips = rows(out, "alm/*.parquet")
    assert {(row["codec"], row["alm"]) for row in clips} == {("mimi", "codec_lm_mimi")}
    assert len({row["audio_sha256"] for row in clips}) == len(clips)
    assert all(0.3 <= row["duration"] <= 2.6 for row in clips)


def test_what_the_repository_carries_is_small_and_says_what_it_is() -> None:
    weights = [path for path in (MINI / "weights").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in weights) < 10e6
    for folder in (MINI / "weights").iterdir():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        assert size < 1e6 or folder.name == "lyra_v2", folder
    speech = [path for corpus in ("recorded", "other") for path in (MINI / corpus).glob("*.flac")]
    assert sum(path.stat().st_size for path in speech) < 4e6
    for corpus, clips in (("recorded", 48), ("other", 16), ("vocoded", 8)):
        table = list(csv.DictReader((MINI / f"{corpus}.csv").open(encoding="utf-8")))
        assert len(table) == clips
        for row in table:
            info = soundfile.info(MINI / corpus / row["path"])
            assert (info.samplerate, info.channels) == (16000 if corpus == "vocoded" else 24000, 1)
            assert 1.0 <= info.duration <= 4.0
    about = (MINI / "README.md").read_text(encoding="utf-8")
    assert "espeak-ng" in about
    assert "Apache-2.0" in about
