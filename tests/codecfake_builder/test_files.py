"""Files are there whole or not at all, and an error of writing names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codecfake_builder.files import replacing, sha256_text, write_text


def _to_a_full_disk(temporary: Path) -> None:
    temporary.symlink_to("/dev/full")
    with temporary.open("wb", buffering=0) as stream:
        stream.write(b"x")


def _table_to_a_full_disk(temporary: Path) -> None:
    temporary.symlink_to("/dev/full")
    pq.write_table(pa.table({"a": list(range(100_000))}), temporary)


@pytest.mark.parametrize("write", [_to_a_full_disk, _table_to_a_full_disk])
def test_a_full_disk_names_the_file(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(OSError, match="No space left on device") as error:  # noqa: SIM117 - one statement inside
        with replacing(tmp_path / "a.json") as temporary:
            write(temporary)
    assert error.value.filename == str(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_error_of_another_file_stays(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, replacing(tmp_path / "a.json"):
        (tmp_path / "source").read_bytes()
    assert error.value.filename == str(tmp_path / "source")


def test_names_that_are_no_utf8_are_written_as_their_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "caf\udce9\n")
    assert (tmp_path / "a").read_bytes() == b"caf\xe9\n"
    assert sha256_text("caf\udce9") != sha256_text("caf?")
