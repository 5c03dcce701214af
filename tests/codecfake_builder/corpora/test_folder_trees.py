"""Folder trees: who speaks, links, hidden files, and names that cannot stand in a dataset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.corpora import CorpusConfig, FolderConfig, HuggingFaceConfig, ImportedConfig
from codecfake_builder.corpora.base import SourceFile
from codecfake_builder.corpora.index import index_corpus
from codecfake_builder.errors import CorpusError, PlanError, RecipeError
from codecfake_builder.folders import files_below
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.recipe.load import parse_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.kit.synthetic import write_wave


def wanted(config: CorpusConfig) -> list[SourceFile]:
    return config.wanted_files(builtin_catalogue())


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def recipe(corpora: dict[str, dict[str, Any]]) -> Resolved:
    document = {
        "name": "mine",
        "title": "Mine",
        "corpora": corpora,
        "assignment": {"method": "speaker_disjoint"},
        "splits": {name: {"share": 0.5, "variants": ["real"]} for name in ("train", "eval_id")},
    }
    return parse_recipe(document, "test", Path())


@pytest.mark.parametrize(
    ("path", "options", "speaker"),
    [
        ("84/121123/x.wav", {}, "84"),
        ("p225/x.wav", {}, "p225"),
        ("x.wav", {}, "unknown"),
        ("train-clean-100/84/121123/x.wav", {}, "unknown"),
        ("wav48/p225/x.wav", {}, "unknown"),
        ("Test/x.wav", {}, "unknown"),
        ("testa/x.wav", {}, "testa"),
        ("session2/alice/x.wav", {}, "unknown"),
        ("male/bob/x.wav", {}, "unknown"),
        ("Dayton/x.wav", {}, "Dayton"),
        ("wav48/p225/x.wav", {"pattern": "(?P<speaker>p[0-9]+)/"}, "p225"),
        ("wav48/s5/x.wav", {"pattern": "(?P<speaker>p[0-9]+)/"}, "unknown"),
        ("alice/s5/x.wav", {"pattern": "(?P<speaker>p[0-9]+)/"}, "unknown"),
        ("alice/s5/x.wav", {"pattern": "(?P<utterance>x)"}, "alice"),
        ("wav48/s5/x.wav", {"pattern": "(?P<speaker>p[0-9]+)/", "speaker": "me"}, "me"),
        ("alice/x.wav", {"speaker": "me"}, "me"),
    ],
)
def test_who_speaks_in_a_tree(tmp_path: Path, path: str, options: dict[str, str], speaker: str) -> None:
    (file,) = wanted(FolderConfig(kind="folder", root=touch(tmp_path, path), **options))  # type: ignore[arg-type]
    assert file.speaker == speaker


def test_ids_are_as_before(tmp_path: Path) -> None:
    touch(tmp_path, "84/121123/x.wav", "y.flac")
    assert [file.utterance_id for file in wanted(FolderConfig(kind="folder", root=tmp_path))] == ["84-121123-x", "y"]


@pytest.mark.parametrize("folder", ["", "train-clean-100/84", "wav/84"])
def test_speaker_disjoint_wants_to_know_who_speaks(tmp_path: Path, folder: str) -> None:
    for number in range(3):
        write_wave(tmp_path / folder / f"{number}.wav", 0.5, 16000, number)
    with pytest.raises(PlanError) as caught:
        make_plan(recipe({"mine": {"kind": "folder", "root": str(tmp_path)}}))
    said = str(caught.value)
    assert said.startswith("speaker_disjoint: who speaks is not known of 3 of the 3 utterances of corpora.mine")
    assert "give corpora.mine pattern (with a group speaker), table (with a column speaker) or speaker" in said
    assert len(said.splitlines()) == 1


def test_unknown_speakers_count_as_one_beside_known_ones(tmp_path: Path) -> None:
    """Nobody can be in two splits then, whoever they are."""
    for name in ("a/0", "b/0", "c/0", "0", "1", "2"):
        write_wave(tmp_path / f"{name}.wav", 0.5, 16000, sum(name.encode()))
    plan = make_plan(recipe({"mine": {"kind": "folder", "root": str(tmp_path)}}))
    speakers = plan.utterances["speaker"].to_pylist()
    holding = [split.name for split in plan.splits if "unknown" in {speakers[row] for row in split.rows}]
    assert len(holding) == 1
    assert any("of corpora.mine, e.g. 0; they count as one speaker, in one split" in str(note) for note in plan.notes)


def test_unknown_speakers_can_be_left_out(tmp_path: Path) -> None:
    for name in ("a/0", "b/0", "0"):
        write_wave(tmp_path / f"{name}.wav", 0.5, 16000, ord(name[0]))
    corpus = {"kind": "folder", "root": str(tmp_path), "exclude_speakers": ["unknown"]}
    assert make_plan(recipe({"mine": corpus})).utterances["speaker"].to_pylist() == ["a", "b"]


def test_kinds_name_what_says_the_speaker() -> None:
    for kind in (FolderConfig, HuggingFaceConfig, ImportedConfig):
        fields = set(kind.model_fields) | {"columns.speaker"}
        assert set(kind.says_speaker.replace("(with a column speaker)", "").split()) & fields


def test_links_to_folders_are_followed_once_and_never_in_circles(tmp_path: Path) -> None:
    outside = touch(tmp_path / "outside", "a.wav", "deep/b.wav")
    root = touch(tmp_path / "root", "own/x.wav")
    (root / "p1").symlink_to(outside)
    (root / "p2").symlink_to(outside / "deep")
    (root / "again").symlink_to(root / "own")
    (outside / "back").symlink_to(tmp_path)
    (root / "own" / "circle").symlink_to(root)
    (root / "own" / "everything").symlink_to("/")
    (root / "own" / "self").symlink_to("self")
    found = [path.relative_to(root).as_posix() for path in files_below(root)]
    assert found == ["own/self", "own/x.wav", "p1/a.wav", "p1/deep/b.wav"]


def test_a_linked_speaker_is_indexed(tmp_path: Path) -> None:
    write_wave(tmp_path / "elsewhere" / "x.wav", 0.5, 16000, 1)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "p225").symlink_to(tmp_path / "elsewhere")
    index = index_corpus("mine", FolderConfig(kind="folder", root=tmp_path / "root"), builtin_catalogue())
    assert index.usable["path"].to_pylist() == ["p225/x.wav"]


def test_hidden_files_are_left_out_and_broken_links_listed(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "._a.wav", ".git/b.wav", ".ipynb_checkpoints/c.wav")
    (tmp_path / "gone.wav").symlink_to("annex/object")
    os.mkfifo(tmp_path / "pipe.wav")
    files = wanted(FolderConfig(kind="folder", root=tmp_path))
    assert [(file.path, file.reason) for file in files] == [
        ("a.wav", None),
        ("gone.wav", "missing"),
        ("pipe.wav", "unreadable"),
    ]


def test_a_folder_that_cannot_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.wav", "closed/b.wav")
    scan = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = {file.path: file for file in wanted(FolderConfig(kind="folder", root=tmp_path))}
    assert list(found) == ["a.wav", "closed"]
    assert found["closed"].detail == "the folder cannot be read (Permission denied)"


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"caf\xe9.wav", r"caf\xe9.wav"), (b"a\nb.wav", r"a\nb.wav"), (b"a\x1b[2Jb.wav", r"a\x1b[2Jb.wav")],
)
def test_names_that_cannot_stand_in_a_dataset_are_listed(tmp_path: Path, name: bytes, shown: str) -> None:
    write_wave(tmp_path / "ok.wav", 0.5, 16000, 1)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    index = index_corpus("mine", FolderConfig(kind="folder", root=tmp_path), builtin_catalogue())
    assert index.usable["path"].to_pylist() == ["ok.wav"]
    (row,) = index.unusable.to_pylist()
    assert (row["path"], row["reason"]) == (shown, "unusable_name")


def test_a_name_in_two_compositions_is_one_id(tmp_path: Path) -> None:
    for seed, name in enumerate(("cafe\u0301", "caf\u00e9", " spaces ", "A", "a")):
        write_wave(tmp_path / f"{name}.wav", 0.5, 16000, seed)
    write_wave(tmp_path / "a.flac", 0.5, 16000, 9)
    index = index_corpus("mine", FolderConfig(kind="folder", root=tmp_path), builtin_catalogue())
    assert sorted(index.unusable["path"].to_pylist()) == ["a.wav", "caf\u00e9.wav"]
    assert set(index.unusable["reason"].to_pylist()) == {"duplicate_id"}


def test_speakers_that_the_corpus_does_not_have_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "p225/x.wav", "p226/x.wav")
    with pytest.raises(CorpusError, match=r"speakers 'p2255'; did you mean p225\?"):
        wanted(FolderConfig(kind="folder", root=tmp_path, speakers=["p226", "p2255"]))


def test_a_speaker_in_two_compositions_is_one(tmp_path: Path) -> None:
    touch(tmp_path, "Jose\u0301/x.wav", "Jos\u00e9/y.wav", "b/z.wav")
    files = wanted(FolderConfig(kind="folder", root=tmp_path, speakers=["Jose\u0301"]))
    assert [file.speaker for file in files] == ["Jos\u00e9"] * 2


def test_too_few_speakers_say_who_was_taken_for_one(tmp_path: Path) -> None:
    write_wave(tmp_path / "LibriTTS" / "84" / "x.wav", 0.5, 16000, 1)
    with pytest.raises(
        PlanError, match=r"1 speakers cannot fill 2 .*; mine: who speaks: by the first folder below the"
    ):
        make_plan(recipe({"mine": {"kind": "folder", "root": str(tmp_path)}}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speakers": [174]}, "speakers.0: a name is text: write it in quotation marks, '174'"),
        ({"exclude_speakers": [1.5]}, "exclude_speakers.0: a name is text"),
        ({"root": "/data/caf\udce9"}, "root: the path is no UTF-8"),
        ({"root": "~nosuchuser/x"}, "root: Could not determine home"),
        ({"encoding": "nosuch"}, "encoding: no such text encoding"),
    ],
)
def test_sections_that_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        recipe({"mine": {"kind": "folder", "root": str(tmp_path), **options}})
    assert len(str(caught.value).splitlines()) == 1
