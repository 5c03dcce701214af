"""The paths of a dataset folder, and that one module alone spells them."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codecfake_builder.dataset import layout
from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "codecfake_builder"
LAYOUT = PACKAGE / "dataset" / "layout.py"
SPELLED = re.compile(
    r"README\.md|checksums\.sha256|croissant\.json|provenance\.json|rejected\.parquet"
    r"|(?<![\w/])(data|metadata)/"
    r"|\.build\b|plan\.json|(?<!\w)recipe\.yaml|metadata\.json|intelligibility\.json"
    r"|claims-|(?<!\w)(records|batching)/|(?<!\w)\.(next|old)(?!\w)"
)
"""What is found of a path in a string."""
FOLDERS = frozenset({"data", "metadata", "records", "batching", "lock", "finished"})
"""Names that are no more than words, unless they are a part of a path (``dataset / "data"``)."""
TEXTS = {"plan/planning.py": {"rejected.parquet"}}
"""Messages of rooms that ``dataset`` imports from, which can take no constant from it."""


def spelled(source: str) -> Iterator[str]:
    """Yield every piece of a dataset folder's paths in a module's code: strings but its docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from (match.group() for match in SPELLED.finditer(node.value))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield from (
                side.value
                for side in (node.left, node.right)
                if isinstance(side, ast.Constant) and side.value in FOLDERS
            )


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('dataset / "README.md"', "README.md"),
        ('dataset / "data" / split', "data"),
        ('f"data/{split}/*.parquet"', "data/"),
        ('f"{dataset}: expected metadata/<split>.parquet"', "metadata/"),
        ('f"{STATE}/claims-"', "claims-"),
        ('dataset / ".build" / "lock"', ".build"),
        ('f".{dataset.name}.next"', ".next"),
    ],
)
def test_a_spelled_path_is_found(code: str, found: str) -> None:
    assert found in list(spelled(f'"""README.md of data/."""\npath = {code}'))


def test_docstrings_and_other_paths_are_not_taken_for_a_dataset_folders() -> None:
    source = '"""Writes README.md."""\nA = 1\n"""Of metadata/."""\nroot = "/data/VCTK"\nclip = "data:audio/flac"\n'
    assert list(spelled(source)) == []


def test_no_other_module_spells_a_path_of_a_dataset_folder() -> None:
    found = {
        name: paths
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != LAYOUT
        and (paths := set(spelled(path.read_text(encoding="utf-8"))))
        - TEXTS.get(name := path.relative_to(PACKAGE).as_posix(), set())
    }
    assert found == {}


def test_layout_imports_nothing_but_the_standard_library() -> None:
    imported = set()
    for node in ast.walk(ast.parse(LAYOUT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names


def test_shard_record_and_cell_name_each_other() -> None:
    shard = layout.shard("eval_ood", "dac_16khz", 7)
    assert shard == "data/eval_ood/dac_16khz-00007.parquet"
    assert layout.cell_of(shard) == ("eval_ood", "dac_16khz")
    record = layout.record_of(shard)
    assert record == ".build/records/eval_ood/dac_16khz-00007.json"
    assert layout.shard_of(record) == shard
    assert layout.is_shard(shard)
    assert layout.is_shard(shard, "eval_ood")
    assert not layout.is_shard(shard, "eval")
    assert not layout.is_shard(record)
    assert layout.is_shard_or_record(shard)
    assert layout.is_shard_or_record(record)
    assert not layout.is_shard_or_record(layout.metadata("eval_ood"))


def test_files_are_listed_as_their_patterns_find_them(tmp_path: Path) -> None:
    shards = [layout.shard(split, variant, 0) for split in ("dev", "train") for variant in ("mimi_8codebooks", "real")]
    for name in [*shards, *map(layout.record_of, shards), layout.metadata("dev"), layout.metadata("train")]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / f"{shards[0]}.tmp-1").touch()

    def names(paths: list[Path]) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in paths]

    assert names(layout.shard_files(tmp_path)) == shards
    assert names(layout.shard_files(tmp_path, "train")) == shards[2:]
    assert names(layout.shard_files(tmp_path, "train", "real")) == shards[3:]
    assert names(sorted(tmp_path.glob(layout.shard_pattern("train")))) == shards[2:]
    assert names(sorted(tmp_path.glob(layout.shard_pattern("train", "real")))) == shards[3:]
    assert [layout.shard_of(name) for name in names(layout.record_files(tmp_path))] == shards
    assert names(layout.metadata_files(tmp_path)) == ["metadata/dev.parquet", "metadata/train.parquet"]
    assert layout.shard_files(tmp_path / "absent") == layout.metadata_files(tmp_path / "absent") == []


def test_other_versions_lie_beside_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "d")
    for dataset in (tmp_path / "d", tmp_path / "link"):
        assert layout.next_version(dataset) == tmp_path.resolve() / ".d.next"
        assert layout.old_version(dataset) == tmp_path.resolve() / ".d.old"
