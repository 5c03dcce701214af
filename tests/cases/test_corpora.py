"""Corpora that were read wrongly once: speakers, texts, tables, lists and columns; each case has its right value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.corpora import (
    Aishell3Config,
    CorpusConfig,
    FolderConfig,
    HuggingFaceConfig,
    InTheWildConfig,
    VctkConfig,
)
from codecfake_builder.corpora.huggingface import Columns
from codecfake_builder.corpora.index import CorpusIndex, index_corpus
from codecfake_builder.errors import CorpusError
from codecfake_builder.plan.planning import make_plan
from codecfake_builder.recipe.load import parse_recipe


def index_of(config: CorpusConfig) -> CorpusIndex:
    return index_corpus("mine", config, builtin_catalogue())


def rows(config: CorpusConfig) -> dict[str, dict[str, Any]]:
    return {row["utterance_id"]: row for row in index_of(config).table.to_pylist()}


def test_readers_are_the_speakers_of_reader_chapter_utterance(cases: Path) -> None:
    index = index_of(FolderConfig(kind="folder", root=cases / "readers"))
    assert set(index.table["speaker"].to_pylist()) == {"174", "251"}
    assert "174-174001-174_174001_000000_000000" in index.table["utterance_id"].to_pylist()
    assert index.notes[0] == "who speaks: by the first folder below the root (8 utterances)"


def test_no_reader_is_in_two_splits(cases: Path) -> None:
    document = {
        "name": "readers",
        "title": "Readers",
        "corpora": {"mine": {"kind": "folder", "root": str(cases / "readers")}},
        "assignment": {"method": "speaker_disjoint"},
        "splits": {name: {"share": 0.5, "variants": ["real"]} for name in ("train", "eval_id")},
    }
    plan = make_plan(parse_recipe(document, "test", Path()))
    speakers = [set(plan.utterances["speaker"].take(split.rows.tolist()).to_pylist()) for split in plan.splits]
    assert len(speakers[0]) == len(speakers[1]) == 1
    assert speakers[0] != speakers[1]


def test_a_row_that_names_a_file_again_is_a_duplicate(cases: Path) -> None:
    index = index_of(FolderConfig(kind="folder", root=cases / "tables", table=cases / "tables" / "dup.csv"))
    assert index.usable["utterance_id"].to_pylist() == ["x", "y"]
    (row,) = index.unusable.to_pylist()
    assert (row["utterance_id"], row["reason"]) == ("x", "duplicate_id")
    assert "dup.csv: line 2" in row["detail"]


def test_tables_are_read_or_refused_by_row_and_field(cases: Path) -> None:
    folder = cases / "tables"

    def row(table: str, encoding: str | None = None) -> dict[str, Any]:
        (only,) = rows(FolderConfig(kind="folder", root=folder, table=folder / table, encoding=encoding)).values()
        return {name: only[name] for name in ("utterance_id", "speaker", "text")}

    assert row("ints.jsonl") == {"utterance_id": "17", "speaker": "5", "text": "hi"}
    assert row("spaces.csv") == {"utterance_id": "x", "speaker": "s1", "text": "hi"}
    assert row("latin1.csv", encoding="cp1252")["text"] == "für"
    with pytest.raises(CorpusError, match=r"latin1\.csv: line 2: is no text in UTF-8 .*likely cp1252"):
        row("latin1.csv")
    with pytest.raises(CorpusError, match=r"listtext\.jsonl: line 1: text: expected text, found a list: \['a', 'b'\]"):
        row("listtext.jsonl")


def test_one_file_as_bona_fide_and_spoof_is_refused_by_name(cases: Path) -> None:
    selections: tuple[Literal["all", "bonafide", "spoof"], ...] = ("all", "bonafide", "spoof")
    for select in selections:
        config = InTheWildConfig(kind="in_the_wild", root=cases / "in_the_wild", select=select)
        with pytest.raises(CorpusError, match=r"line 3: 0\.wav has the class .* here, and .* line 2"):
            rows(config)


def test_transcripts_of_vctk(cases: Path) -> None:
    index = index_of(VctkConfig(kind="vctk", root=cases / "vctk_txt"))
    texts = dict(zip(index.usable["utterance_id"].to_pylist(), index.usable["text"].to_pylist(), strict=True))
    assert texts == {"p225_001": "Please call Stella.", "p225_002": None}
    (note,) = index.notes
    assert "txt/p225/p225_002.txt: line 1: is no text in UTF-8" in note
    assert "cp1252" in note
    stated = rows(VctkConfig(kind="vctk", root=cases / "vctk_txt", encoding="cp1252"))
    assert [row["text"] for row in stated.values()] == ["Please call Stella.", "Ask her – café."]


def test_characters_of_aishell3(cases: Path) -> None:
    index = index_of(Aishell3Config(kind="aishell3", root=cases / "aishell3"))
    found = {(row["utterance_id"], row["path"].split("/")[0]): row for row in index.table.to_pylist()}
    texts = {key: row["text"] for key, row in found.items() if row["text"]}
    assert texts == {
        ("SSB00050001", "train"): "广州",
        ("SSB00050001", "test"): "广州",
        ("SSB00050002", "train"): "花儿开了",
        ("SSB00050003", "train"): "女大",
    }
    assert found["SSB00050001", "test"]["reason"] is None
    assert found["SSB00050001", "train"]["reason"] == "duplicate_id"
    assert len(found) == 9
    (note,) = index.notes
    assert note.startswith("5 utterances have no text")
    assert "SSB00050006: content.txt: line 4: has no characters" in note


def test_class_labels_give_their_names(cases: Path) -> None:
    columns = Columns(language="lang", speaker="spk", text="text")
    found = rows(HuggingFaceConfig(kind="hf", root=cases / "hf_columns" / "hf_classlabel", columns=columns)).values()
    features = [(row["language"], row["speaker"], row["text"]) for row in found]
    assert len(features) == 2
    assert not any(value.isdigit() for row in features for value in row[:2])


def test_rows_that_share_a_base_name_are_all_kept(cases: Path) -> None:
    index = index_of(HuggingFaceConfig(kind="hf", root=cases / "hf_columns" / "hf_samepath"))
    assert index.unusable.num_rows == 0
    assert len(set(index.usable["utterance_id"].to_pylist())) == index.usable.num_rows == 2


def test_samples_and_rate_are_read(cases: Path) -> None:
    config = HuggingFaceConfig(kind="hf", root=cases / "hf_columns" / "hf_array")
    (row,) = rows(config).values()
    assert (row["reason"], row["sample_rate"]) == (None, 16000)
    assert row["samples"] > 1000
    (again,) = rows(config).values()
    assert again == row
