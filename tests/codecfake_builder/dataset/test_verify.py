"""``verify`` finds every change to a dataset, and names it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codecfake_builder.dataset.checksums import hash_files, read_checksums, root_hash, write_checksums
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import DatasetError
from tests.kit.datasets_for_tests import files


def test_a_sound_dataset_passes_without_the_builders_state(dataset: Path) -> None:
    shutil.rmtree(dataset / ".build")
    assert verify(dataset).problems == []


@pytest.mark.slow
def test_a_flipped_byte_in_any_file_is_named(dataset: Path) -> None:
    for name, content in files(dataset).items():
        if name == "checksums.sha256":
            continue
        for position in (0, len(content) // 2, len(content) - 1):
            flipped = bytearray(content)
            flipped[position] ^= 1
            (dataset / name).write_bytes(flipped)
            assert any(problem.startswith(f"{name}: has sha256") for problem in verify(dataset).problems), name
        (dataset / name).write_bytes(content)
    assert verify(dataset).problems == []


@pytest.mark.slow
def test_a_flipped_byte_in_the_checksums_is_noticed(dataset: Path) -> None:
    content = (dataset / "checksums.sha256").read_bytes()
    for position in range(0, len(content), 37):
        flipped = bytearray(content)
        flipped[position] ^= 1
        (dataset / "checksums.sha256").write_bytes(flipped)
        try:
            problems = verify(dataset).problems
        except DatasetError as error:
            problems = [str(error)]
        assert problems, position


def test_missing_and_additional_files_are_named(dataset: Path) -> None:
    (dataset / "data" / "train" / "real-00000.parquet").unlink()
    (dataset / "data" / "train" / "extra-00000.parquet").write_bytes(b"x")
    problems = "\n".join(verify(dataset).problems)
    assert "data/train/real-00000.parquet: is listed in checksums.sha256 but not there" in problems
    assert "data/train/extra-00000.parquet: is not listed in checksums.sha256" in problems


def test_folders_that_are_no_datasets(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        verify(tmp_path / "absent")
    (dataset / "checksums.sha256").unlink()
    with pytest.raises(DatasetError, match="not a finished dataset"):
        verify(dataset)


@pytest.mark.parametrize("line", ["zz  a", "0" * 64 + "  /etc/passwd", "0" * 64 + "  ../x", "0" * 64])
def test_checksum_lines_that_are_none_or_lead_outside(dataset: Path, line: str) -> None:
    (dataset / "checksums.sha256").write_text(line + "\n")
    with pytest.raises(DatasetError, match="line 1"):
        verify(dataset)


SHARD = "data/train/faulty_none-00000.parquet"
Row = dict[str, Any]


def tampered(dataset: Path, change: Callable[[list[Row]], list[Row]], shard: str = SHARD) -> list[str]:
    """Change the rows of a shard, renew all checksums as a careful forger would, and verify."""
    table = pq.read_table(dataset / shard)
    changed = change(table.to_pylist())
    pq.write_table(pa.Table.from_pylist(changed, schema=table.schema), dataset / shard)
    card = (dataset / "README.md").read_text()
    old = root_hash(read_checksums(dataset))
    hashes = hash_files(dataset, {})
    (dataset / "README.md").write_text(card.replace(old, root_hash(hashes)))
    write_checksums(dataset, hash_files(dataset, {}))
    return verify(dataset).problems


def edited(column: str, value: object) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{**rows[0], column: value}, *rows[1:]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edited("label", 3), "label is 3, expected 12"),
        (edited("text", "other words"), "metadata/train.parquet: does not repeat the rows"),
        (edited("codec", "encodec"), "codec is 'encodec', expected 'faulty'"),
        (edited("is_fake", False), "is_fake is False, expected True"),
        (edited("duration", 9.0), "duration says 144000"),
        (edited("audio_sha256", "0" * 64), "do not have the sha256"),
        (edited("gain", 0.0), "gain is 0.0, which is no factor"),
        (edited("level_gain", float("nan")), "level_gain is nan, which is no factor"),
        (edited("level_gain", None), "without level_gain"),
        (edited("audio", {"bytes": b"noise", "path": "x.flac"}), "cannot be decoded"),
        (edited("audio", None), "has no audio"),
        (edited("utterance_id", "p999_001"), "its utterances are not the planned ones"),
        (lambda rows: rows[1:], "planned"),
        (lambda rows: [rows[1], *rows[1:]], "the same id stands in"),
        (
            lambda rows: [{**rows[0], "audio": {**rows[0]["audio"], "path": "../x.flac"}}, *rows[1:]],
            "is no bare file name",
        ),
        (
            lambda rows: [{**rows[0], "audio": rows[1]["audio"], "audio_sha256": rows[1]["audio_sha256"]}, *rows[1:]],
            "samples, duration says",
        ),
    ],
)
def test_tampered_rows_are_found_even_with_renewed_checksums(
    dataset: Path, change: Callable[[list[Row]], list[Row]], message: str
) -> None:
    problems = tampered(dataset, change)
    assert any(message in problem for problem in problems), problems


def test_real_clips_have_their_own_level(dataset: Path) -> None:
    problems = tampered(dataset, edited("level_gain", 1.5), "data/dev/real-00000.parquet")
    assert any("level_gain is 1.5, expected 1.0" in problem for problem in problems)


def test_a_speaker_in_two_splits_is_found(dataset: Path) -> None:
    provenance = json.loads((dataset / "provenance.json").read_text())
    assert provenance["recipe"]["assignment"]["method"] == "speaker_disjoint"
    other = pq.read_table(dataset / "data/dev/real-00000.parquet").to_pylist()[0]["speaker"]
    problems = tampered(dataset, lambda rows: [{**row, "speaker": other, "corpus": row["corpus"]} for row in rows])
    assert any("shares speakers with" in problem for problem in problems)


def test_the_sha256_of_a_clip_is_that_of_its_samples(dataset: Path) -> None:
    import io

    import soundfile

    row = pq.read_table(dataset / SHARD).to_pylist()[0]
    pcm, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
    assert hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest() == row["audio_sha256"]
