"""Parquet rows of any values, and files with any bytes changed, through ``verify``: problems, never an error."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codecfake_builder.changes.build import build
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.integrity.tables import read_rows
from codecfake_builder.dataset.metadata import REJECTED
from codecfake_builder.dataset.schema import schema
from codecfake_builder.dataset.verify import Verification, verify
from codecfake_builder.errors import DatasetError
from tests.kit.datasets_for_tests import small_recipe
from tests.kit.malformed import SHARD, renew_checksums, root_of

pytestmark = pytest.mark.slow
FEW = settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=12) | st.sampled_from(["real", "vctk", "p225_001", "a\nb", "\x1b[2J", "x" * 5000]),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "bool": st.booleans(),
    "double": st.floats(),
}
COLUMN_TYPES = [pa.int64(), pa.string(), pa.binary(), pa.float32(), pa.bool_(), pa.list_(pa.string()), pa.null()]


@pytest.fixture(scope="module")
def dataset(vctk: Path, aishell3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "d"
    build(small_recipe(vctk, aishell3, ["real"]), out)
    shutil.rmtree(out / layout.STATE)
    return out


@pytest.fixture(autouse=True)
def _no_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of files that nobody keeps need not reach the disk."""
    monkeypatch.setattr("codecfake_builder.files.os.fsync", lambda descriptor: None)


def readable(path: Path, columns: pa.Schema) -> None:
    """Read a file's rows: they are rows, or one line says why not."""
    try:
        assert all(row.keys() == set(columns.names) for row in read_rows(path, columns))
    except DatasetError as error:
        found = Verification()
        found.add(path.name, str(error))
        said = found.problems
    else:
        said = []
    assert all(line.isprintable() for line in said)


def check(dataset: Path, root: str) -> Verification:
    """Verify with renewed checksums: the files themselves are judged."""
    renew_checksums(dataset, root)
    found = verify(dataset, workers=1)
    assert all(problem.isprintable() for problem in found.problems)
    return found


def test_rows_of_any_values(dataset: Path) -> None:
    path, root = dataset / SHARD, root_of(dataset)
    sound = pq.read_table(path).to_pylist()
    flac = sound[0]["audio"]["bytes"]
    audio = st.fixed_dictionaries(
        {
            "bytes": st.none()
            | st.binary(max_size=40)
            | st.integers(0, len(flac)).map(lambda n: flac[:n] + flac[n + 1 :]),
            "path": st.none() | st.text(max_size=9),
        }
    )

    @FEW
    @given(st.data())
    def rows(data: st.DataObject) -> None:
        changed = [dict(row) for row in sound[: data.draw(st.integers(1, 3))]]
        for row in changed:
            for field in data.draw(st.lists(st.sampled_from(list(schema(None))), max_size=4)):
                values = audio if field.name == "audio" else VALUES[str(field.type)]
                row[field.name] = data.draw(st.none() | values)
        pq.write_table(pa.Table.from_pylist(changed, schema=schema(None)), path)
        assert check(dataset, root).problems

    rows()


FILES = {SHARD: schema(None), "metadata/train.parquet": schema(None, audio=False), "rejected.parquet": REJECTED}


@pytest.mark.parametrize("name", FILES)
def test_files_of_any_bytes(dataset: Path, tmp_path: Path, name: str) -> None:
    whole = (dataset / name).read_bytes()
    near_the_end = st.integers(max(0, len(whole) - 3000), len(whole) - 1)

    @FEW
    @given(
        st.lists(st.tuples(near_the_end | st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=5),
        st.sampled_from([0, 0, 0, 1, 100, 1000]),
    )
    def damaged(changes: list[tuple[int, int]], cut: int) -> None:
        content = bytearray(whole)
        for position, value in changes:
            content[position] = value
        (tmp_path / "x.parquet").write_bytes(content[: len(content) - cut])
        readable(tmp_path / "x.parquet", FILES[name])

    damaged()


@pytest.mark.parametrize("name", FILES)
def test_columns_of_any_type(tmp_path: Path, name: str) -> None:
    wanted = FILES[name]

    @FEW
    @given(st.lists(st.tuples(st.sampled_from([*wanted.names, "other"]), st.sampled_from(COLUMN_TYPES)), max_size=30))
    def columns(chosen: list[tuple[str, pa.DataType]]) -> None:
        fields = {**{field.name: field.type for field in wanted}, **dict(chosen)}
        table = pa.table([pa.nulls(2, kind) for kind in fields.values()], pa.schema(fields.items()))
        pq.write_table(table, tmp_path / "x.parquet")
        readable(tmp_path / "x.parquet", wanted)

    columns()
