"""Corpora: each layout is read, what cannot be used is listed with its reason, nothing is read twice."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.corpora import Aishell3Config, CorpusConfig, FolderConfig, NcssdConfig, VctkConfig
from codecfake_builder.corpora import index as indexing
from codecfake_builder.corpora.base import SourceFile
from codecfake_builder.corpora.index import index_corpus
from codecfake_builder.decoding import reading
from codecfake_builder.errors import CorpusError
from tests.kit.synthetic import voice, write_wave


def rows(config: CorpusConfig, name: str = "corpus") -> dict[str, dict[str, object]]:
    return {row["utterance_id"]: row for row in index_corpus(name, config, builtin_catalogue()).table.to_pylist()}


def test_vctk_092(vctk: Path) -> None:
    found = rows(VctkConfig(kind="vctk", root=vctk))
    assert list(found) == sorted(found)
    assert len(found) == 12
    row = found["p225_001"]
    assert row["path"] == "wav48_silence_trimmed/p225/p225_001_mic1.flac"
    assert (row["speaker"], row["language"], row["text"]) == ("p225", "en", "Sentence 1 of p225.")
    assert (row["sample_rate"], row["samples"], row["reason"]) == (48000, 30240, None)


def test_vctk_microphone_choice_and_absence(tmp_path: Path) -> None:
    folder = tmp_path / "wav48_silence_trimmed" / "p280"
    write_wave(folder / "p280_001_mic1.flac", 0.5, 48000, 1)
    write_wave(folder / "p280_002_mic1.flac", 0.5, 48000, 2)
    write_wave(folder / "p280_002_mic2.flac", 0.5, 48000, 3)
    found = rows(VctkConfig(kind="vctk", root=tmp_path, mic="mic2"))
    assert found["p280_001"]["reason"] == "no_mic2"
    assert found["p280_002"]["path"] == "wav48_silence_trimmed/p280/p280_002_mic2.flac"


def test_vctk_080(tmp_path: Path) -> None:
    write_wave(tmp_path / "wav48" / "p225" / "p225_001.wav", 0.5, 48000, 1)
    found = rows(VctkConfig(kind="vctk", root=tmp_path))
    assert found["p225_001"]["path"] == "wav48/p225/p225_001.wav"
    assert found["p225_001"]["text"] is None


def test_aishell3(aishell3: Path) -> None:
    found = rows(Aishell3Config(kind="aishell3", root=aishell3))
    assert len(found) == 8
    row = found["SSB00050001"]
    assert (row["speaker"], row["language"], row["text"], row["sample_rate"]) == ("SSB0005", "zh", "你好", 44100)
    only_test = rows(Aishell3Config(kind="aishell3", root=aishell3, parts=("test",)))
    assert {row["speaker"] for row in only_test.values()} == {"SSB0009"}


def test_ncssd(tmp_path: Path) -> None:
    write_wave(tmp_path / "R-ZH" / "x" / "R-ZH_3_14_d501.wav", 0.5, 16000, 1)
    write_wave(tmp_path / "R-EN" / "R-EN_0_0_d10.wav", 0.5, 16000, 1)
    write_wave(tmp_path / "C-EN" / "C-EN_0_0_d10.wav", 0.5, 16000, 1)
    found = rows(NcssdConfig(kind="ncssd", root=tmp_path))
    assert {name: row["language"] for name, row in found.items()} == {"R-ZH_3_14_d501": "zh", "R-EN_0_0_d10": "en"}


def test_folder_tree_with_pattern(tmp_path: Path) -> None:
    write_wave(tmp_path / "a" / "one.wav", 0.5, 22050, 1)
    write_wave(tmp_path / "b" / "one.flac", 0.5, 16000, 2)
    found = rows(FolderConfig(kind="folder", root=tmp_path, language="de"))
    assert {name: (row["speaker"], row["language"]) for name, row in found.items()} == {
        "a-one": ("a", "de"),
        "b-one": ("b", "de"),
    }
    named = rows(FolderConfig(kind="folder", root=tmp_path, pattern=r"(?P<speaker>\w+)/(?P<utterance>\w+)\.wav"))
    assert named["one"]["speaker"] == "a"


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_folder_table(tmp_path: Path, suffix: str) -> None:
    write_wave(tmp_path / "x.wav", 0.5, 16000, 1)
    table = tmp_path / f"list.{suffix}"
    listed = [
        {"path": "x.wav", "utterance_id": "u1", "speaker": "s", "language": "fr", "text": "oui", "other": "1"},
        {"path": "gone.wav", "utterance_id": "u2", "speaker": "s", "language": "fr", "text": "", "other": "2"},
    ]
    if suffix == "csv":
        lines = [",".join(listed[0]), *(",".join(row.values()) for row in listed)]
    else:
        lines = [json.dumps(row) for row in listed]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = rows(FolderConfig(kind="folder", root=tmp_path, table=table))
    assert (found["u1"]["speaker"], found["u1"]["language"], found["u1"]["text"]) == ("s", "fr", "oui")
    assert found["u2"]["reason"] == "missing"


@pytest.mark.parametrize("path", ["../secret.wav", "/etc/secret.wav", ""])
def test_a_table_cannot_lead_out_of_its_root(tmp_path: Path, path: str) -> None:
    table = tmp_path / "list.jsonl"
    table.write_text(json.dumps({"path": path}) + "\n")
    with pytest.raises(CorpusError, match=r"list\.jsonl: line 1"):
        rows(FolderConfig(kind="folder", root=tmp_path, table=table))


def test_what_cannot_be_used_is_listed_with_its_reason(tmp_path: Path) -> None:
    good = write_wave(tmp_path / "good.wav", 0.6, 16000, 1)
    (tmp_path / "cut.wav").write_bytes(good.read_bytes()[:5000])
    flac = write_wave(tmp_path / "whole.flac", 0.6, 16000, 2)
    (tmp_path / "cut.flac").write_bytes(flac.read_bytes()[: flac.stat().st_size // 2])
    (tmp_path / "text.wav").write_text("no audio at all")
    (tmp_path / "zero.wav").write_bytes(b"")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, dtype=np.float32), 16000)
    broken = voice(0.6, 16000, 3)
    broken[100] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, 16000, subtype="FLOAT")
    stereo = np.stack([voice(0.6, 16000, 4), voice(0.6, 16000, 5)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 16000)
    write_wave(tmp_path / "short.wav", 0.2, 16000, 6)
    found = rows(FolderConfig(kind="folder", root=tmp_path, min_seconds=0.5))
    reasons = {name: row["reason"] for name, row in found.items()}
    assert reasons.pop("cut") in ("truncated", "duplicate_id")
    assert reasons == {
        "good": None,
        "whole": None,
        "stereo": None,
        "text": "unreadable",
        "zero": "unreadable",
        "empty": "empty",
        "nan": "non_finite",
        "short": "too_short",
    }
    assert found["stereo"]["samples"] == 9600


def test_truncated_files_of_both_kinds(tmp_path: Path) -> None:
    for suffix in ("wav", "flac"):
        whole = write_wave(tmp_path / f"{suffix}.{suffix}", 1.0, 16000, 1)
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    found = rows(FolderConfig(kind="folder", root=tmp_path))
    assert found["wav"]["reason"] == "truncated"
    assert found["flac"]["reason"] in ("truncated", "unreadable")


def test_duplicate_ids_are_listed(tmp_path: Path) -> None:
    write_wave(tmp_path / "a" / "x.wav", 0.5, 16000, 1)
    write_wave(tmp_path / "b" / "x.wav", 0.5, 16000, 2)
    index = index_corpus(
        "c", FolderConfig(kind="folder", root=tmp_path, pattern=r"(?P<utterance>\w+)\.wav"), builtin_catalogue()
    )
    assert index.usable["path"].to_pylist() == ["a/x.wav"]
    assert index.unusable["reason"].to_pylist() == ["duplicate_id"]


def test_speaker_filters(vctk: Path) -> None:
    kept = rows(VctkConfig(kind="vctk", root=vctk, exclude_speakers=["p225"]))
    assert {row["speaker"] for row in kept.values()} == {"p226", "p227"}
    with pytest.raises(CorpusError, match="no utterance of the wanted speakers"):
        rows(VctkConfig(kind="vctk", root=vctk, speakers=["p999"]))


@pytest.mark.parametrize("config", [VctkConfig, Aishell3Config, NcssdConfig, FolderConfig])
def test_wrong_roots_say_what_was_expected_and_found(tmp_path: Path, config: type[CorpusConfig]) -> None:
    kind = config.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CorpusError, match=r"expected .*; found notes\.txt"):
        rows(config(kind=kind, root=tmp_path))
    with pytest.raises(CorpusError, match="no such folder"):
        rows(config(kind=kind, root=tmp_path / "absent"))


def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write_wave(tmp_path / f"{name}.wav", 0.5, 16000, ord(name))
    config = FolderConfig(kind="folder", root=tmp_path)
    first = rows(config)
    read: list[str] = []
    original = indexing._read_file

    def spying(file: SourceFile, root: Path, seconds: float) -> dict[str, object]:
        read.append(file.path)
        return original(file, root, seconds)

    monkeypatch.setattr(indexing, "_read_file", spying)
    assert rows(config) == first
    assert read == []
    write_wave(tmp_path / "b.wav", 0.7, 16000, 9)
    (tmp_path / "c.wav").unlink()
    again = rows(config)
    assert read == ["b.wav"]
    assert list(again) == ["a", "b"]
    assert again["a"] == first["a"]
    assert again["b"]["sha256"] != first["b"]["sha256"]
    os.utime(tmp_path / "a.wav")
    rows(config)
    assert read == ["b.wav", "a.wav"]


def test_a_file_written_anew_with_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    path = write_wave(tmp_path / "a.wav", 0.5, 16000, 1)
    config = FolderConfig(kind="folder", root=tmp_path)
    first, times = rows(config), path.stat()
    time.sleep(0.05)
    write_wave(path, 0.5, 16000, 2)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert rows(config)["a"]["sha256"] != first["a"]["sha256"]
    assert rows(config)["a"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_damaged_cache_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path / "cache"))
    write_wave(tmp_path / "speech" / "a.wav", 0.5, 16000, 1)
    config = FolderConfig(kind="folder", root=tmp_path / "speech")
    first = rows(config)
    (cache,) = (tmp_path / "cache").rglob("*.parquet")
    for damage in (b"", b"PAR1", cache.read_bytes()[:-20]):
        cache.write_bytes(damage)
        assert rows(config) == first


def test_a_source_that_hangs_is_listed_and_the_others_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_wave(tmp_path / f"{name}.wav", 0.5, 16000, ord(name))
    read = reading._read
    monkeypatch.setattr(reading, "_read", lambda path: time.sleep(1) if path.stem == "a" else read(path))
    config = FolderConfig(kind="folder", root=tmp_path)
    found = {row["utterance_id"]: row for row in index_corpus("x", config, builtin_catalogue(), 0.2).table.to_pylist()}
    assert found["a"]["reason"] == "read_timeout"
    assert found["a"]["detail"] == "not read within 0.2 s (execution.read_timeout)"
    assert found["b"]["reason"] is None
