"""Columns of Hugging Face datasets: names instead of numbers, no text made of lists, no row lost."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.corpora import HuggingFaceConfig
from codecfake_builder.corpora.huggingface import Columns
from codecfake_builder.corpora.index import index_corpus
from codecfake_builder.errors import CorpusError
from tests.kit.synthetic import voice


def wav(seed: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, voice(0.4, 16000, seed), 16000, format="WAV")
    return buffer.getvalue()


AUDIO = pa.array([{"bytes": wav(seed), "path": f"clip{seed}.wav"} for seed in range(2)])


def rows(folder: Path, columns: dict[str, pa.Array], audio: pa.Array = AUDIO, **named: str) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"audio": audio, **columns}), folder / "train-00000-of-00001.parquet")
    config = HuggingFaceConfig(kind="hf", root=folder, columns=Columns(**named))
    return index_corpus("hf", config, builtin_catalogue()).table.to_pylist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["a", None]), ["a", None]),
        (pa.array([3, 4]), ["3", "4"]),
        (pa.array([3.0, float("nan")]), ["3", None]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_values_that_are_text(tmp_path: Path, values: pa.Array, expected: list[str | None]) -> None:
    assert [row["text"] for row in rows(tmp_path, {"said": values}, text="said")] == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([["a"], ["b"]]), r"row 0: columns.text: expected text, found a list: \['a'\]"),
        (pa.array([{"a": 1}, {"a": 2}]), "row 0: columns.text: expected text, found a mapping"),
        (pa.array([None, 1.5]), "row 1: columns.text: expected text, found a fraction: 1.5"),
        (pa.array([b"a", b"\xff"]), "row 1: columns.text: expected text, found bytes that are no UTF-8"),
    ],
)
def test_values_that_are_no_text_are_refused_by_row(tmp_path: Path, values: pa.Array, words: str) -> None:
    with pytest.raises(CorpusError, match=words):
        rows(tmp_path, {"said": values}, text="said")


def test_classes_by_name_and_the_class_that_is_none(tmp_path: Path) -> None:
    speakers = datasets.ClassLabel(names=["anna", "ben"])
    features = datasets.Features({"audio": datasets.Audio(), "who": speakers})
    table = pa.table({"audio": AUDIO, "who": pa.array([1, -1])}).replace_schema_metadata(features.arrow_schema.metadata)
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    config = HuggingFaceConfig(kind="hf", root=tmp_path, columns=Columns(speaker="who"))
    index = index_corpus("hf", config, builtin_catalogue())
    assert index.table["speaker"].to_pylist() == ["ben", "unknown"]
    assert index.notes == ("who speaks: not known (1 utterances), by the column (1 utterances)",)


def test_a_class_that_the_column_does_not_have_is_refused(tmp_path: Path) -> None:
    dataset = datasets.Dataset.from_dict({"audio": [{"bytes": wav(1), "path": "x.wav"}], "who": [2]})
    features = datasets.Features(
        {"audio": dataset.features["audio"], "who": datasets.ClassLabel(names=["anna", "ben"])}
    )
    table = dataset.data.table.replace_schema_metadata(features.arrow_schema.metadata)
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    with pytest.raises(CorpusError, match=r"row 0: columns\.speaker: class 2, and the column has 2 classes"):
        HuggingFaceConfig(kind="hf", root=tmp_path, columns=Columns(speaker="who")).wanted_files(builtin_catalogue())


def test_only_names_that_are_shared_get_a_number(tmp_path: Path) -> None:
    audio = pa.array([{"bytes": wav(n), "path": path} for n, path in enumerate(("a/x.wav", "b/x.wav", "c/y.wav"))])
    assert [row["utterance_id"] for row in rows(tmp_path, {}, audio)] == ["x-00000000", "x-00000001", "y"]


def test_ids_of_a_column_that_are_there_twice_are_duplicates(tmp_path: Path) -> None:
    found = rows(tmp_path, {"id": pa.array(["a", "a"])}, utterance_id="id")
    assert [row["reason"] for row in found] == [None, "duplicate_id"]


@pytest.mark.parametrize("scale", [1, 1 << 15, 1 << 31])
def test_samples_with_their_rate_are_read_at_full_scale_1(tmp_path: Path, scale: int) -> None:
    wave = voice(0.4, 16000, 1)
    held = wave.tolist() if scale == 1 else np.round(wave * (scale - 1)).astype(np.int64).tolist()
    (row,) = rows(tmp_path / "root", {}, pa.array([{"array": held, "sampling_rate": 16000, "path": "in/x.mp3"}]))
    assert (row["utterance_id"], row["sample_rate"], row["samples"], row["reason"]) == ("x", 16000, 6400, None)
    config = HuggingFaceConfig(kind="hf", root=tmp_path / "root")
    read, _ = soundfile.read(config.audio_folder() / row["path"], dtype="float32")
    assert np.abs(read - wave).max() < 1e-4


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        ({"array": [0.1], "sampling_rate": None}, "row 0: columns.audio: sampling_rate None is no rate"),
        ({"array": [0.1], "sampling_rate": 0}, "sampling_rate 0 is no rate"),
        ({"array": ["a"], "sampling_rate": 16000}, "row 0: columns.audio: array is no samples of audio"),
        ({"array": [[0.1], [0.1, 0.2]], "sampling_rate": 16000}, "array is no samples of audio"),
        ([0.1, 0.2], "cannot be opened as a dataset, split train: Couldn't cast array of type list"),
    ],
)
def test_audio_that_is_none_is_refused_in_one_line(tmp_path: Path, audio: Any, words: str) -> None:
    with pytest.raises(CorpusError, match=words) as caught:
        rows(tmp_path, {}, pa.array([audio]))
    assert len(str(caught.value).splitlines()) == 1


def test_a_path_beside_the_dataset_is_read_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "x.wav").write_bytes(wav(1))
    (tmp_path / "secret.wav").write_bytes(wav(2))
    found = rows(tmp_path / "root", {}, pa.array(["x.wav", "../secret.wav", "gone.wav"]))
    assert [(row["utterance_id"], row["reason"]) for row in found] == [
        ("gone", "missing"),
        ("secret", "missing"),
        ("x", None),
    ]


def test_a_cut_file_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(CorpusError, match=r"split train: Parquet file size is 17 bytes") as caught:
        HuggingFaceConfig(kind="hf", root=tmp_path).wanted_files(builtin_catalogue())
    assert len(str(caught.value).splitlines()) == 1
