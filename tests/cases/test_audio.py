"""Audio files that went in wrongly once, or ended a build: each has its right value, in decoding and in a build."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codecfake_builder.audio import decode, make_fit
from codecfake_builder.corpora import FolderConfig
from codecfake_builder.recipe.load import parse_recipe
from codecfake_builder.rejections import RejectedError
from tests.cases.test_corpora import index_of
from tests.kit.datasets_for_tests import built, rows

WHOLE = {
    "audio/flac_total_samples_0.flac": 24634,
    "audio/wav_piped_7ffff000_whole.wav": 24634,
    "audio/wav_riff_too_big_whole.wav": 24634,
    "audio/mp3_vbr_no_xing_whole.mp3": 25920,
    "levels/19_float_int_scale.wav": 24634,
}
REJECTED = {
    "audio/wav_riff_ffffffff_cut_in_half.wav": "truncated",
    "audio/ogg_cut_in_half.ogg": "truncated",
    "audio/zero_bytes.wav": "unreadable",
    "audio/git_lfs_pointer.wav": "unreadable",
    "levels/25_antiphase.wav": "silent",
    "levels/70_digital_silence.wav": "silent",
}


@pytest.mark.parametrize(("name", "samples"), WHOLE.items())
def test_a_whole_file_is_read_whole(cases: Path, name: str, samples: int) -> None:
    wave, rate = decode((cases / name).read_bytes())
    assert (len(wave), rate) == (samples, 16000)


@pytest.mark.parametrize(("name", "reason"), REJECTED.items())
def test_what_is_cut_or_no_speech_is_rejected(cases: Path, name: str, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        make_fit(*decode((cases / name).read_bytes()))
    assert caught.value.reason == reason
    assert "0x" not in caught.value.detail


def test_an_index_takes_the_whole_and_lists_the_others(cases: Path, tmp_path: Path) -> None:
    for name in ("audio", "levels"):
        shutil.copytree(cases / name, tmp_path / name)
    index = index_of(FolderConfig(kind="folder", root=tmp_path))
    rows = {row["path"]: row for row in index.table.to_pylist()}
    assert {path: row["samples"] for path, row in rows.items() if row["reason"] is None} == WHOLE
    assert {path: row["reason"] for path, row in rows.items() if row["reason"]} == REJECTED


@pytest.mark.slow
def test_two_builds_have_the_same_root_hash_and_level_does_not_tell_classes(cases: Path, tmp_path: Path) -> None:
    """The files that were listed with a memory address; and one at integer scale, which every codec saturated."""
    copy = "wav_riff_too_big_whole.wav"  # of the recording that is in the piped file, too
    for name in ("audio", "levels"):
        shutil.copytree(cases / name, tmp_path / "speech" / name, ignore=shutil.ignore_patterns(copy))
    document = {
        "name": "odd",
        "title": "Odd files",
        "corpora": {"mine": {"kind": "folder", "root": str(tmp_path / "speech")}},
        "splits": {"train": {"share": 1.0, "variants": ["real"]}},
        "execution": {"workers": 1, "device": "cpu"},
    }
    results = [built(parse_recipe(document, "test", Path()), tmp_path / name) for name in ("d1", "d2")]
    assert results[0].root == results[1].root
    gains = {row["utterance_id"]: row["gain"] for row in rows(tmp_path / "d1")}
    assert len(gains) == len(WHOLE) - 1
    peak = np.abs(soundfile.read(cases / "levels/19_float_int_scale.wav")[0]).max()
    scaled = next(gain for name, gain in gains.items() if "float_int_scale" in name)
    assert scaled == pytest.approx(32767 / 32768 / peak, rel=0.01)
    assert {row["gain"] for row in rows(tmp_path / "d1") if "int_scale" not in row["utterance_id"]} == {1.0}
