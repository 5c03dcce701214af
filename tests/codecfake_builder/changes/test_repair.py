"""A rerun of ``build`` brings back whatever is missing or changed in a finished dataset, and says so."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from codecfake_builder.changes.build import build
from codecfake_builder.changes.remove_codec import remove_codec
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.integrity.file_hashes import FileHashes
from codecfake_builder.dataset.verify import verify
from codecfake_builder.errors import DatasetError
from codecfake_builder.recipe.resolve import Resolved
from tests.kit.datasets_for_tests import FAULTY_PLUGIN, files, small_recipe

SHARD = "data/train/faulty_none-00000.parquet"
Damage = Callable[[Path], object]


def flip(path: Path, position: int = -40) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def without_another_time(path: Path) -> None:
    status = path.stat()
    flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def folder_for(path: Path) -> None:
    """Put an empty folder in the place of a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.mkdir()


def wrong_hash(dataset: Path) -> None:
    path = dataset / layout.record_of(SHARD)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "sha256": "0" * 64}))


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


DAMAGES: dict[str, tuple[Damage, str]] = {
    "flipped byte in a shard": (lambda d: flip(d / SHARD), SHARD),
    "a shard is gone": (lambda d: (d / SHARD).unlink(), SHARD),
    "a shard is a folder": (lambda d: folder_for(d / SHARD), SHARD),
    "no card": (lambda d: (d / "README.md").unlink(), "README.md"),
    "edited card": (lambda d: edited(d / "README.md", "real", "raal"), "README.md"),
    "empty checksums": (lambda d: (d / "checksums.sha256").write_text(""), "checksums.sha256"),
    "edited checksums": (lambda d: flip(d / "checksums.sha256", 3), "checksums.sha256"),
    "binary checksums": (lambda d: (d / "checksums.sha256").write_bytes(b"\xff\x00"), "checksums.sha256"),
    "flipped byte in metadata": (lambda d: flip(d / "metadata/train.parquet"), "metadata/train.parquet"),
    "no metadata": (lambda d: shutil.rmtree(d / "metadata"), "metadata/train.parquet"),
    "no croissant": (lambda d: (d / "croissant.json").unlink(), "croissant.json"),
    "edited provenance": (lambda d: edited(d / "provenance.json", '"format"', '"formal"'), "provenance.json"),
    "empty list of rejected clips": (lambda d: (d / "rejected.parquet").write_bytes(b""), "rejected.parquet"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_missing_or_changed_is_brought_back(recipe: Resolved, sound: Path, dataset: Path, damage: str) -> None:
    make, name = DAMAGES[damage]
    make(dataset)
    result = build(recipe, dataset)
    assert name in result.mended
    assert not result.unchanged
    assert files(dataset) == files(sound)
    assert verify(dataset).problems == []
    assert build(recipe, dataset).unchanged


STATES: dict[str, Damage] = {
    "wrong hash in a record": wrong_hash,
    "record is no JSON": lambda d: (d / layout.record_of(SHARD)).write_bytes(b"\xff{"),
    "record is a list": lambda d: (d / layout.record_of(SHARD)).write_text("[1]"),
    "other clips in a record": lambda d: edited(d / layout.record_of(SHARD), '"clips": ', '"clips": 1'),
    "nested record": lambda d: (d / layout.record_of(SHARD)).write_text("[" * 100_000),
    "no marker": lambda d: (d / layout.FINISHED).unlink(),
    "binary marker": lambda d: (d / layout.FINISHED).write_bytes(b"\xff\xfe\x00"),
    "hashes are no JSON": lambda d: (d / layout.HASHES).write_bytes(b"\xff"),
    "hashes are a list": lambda d: (d / layout.HASHES).write_text("[]"),
    "no recipe": lambda d: (d / layout.RECIPE).unlink(),
    "binary recipe": lambda d: (d / layout.RECIPE).write_bytes(b"\xff\x00"),
    "no plan": lambda d: (d / layout.PLAN).unlink(),
    "binary plan": lambda d: (d / layout.PLAN).write_bytes(b"\xff"),
    "binary sources of metadata": lambda d: (d / layout.METADATA_SOURCES).write_bytes(b"\xff"),
    "scores are a list": lambda d: (d / layout.INTELLIGIBILITY).write_text("[]"),
    "no state but its folder": lambda d: folder_for(d / ".build"),
}


@pytest.mark.parametrize("damage", STATES)
def test_a_damaged_state_is_made_anew(recipe: Resolved, sound: Path, dataset: Path, damage: str) -> None:
    STATES[damage](dataset)
    build(recipe, dataset)
    assert files(dataset) == files(sound)
    assert verify(dataset).problems == []
    assert build(recipe, dataset).unchanged


def test_a_wrong_hash_with_its_digest_is_not_copied(recipe: Resolved, sound: Path, dataset: Path) -> None:
    path = dataset / layout.record_of(SHARD)
    document = json.loads(path.read_text())
    del document["digest"]  # as records of earlier versions
    path.write_text(json.dumps({**document, "sha256": "0" * 64}))
    assert build(recipe, dataset).shards_made == 1
    assert files(dataset) == files(sound)


@pytest.mark.parametrize("name", [SHARD, "metadata/dev.parquet", "rejected.parquet", "README.md"])
def test_check_reads_files_of_the_same_size_and_time(recipe: Resolved, sound: Path, dataset: Path, name: str) -> None:
    build(recipe, dataset)  # the copy has other times
    without_another_time(dataset / name)
    assert build(recipe, dataset).unchanged
    assert build(recipe, dataset, check=True).mended == (name,)
    assert files(dataset) == files(sound)


def test_files_are_not_read_again_without_need(
    recipe: Resolved, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(recipe, dataset)

    def never(path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr("codecfake_builder.dataset.integrity.file_hashes.sha256_of", never)
    assert build(recipe, dataset).unchanged


def test_a_hash_that_was_only_written_down_does_not_hide_a_change(recipe: Resolved, dataset: Path) -> None:
    build(recipe, dataset)
    document = json.loads((dataset / layout.HASHES).read_text())
    document[SHARD][2] = "0" * 64
    (dataset / layout.HASHES).write_text(json.dumps(document))
    assert build(recipe, dataset).unchanged
    assert FileHashes.load(dataset)._known[SHARD].sha256 != "0" * 64


@pytest.mark.slow
def test_a_changed_shard_is_not_described_by_remove_codec(vctk: Path, aishell3: Path, tmp_path: Path) -> None:
    variants = ["real", "faulty_none", "faulty_short"]
    build(
        small_recipe(vctk, aishell3, variants, plugins=[FAULTY_PLUGIN], audio={"max_rejected_share": 1.0}),
        tmp_path / "d",
    )
    flip(tmp_path / "d/data/train/real-00000.parquet")
    with pytest.raises(DatasetError, match=r"train/real-00000.parquet: is not as it was built"):
        remove_codec(tmp_path / "d", "faulty_none")
