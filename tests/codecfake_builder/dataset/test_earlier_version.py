"""A dataset of an earlier version, without the latest columns: one line from every command that reads it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codecfake_builder.cli.app import main
from codecfake_builder.dataset.checksums import hash_files, read_checksums, root_hash, write_checksums
from codecfake_builder.dataset.verify import verify

NEW = ["origin", "is_fake_transmission", "level_gain"]
SAID = f"was built by an earlier version, without {', '.join(NEW)}; build the dataset again"


@pytest.fixture
def earlier(dataset: Path) -> Path:
    """The small dataset with the columns of before, and checksums that hold."""
    for path in [*(dataset / "data").rglob("*.parquet"), *(dataset / "metadata").glob("*.parquet")]:
        table = pq.read_table(path).drop_columns(NEW)
        table = table.append_column("provenance", pa.array(["built"] * table.num_rows))
        pq.write_table(table, path)
    card = (dataset / "README.md").read_text()
    old = root_hash(read_checksums(dataset))
    (dataset / "README.md").write_text(card.replace(old, root_hash(hash_files(dataset, {}))))
    write_checksums(dataset, hash_files(dataset, {}))
    return dataset


@pytest.mark.parametrize(
    "command",
    [
        ["quality", "{d}"],
        ["benchmark", "score", "{d}/predictions.csv", "--dataset", "{d}"],
        ["benchmark", "train", "{d}", "--preset", "resnet_small", "--out", "{d}-run"],
        ["remove-codec", "faulty_none", "--from", "{d}"],
    ],
)
def test_commands_say_it_in_one_line(earlier: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in earlier.rglob("*.parquet")}
    with pytest.raises(SystemExit) as ended:
        main([part.format(d=earlier) for part in command])
    talk = capsys.readouterr().err
    assert ended.value.code == 2, talk
    assert talk == f"error: {earlier}: {SAID}\n"
    assert {path: path.stat().st_mtime_ns for path in earlier.rglob("*.parquet")} == before


def test_verify_says_it_in_one_line(earlier: Path) -> None:
    assert verify(earlier).problems == [f"{earlier}: {SAID}"]
