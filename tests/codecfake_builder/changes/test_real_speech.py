"""The first real job of the README: real speech through Lyra V2's official weights."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import soundfile

from codecfake_builder.dataset.verify import verify
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

LYRA = ("lyra_v2_3_2kbps", "lyra_v2_6kbps", "lyra_v2_9_2kbps")


@pytest.fixture(scope="module")
def dataset(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VCTK and AISHELL-3 in their own layouts, and two folder trees, through one build."""
    out = tmp_path_factory.mktemp("real") / "lyra-dataset"
    speech = shared / "speech"
    settings = [
        f"corpora.vctk.root={speech / 'vctk'}",
        f"corpora.aishell3.root={speech / 'aishell3'}",
        f"corpora.english={{kind: folder, root: {speech / 'folder' / 'en'}, language: en}}",
        f"corpora.mandarin={{kind: folder, root: {speech / 'folder' / 'zh'}, language: zh}}",
        f"weights.lyra_v2={shared / 'weights' / 'lyra_v2'}",
    ]
    command = [sys.executable, "-m", "codecfake_builder", "build", "lyra", "--out", str(out)]
    for setting in settings:
        command += ["--set", setting]
    run = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert run.returncode == 0, run.stderr
    return out


def samples(row: dict[str, Any]) -> np.ndarray:
    audio, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
    assert rate == 16000
    assert audio.ndim == 1
    return audio


def test_every_split_opens_and_is_not_empty(dataset: Path, tmp_path: Path) -> None:
    for config in ("all", "soundstream"):
        found = datasets.load_dataset(str(dataset), config, cache_dir=str(tmp_path))
        assert set(found) == {"train", "dev", "eval_id"}
        for split in found.values():
            assert set(split["variant"]) == {"real", *LYRA}
            assert {split.features["label"].int2str(label) for label in split["label"]} == {"real", "soundstream"}
    assert sum(split.num_rows for split in found.values()) == 18 * 4


def test_clips_have_their_sources_length_and_sound_like_them(dataset: Path, tmp_path: Path) -> None:
    found = datasets.load_dataset(str(dataset), cache_dir=str(tmp_path))
    by_utterance: dict[str, dict[str, np.ndarray]] = {}
    for split in found.values():
        for row in split.cast_column("audio", datasets.Audio(decode=False)):
            by_utterance.setdefault(row["utterance_id"], {})[row["variant"]] = samples(row)
    assert len(by_utterance["SSB00050002"]["real"]) == 56575
    for utterance, clips in by_utterance.items():
        real = clips["real"]
        assert {len(clip) for clip in clips.values()} == {len(real)}
        quality = [float(np.corrcoef(real, clips[variant])[0, 1]) for variant in LYRA]
        assert quality[0] < quality[2], utterance
        if utterance in ("SSB00050002", "p225_273", "p295_144", "p318_114"):
            assert quality[2] >= 0.85, (utterance, quality)


def test_decoded_rows_through_torchcodec(dataset: Path, tmp_path: Path) -> None:
    try:
        import torchcodec  # noqa: F401
    except (ImportError, RuntimeError):
        pytest.skip("torchcodec (extra train) or the ffmpeg libraries it needs are not installed")
    row = datasets.load_dataset(str(dataset), split="train", cache_dir=str(tmp_path))[0]
    assert row["audio"]["sampling_rate"] == 16000
    assert row["audio"]["array"].shape == (round(row["duration"] * 16000),)


def test_it_verifies(dataset: Path) -> None:
    found = verify(dataset)
    assert found.problems == []
    assert found.clips == 18 * 4
