"""The embedded edition's speech: what makes it, and the clips that the repository carries."""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tests.conftest import REPOSITORY
from tools.make_speech import EDITION, SENTENCES, TRAINING_VARIANTS, vocoded
from tools.recording import RATE

MINI = REPOSITORY / "recipes" / "mini"
CORPORA = {"recorded": 48, "other": 16, "vocoded": 8}
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="the program espeak-ng is not installed")


def table(corpus: str) -> list[dict[str, str]]:
    """Rows of a corpus of the edition."""
    with (MINI / f"{corpus}.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def clips() -> dict[str, np.ndarray]:
    """The tracked clips by corpus and name, int16."""
    return {
        f"{corpus}/{row['path']}": soundfile.read(MINI / corpus / row["path"], dtype="int16")[0]
        for corpus in CORPORA
        for row in table(corpus)
    }


def test_the_tracked_clips_are_those_of_the_tables(clips: dict[str, np.ndarray]) -> None:
    for corpus, count in CORPORA.items():
        assert len(table(corpus)) == count
        assert {path.name for path in (MINI / corpus).iterdir()} == {row["path"] for row in table(corpus)}
    sizes = [(MINI / name).stat().st_size for name in clips]
    assert sum(sizes) < 5e6


def test_no_part_of_a_tracked_clip_is_digitally_silent(clips: dict[str, np.ndarray]) -> None:
    for name, samples in clips.items():
        parts = samples[: len(samples) // 240 * 240].reshape(-1, 240)
        assert parts.std(axis=1).min() > 0, name
        assert (samples == 0).mean() < 0.15, name


def test_ends_of_the_tracked_clips_hold_room_or_speech(clips: dict[str, np.ndarray]) -> None:
    """20 ms at each end are louder than two steps, and quieter than the clip."""
    for name, samples in clips.items():
        for end in (samples[:480], samples[-480:]):
            assert np.sqrt(np.mean(np.square(end, dtype=float))) > 2, name
    firsts = [int(samples[0]) for samples in clips.values()]
    assert len(set(firsts)) > len(firsts) / 2


def test_levels_of_the_tracked_clips_are_spread(clips: dict[str, np.ndarray]) -> None:
    for corpus in CORPORA:
        of_corpus = [samples / 32768 for name, samples in clips.items() if name.startswith(corpus)]
        peaks = 20 * np.log10([np.abs(wave).max() for wave in of_corpus])
        assert np.ptp(peaks) >= (12 if corpus == "recorded" else 8)
        assert len(set(peaks.round(4))) >= len(peaks) - 1
        assert 3 <= np.std(20 * np.log10([wave.std() for wave in of_corpus])) <= 6


def test_a_vocoded_clip_has_length_level_and_offset_of_its_source(clips: dict[str, np.ndarray]) -> None:
    source = clips["other/oe1_1.flac"].astype(np.float32) / 32768 + 0.01
    made = vocoded(source)
    assert len(made) == len(source)
    assert made.std() == pytest.approx(source.std(), rel=1e-4)
    assert made.mean() == pytest.approx(source.mean(), abs=1e-5)


def test_sentences_and_voices_are_of_one_speaker_each() -> None:
    sentences = [text for texts in yaml.safe_load(SENTENCES.read_text("utf-8")).values() for text in texts]
    assert len(sentences) == len(set(sentences)) == 64
    voices = [voice for languages in EDITION.values() for group in languages.values() for voice in group]
    assert len({voice.name for voice in voices}) == len(voices) == 16
    assert not {voice.variant for voice in voices} & set(TRAINING_VARIANTS)


@needs_espeak
@pytest.mark.slow
def test_the_same_command_makes_the_same_bytes(tmp_path: Path) -> None:
    made = defaultdict(set)
    for name in ("once", "again"):
        command = [sys.executable, "tools/make_speech.py", "edition", str(tmp_path / name)]
        subprocess.run(command, check=True, cwd=REPOSITORY)
        for path in sorted((tmp_path / name).rglob("*.*")):
            made[path.relative_to(tmp_path / name)].add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(made) == sum(CORPORA.values()) + len(CORPORA)
    assert all(len(contents) == 1 for contents in made.values())
    for corpus in CORPORA:
        assert (tmp_path / "once" / f"{corpus}.csv").read_text("utf-8") == (MINI / f"{corpus}.csv").read_text("utf-8")


@needs_espeak
def test_training_material_is_a_recording_too(tmp_path: Path) -> None:
    command = [sys.executable, "tools/make_speech.py", "training", str(tmp_path), "--clips", "4"]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    waves = [soundfile.read(path, dtype="int16") for path in sorted(tmp_path.glob("*.flac"))]
    assert [rate for _, rate in waves] == [RATE] * 4
    assert all((samples == 0).mean() < 0.15 for samples, _ in waves)
    assert len({int(np.abs(samples.astype(int)).max()) for samples, _ in waves}) == 4
