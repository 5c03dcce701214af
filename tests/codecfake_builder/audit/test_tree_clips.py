"""Any tree of audio as clips: folders are classes, names are utterances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codecfake_builder.audit.tree_clips import TreeClips
from codecfake_builder.errors import DatasetError
from tests.kit.audited import encoded

WAVE: Any = np.random.default_rng(0).normal(0, 0.1, 8000)


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(WAVE))
    return root


def test_folders_are_classes_and_names_are_utterances(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "t", "mimi/p225_001.flac", "mimi/deep/p226_001.flac", "snac/snac_p225_001.wav.flac", "snac/x.txt"
    )
    (root / "snac" / "x.txt").write_text("no audio")
    tree(root, "snac/p226_001_snac.flac", "Genuine/p225_001.flac")
    table = TreeClips(root).table
    found = {(row["variant"], row["utterance"], row["speaker"], row["origin"]) for _, row in table.iterrows()}
    assert ("mimi", "p225_001", "vctk/p225", "resynthesized") in found
    assert ("mimi", "p226_001", "vctk/p226", "resynthesized") in found
    assert len(table) == 5
    assert ("snac", "p226_001", "vctk/p226", "resynthesized") in found
    assert ("real", "p225_001", "vctk/p225", "recorded") in found


def test_recordings_are_found_by_name_and_others_left_out(tmp_path: Path) -> None:
    root = tree(tmp_path / "t", "a/p225_001.flac", "b/p225_001.flac")
    real = tree(tmp_path / "r", "p225/p225_001_mic2.flac", "p225/p225_001_mic1.flac", "p225/p225_002_mic1.flac")
    clips = TreeClips(root, real)
    assert list(clips.table["origin"]) == ["resynthesized", "resynthesized", "recorded"]
    assert clips.paths[2].name == "p225_001_mic1.flac"
    assert list(clips.source) == [2, 2, -1]
    assert clips.read(0) == clips.handle(2).read()


def test_what_is_no_tree_of_classes_is_refused_in_one_line(tmp_path: Path) -> None:
    one = tree(tmp_path / "one", "a/x.flac")
    with pytest.raises(DatasetError, match="no such folder"):
        TreeClips(tmp_path / "none")
    with pytest.raises(DatasetError, match="a folder for each class"):
        TreeClips(one)
    with pytest.raises(DatasetError, match="has the name of a clip"):
        TreeClips(tree(tmp_path / "two", "a/x.flac", "b/x.flac"), tree(tmp_path / "r", "y.flac"))
