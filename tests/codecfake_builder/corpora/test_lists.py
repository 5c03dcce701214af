"""Lists that corpora bring or recipes name: repeats, contradictions, encodings, ids that are written otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.changes.import_clips import clips_recipe
from codecfake_builder.corpora import (
    Aishell3Config,
    Asvspoof2019LaConfig,
    FolderConfig,
    ImportedConfig,
    InTheWildConfig,
    StCodecfakeConfig,
    VctkConfig,
)
from codecfake_builder.corpora.base import CorpusConfig, SourceFile
from codecfake_builder.corpora.index import index_corpus
from codecfake_builder.corpora.utterance_lists import as_known, read_labels
from codecfake_builder.errors import CorpusError, PlanError, RecipeError
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.recipe.load import parse_recipe
from codecfake_builder.recipe.resolve import Resolved
from tests.kit.synthetic import write_wave

PROTOCOL = "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt"


def wanted(config: CorpusConfig) -> list[SourceFile]:
    return config.wanted_files(builtin_catalogue())


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def asvspoof(root: Path, lines: str) -> Asvspoof2019LaConfig:
    write(root / PROTOCOL, lines)
    write_wave(root / "ASVspoof2019_LA_eval" / "flac" / "LA_E_1.flac", 0.5, 16000, 1)
    return Asvspoof2019LaConfig(kind="asvspoof2019la", root=root)


def st_codecfake(root: Path, lines: str) -> StCodecfakeConfig:
    write(root / "label" / "train.txt", lines)
    write_wave(root / "train" / "p225_001.wav", 0.5, 16000, 1)
    return StCodecfakeConfig(kind="st_codecfake", root=root, part="train")


def in_the_wild(root: Path, lines: str) -> InTheWildConfig:
    write(root / "meta.csv", f"file,speaker,label\n{lines}")
    write_wave(root / "0.wav", 0.5, 16000, 1)
    return InTheWildConfig(kind="in_the_wild", root=root)


def imported(root: Path, lines: str) -> ImportedConfig:
    write_wave(root / "0.wav", 0.5, 16000, 1)
    return ImportedConfig(kind="imported", root=root, table=str(write(root / "t.csv", f"path,codec,speaker\n{lines}")))


TWICE = [
    (asvspoof, "s LA_E_1 - - bonafide\n"),
    (st_codecfake, "p225_001.wav real 0\n"),
    (in_the_wild, "0.wav,s,bona-fide\n"),
    (imported, "0.wav,mimi,s\n"),
]


@pytest.mark.parametrize(("make", "line"), TWICE)
def test_a_line_that_is_there_twice_is_a_duplicate(tmp_path: Path, make: Any, line: str) -> None:
    index = index_corpus("c", make(tmp_path, line * 3), builtin_catalogue())
    assert index.usable.num_rows == 1
    assert index.unusable["reason"].to_pylist() == ["duplicate_id"] * 2


@pytest.mark.parametrize(
    ("make", "first", "second", "words"),
    [
        (asvspoof, "s LA_E_1 - - bonafide\n", "s LA_E_1 - A07 spoof\n", "line 2: .*LA_E_1.flac has the class"),
        (
            asvspoof,
            "s LA_E_1 - A08 spoof\n",
            "s LA_E_1 - A07 spoof\n",
            "_A07 .vocoder.' here, and .*A08 .* line 1",
        ),
        (asvspoof, "s LA_E_1 - - bonafide\n", "t LA_E_1 - - bonafide\n", "has the speaker 't' here"),
        (st_codecfake, "p225_001.wav real 0\n", "p225_001.wav fake 1\n", "train.txt: line 2: .* has the class 'mimi"),
        (in_the_wild, "0.wav,s,bona-fide\n", "0.wav,s,spoof\n", "meta.csv: line 3: 0.wav has the class"),
        (imported, "0.wav,mimi,s\n", "./0.wav,snac,s\n", "t.csv: line 3: 0.wav has the class 'snac"),
        (imported, "0.wav,mimi,s\n", "0.wav,mimi,t\n", "t.csv: line 3: 0.wav has the speaker 't'"),
    ],
)
def test_lines_that_contradict_each_other_are_refused(
    tmp_path: Path, make: Any, first: str, second: str, words: str
) -> None:
    with pytest.raises(CorpusError, match=words) as caught:
        wanted(make(tmp_path, first + second))
    assert len(str(caught.value).splitlines()) == 1


def test_one_name_in_two_folders_of_the_release_is_listed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_wave(tmp_path / "ALM" / "speechgpt-gen" / folder / "x.wav", 0.5, 16000, ord(folder))
    index = index_corpus("c", StCodecfakeConfig(kind="st_codecfake", root=tmp_path, part="alm"), builtin_catalogue())
    assert index.usable["path"].to_pylist() == ["ALM/speechgpt-gen/a/x.wav"]
    assert index.unusable["reason"].to_pylist() == ["duplicate_id"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_protocols_with_a_mark(tmp_path: Path, encoding: str) -> None:
    config = asvspoof(tmp_path, "")
    write(tmp_path / PROTOCOL, "s LA_E_1 - - bonafide\r\n", encoding)
    assert [(file.speaker, file.reason) for file in wanted(config)] == [("s", None)]


@pytest.mark.parametrize(
    "lines",
    [
        "a/x",
        "x.wav",
        "a-x.WAV",
        "\ufeffa-x\r\n",
        "./a/x.flac",
        "/data/corpus/a/../y.wav\na-x",
        "caf\u00e9",
        "nosuch\na-x",
    ],
)
def test_ids_are_found_however_a_list_writes_them(tmp_path: Path, lines: str) -> None:
    names = ("a/x", "y", "x", "cafe\u0301")
    for name in names:
        write(tmp_path / "root" / f"{name}.wav", "")
    config = FolderConfig(kind="folder", root=tmp_path / "root", ids=str(write(tmp_path / "ids.txt", lines)))
    found = [file for file in wanted(config) if file.path]
    assert len(found) >= 1


def test_an_id_that_is_known_is_taken_as_it_stands(tmp_path: Path) -> None:
    for name in ("x", "x.wav"):
        write(tmp_path / "root" / f"{name}.wav", "")
    config = FolderConfig(kind="folder", root=tmp_path / "root", ids=str(write(tmp_path / "ids.txt", "x.wav\nz\n")))
    assert [(file.utterance_id, file.reason) for file in wanted(config)] == [("x.wav", None), ("z", "missing")]


def test_a_list_of_which_no_id_is_there_shows_one_of_each(tmp_path: Path) -> None:
    write(tmp_path / "root" / "p225_001.wav", "")
    config = FolderConfig(
        kind="folder", root=tmp_path / "root", ids=str(write(tmp_path / "ids.txt", "p225_001_mic1\n"))
    )
    with pytest.raises(CorpusError, match=r"none of the 1 ids .*the list has 'p225_001_mic1', the corpus 'p225_001'"):
        wanted(config)


def test_ids_that_only_end_alike_are_not_taken_for_each_other() -> None:
    assert as_known(["wav/x.wav"], {"x"}) == ["x"]
    assert as_known(["p1/x", "p2/x"], {"x"}) == ["p1/x", "p2/x"]
    assert as_known(["p1/x", "p2/x"], {"p2-x"}) == ["p1/x", "p2-x"]


def test_a_label_file_that_calls_a_file_real_and_fake_is_refused(tmp_path: Path) -> None:
    labels = write(tmp_path / "l.txt", "a.wav real 0\nb.wav fake 1\na.wav fake 1\n")
    with pytest.raises(RecipeError, match=r"line 3: 'a\.wav' is fake here, another above"):
        read_labels(labels)


def test_a_slip_in_unwanted_speakers_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "p225" / "x.wav", "")
    wanted(FolderConfig(kind="folder", root=tmp_path, exclude_speakers=["p22", "unknown"]))
    said = capsys.readouterr().err
    assert said == "note: exclude_speakers: 'p22' is no speaker of this corpus; did you mean p225?\n"


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_table_of_no_file_is_refused(tmp_path: Path, name: str) -> None:
    table = write(tmp_path / name, "path,codec\n" if name.endswith("csv") else "\n")
    with pytest.raises(CorpusError, match=f"{name}: lists no file"):
        wanted(FolderConfig(kind="folder", root=tmp_path, table=table))
    with pytest.raises(CorpusError, match="found no utterance at all"):
        wanted(ImportedConfig(kind="imported", root=tmp_path, table=str(table)))


@pytest.mark.parametrize("make", [asvspoof, in_the_wild])
def test_lists_are_found_one_folder_down(tmp_path: Path, make: Any) -> None:
    line = {asvspoof: "s LA_E_1 - - bonafide\n", in_the_wild: "0.wav,s,bona-fide\n"}[make]
    config = make(tmp_path / "inner", line)
    (file,) = wanted(config.model_copy(update={"root": tmp_path}))
    assert file.path.startswith("inner/")
    with pytest.raises(CorpusError, match=f"the root to give is {tmp_path / 'inner'}"):
        wanted(config.model_copy(update={"root": write(tmp_path / "inner" / "below" / "x", "").parent}))


def test_the_release_is_found_through_links_and_circles(tmp_path: Path) -> None:
    config = st_codecfake(tmp_path / "unpacked" / "deep", "p225_001.wav real 0\n")
    (tmp_path / "again").symlink_to(tmp_path / "unpacked")
    (tmp_path / "circle").symlink_to(tmp_path)
    (file,) = wanted(config.model_copy(update={"root": tmp_path}))
    assert file.utterance_id == "p225_001"


def recipe(root: Path, **split: Any) -> Resolved:
    document = {
        "name": "mine",
        "title": "Mine",
        "corpora": {"mine": {"kind": "folder", "root": str(root)}},
        "splits": {"train": {"variants": ["real"], **split}},
    }
    return parse_recipe(document, "test", Path())


def test_a_split_finds_listed_ids_with_their_suffix(tmp_path: Path) -> None:
    write_wave(tmp_path / "root" / "a" / "x.wav", 0.5, 16000, 1)
    plan = make_plan(recipe(tmp_path / "root", ids=str(write(tmp_path / "ids.txt", "\ufeffa/x.wav\r\n"))))
    assert len(plan.splits[0].rows) == 1
    with pytest.raises(PlanError, match=r"none of its 1 listed .*the list has 'z\.wav', the corpus 'a-x'"):
        make_plan(recipe(tmp_path / "root", ids=str(write(tmp_path / "ids.txt", "z.wav\n"))))


def test_where_no_utterance_can_be_used_the_reasons_are_said(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.wav", "no audio")
    with pytest.raises(PlanError) as caught:
        make_plan(recipe(tmp_path, share=1.0))
    said = str(caught.value)
    assert "none of the 3 utterances of mine can be used (unreadable 3; e.g. a.wav: " in said
    assert len(said.splitlines()) == 1


def test_a_corpus_that_is_useless_beside_a_good_one_is_noted(tmp_path: Path) -> None:
    write(tmp_path / "bad" / "a.wav", "no audio")
    write_wave(tmp_path / "good" / "a.wav", 0.5, 16000, 1)
    resolved = recipe(tmp_path / "bad", share=1.0)
    corpora = {
        name: FolderConfig(kind="folder", root=tmp_path / name).model_dump(mode="json") for name in ("bad", "good")
    }
    document = {**resolved.recipe.model_dump(mode="json"), "corpora": corpora}
    plan = make_plan(parse_recipe(document, "test", Path()))
    assert any(str(note).startswith("none of the 1 utterances of bad can be used (unreadable 1") for note in plan.notes)


@pytest.mark.parametrize("off", ["down", "up", "further up"])
def test_an_official_corpus_is_found_or_named_where_the_root_is_one_folder_off(
    vctk: Path, aishell3: Path, tmp_path: Path, off: str
) -> None:
    cases: list[tuple[Path, type[CorpusConfig], str, str, int]] = [
        (vctk, VctkConfig, "vctk", "wav48_silence_trimmed/p225", 12),
        (aishell3, Aishell3Config, "aishell3", "train/wav", 8),
    ]
    for root, config, kind, inner, count in cases:
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "inner").symlink_to(root)
        if off == "down":
            files = wanted(config(kind=kind, root=tmp_path / kind))
            assert len(files) == count
            assert all(file.path.startswith("inner/") and file.text for file in files)
            continue
        place = root / inner if off == "further up" else (root / inner).parent
        with pytest.raises(CorpusError, match=f"the root to give is {root}$"):
            wanted(config(kind=kind, root=place))


def test_import_refuses_a_file_under_two_codecs(tmp_path: Path) -> None:
    imported(tmp_path, "0.wav,mimi,s\n0.wav,snac,s\n")
    resolved = clips_recipe(tmp_path, table=tmp_path / "t.csv", split="train", overrides=[])
    with pytest.raises(CorpusError, match=r"t\.csv: line 3: 0\.wav has the class"):
        make_plan(resolved)


@pytest.mark.parametrize("name", ["n" * 300, "~nosuchuser/ids.txt", "no\0such", "", "."])
def test_lists_that_are_no_file(tmp_path: Path, name: str) -> None:
    write(tmp_path / "x.wav", "")
    with pytest.raises(RecipeError, match="neither a file nor a packaged list") as caught:
        wanted(FolderConfig(kind="folder", root=tmp_path, ids=name))
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(CorpusError, match=r"no such file|File name too long"):
        wanted(ImportedConfig(kind="imported", root=tmp_path, table=name))
