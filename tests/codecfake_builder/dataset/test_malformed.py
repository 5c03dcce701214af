"""``verify`` on malformed datasets: exit code 1, each problem one line, no traceback, memory bounded by their size."""

from __future__ import annotations

import io
import os
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from codecfake_builder.cli.app import main
from codecfake_builder.dataset.integrity import probe as probe_module
from codecfake_builder.dataset.schema import schema
from codecfake_builder.errors import DatasetError
from tests.kit.malformed import SHARD, change_json, change_rows, first_row, renew_checksums, root_of

Damage = Callable[[Path], object]


def verified(dataset: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``verify`` prints; it must end with exit code 1 and have a line for each problem."""
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(dataset)])
    printed = capsys.readouterr()
    assert ended.value.code == 1, printed
    assert "Traceback" not in printed.out + printed.err
    assert all(line.isprintable() for line in printed.out.splitlines())
    if "FAILED: " in printed.out:
        count = int(printed.out.rpartition("FAILED: ")[2].split()[0])
        assert min(count, 51) + 1 == len(printed.out.splitlines())
    return printed.out + printed.err


def rows(**values: Any) -> Damage:
    return lambda dataset: change_rows(dataset / SHARD, first_row(**values))


def provenance(change: Callable[[Any], Any]) -> Damage:
    return lambda dataset: change_json(dataset / "provenance.json", change)


def written(name: str, content: bytes) -> Damage:
    return lambda dataset: (dataset / name).write_bytes(content)


def retyped(column: str, kind: pa.DataType) -> Damage:
    def change(dataset: Path) -> None:
        table = pq.read_table(dataset / SHARD)
        number = table.column_names.index(column)
        pq.write_table(table.set_column(number, column, pa.nulls(table.num_rows, kind)), dataset / SHARD)

    return change


def flac(samples: np.ndarray[Any, Any], rate: int = 16000, **form: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, **{"format": "FLAC", "subtype": "PCM_16", **form})
    return stream.getvalue()


def promising(samples: int) -> bytes:
    """A FLAC file whose header promises a number of samples that are not there."""
    data = bytearray(flac(np.zeros(1600, np.float32)))
    bits = struct.unpack(">Q", data[18:26])[0]
    data[18:26] = struct.pack(">Q", (bits >> 36 << 36) | samples)
    return bytes(data)


def cut(dataset: Path) -> None:
    path = dataset / SHARD
    path.write_bytes(path.read_bytes()[:-200])


def flipped_pages(dataset: Path) -> None:
    content = bytearray((dataset / SHARD).read_bytes())
    for position in range(10, len(content) - 4000, 97):
        content[position] ^= 0x55
    (dataset / SHARD).write_bytes(content)


def flipped_footer(dataset: Path) -> None:
    content = bytearray((dataset / SHARD).read_bytes())
    for position in range(len(content) - 900, len(content) - 8, 13):
        content[position] ^= 0x55
    (dataset / SHARD).write_bytes(content)


def many_rows(dataset: Path) -> None:
    nothing = pa.table([pa.nulls(50_000_000, field.type) for field in schema(None)], schema=schema(None))
    pq.write_table(nothing, dataset / SHARD)


def unpacking(dataset: Path) -> None:
    row = pq.read_table(dataset / SHARD).to_pylist()[0]
    row["audio"]["bytes"] = b"\0" * 200_000_000
    table = pa.Table.from_pylist([row], schema=schema(None))
    pq.write_table(table, dataset / SHARD, compression="ZSTD", use_dictionary=False)


def repeating(dataset: Path) -> None:
    """A text of 100 kB that 20,000 rows have: 2 GB as texts of their own."""
    row = pq.read_table(dataset / SHARD).to_pylist()[0]
    table = pa.Table.from_pylist([{**row, "text": "x" * 100_000}] * 20_000, schema=schema(None))
    pq.write_table(table, dataset / SHARD)


def in_place_of(name: str, make: Callable[[Path], object]) -> Damage:
    """Take a file or folder away, and make something else in its place."""

    def change(dataset: Path) -> None:
        path = dataset / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)

    return change


def linked(dataset: Path) -> None:
    target = dataset.parent / "outside.parquet"
    (dataset / SHARD).rename(target)
    (dataset / SHARD).symlink_to(target)


def text_that_is_none(dataset: Path) -> None:
    table = pq.read_table(dataset / SHARD)
    broken = pa.array([b"\xff\xfe"] * table.num_rows, pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("text"), "text", broken), dataset / SHARD)


def moved(name: str) -> Damage:
    def change(dataset: Path) -> None:
        (dataset / name).parent.mkdir(parents=True, exist_ok=True)
        (dataset / SHARD).rename(dataset / name)

    return change


def without_column(dataset: Path) -> None:
    pq.write_table(pq.read_table(dataset / SHARD).drop_columns(["speaker"]), dataset / SHARD)


def renamed_split(document: Any) -> Any:
    document["splits"]["../../etc"] = document["splits"].pop("train")
    return document


def updated(**values: Any) -> Damage:
    return provenance(lambda document: {**document, **values})


NO_PROVENANCE = "provenance.json: "
INSIDE: dict[str, tuple[Damage, str]] = {
    "provenance is no JSON": (written("provenance.json", b"{"), NO_PROVENANCE),
    "provenance is binary": (written("provenance.json", bytes(range(256))), NO_PROVENANCE),
    "provenance is empty": (written("provenance.json", b""), NO_PROVENANCE),
    "provenance is a list": (provenance(lambda document: [document]), NO_PROVENANCE),
    "provenance is null": (provenance(lambda document: None), NO_PROVENANCE),
    "provenance is NaN": (written("provenance.json", b"NaN"), NO_PROVENANCE),
    "provenance is nested": (written("provenance.json", b"[" * 200_000), NO_PROVENANCE),
    "provenance without splits": (provenance(lambda d: {k: v for k, v in d.items() if k != "splits"}), "splits"),
    "splits are a list": (updated(splits=["train"]), "splits"),
    "splits are numbers": (updated(splits={"train": 5}), "splits.train"),
    "variants are a text": (updated(variants="real"), "variants"),
    "variants are unknown": (updated(variants={}), "nothing is said of variant faulty_none"),
    "a spec without family": (updated(variants={"faulty_none": {"spec": {}}}), "variants.faulty_none.spec.family"),
    "recipe is null": (updated(recipe=None), "recipe"),
    "utterances are NaN": (
        provenance(lambda d: {**d, "splits": {"train": {**d["splits"]["train"], "utterances": float("nan")}}}),
        "splits.train.utterances",
    ),
    "a split that leads outside": (provenance(renamed_split), "has no variant real in split train"),
    "shard is cut": (cut, f"{SHARD}: cannot be read as Parquet"),
    "shard is garbage": (written(SHARD, b"PAR1" + bytes(range(256)) * 9 + b"PAR1"), f"{SHARD}: cannot be read"),
    "shard is text": (written(SHARD, b"id,audio\n"), f"{SHARD}: cannot be read as Parquet"),
    "shard is empty": (written(SHARD, b""), f"{SHARD}: cannot be read as Parquet"),
    "pages are damaged": (flipped_pages, SHARD),
    "the footer is damaged": (flipped_footer, SHARD),
    "a column is missing": (without_column, f"{SHARD}: columns are"),
    "audio is a number": (retyped("audio", pa.int64()), f"{SHARD}: column audio is of type int64"),
    "audio without path": (retyped("audio", pa.struct([("bytes", pa.binary())])), f"{SHARD}: column audio is of type"),
    "duration is a text": (retyped("duration", pa.string()), f"{SHARD}: column duration is of type string"),
    "text is no UTF-8": (text_that_is_none, f"{SHARD}: cannot be read"),
    "id is null": (rows(id=None), "without id"),
    "corpus is null": (rows(corpus=None), "without corpus"),
    "speaker is null": (rows(speaker=None), "metadata/train.parquet: does not repeat"),
    "everything is null": (lambda d: change_rows(d / SHARD, lambda r: [dict.fromkeys(r[0])]), "without id, label"),
    "audio is null": (rows(audio=None), "has no audio"),
    "audio without bytes": (rows(audio={"bytes": None, "path": "x.flac"}), "has no audio"),
    "audio path is null": (rows(audio={"bytes": b"fLaC", "path": None}), "audio path None is no bare file name"),
    "audio is a WAV": (
        rows(audio={"bytes": flac(np.zeros(9), format="WAV"), "path": "a.flac"}), "is WAV PCM_16"
    ),
    "audio has 8 channels": (
        rows(audio={"bytes": flac(np.zeros((900, 8))), "path": "a.flac"}), "8 channels"
    ),
    "audio promises 2^36 samples": (
        rows(audio={"bytes": promising(2**36 - 1), "path": "a.flac"}), f"{SHARD}: clip real-"
    ),
    "audio and row promise 2^36 samples": (
        rows(audio={"bytes": promising(2**36 - 1), "path": "a.flac"}, duration=2.0**32), "duration is 4294967296.0"
    ),
    "audio goes on for an hour": (
        rows(audio={"bytes": flac(np.zeros(3600 * 16000, np.int16)), "path": "a.flac"}), "has more than"
    ),
    "duration is NaN": (rows(duration=float("nan")), "duration is nan"),
    "duration is infinite": (rows(duration=float("inf")), "duration is inf"),
    "duration is negative": (rows(duration=-1.0), "duration is -1.0"),
    "duration is null": (rows(duration=None), "without duration"),
    "an id of two lines": (rows(id="a\nOK: all is well\x1b[2J"), r"clip a\nOK: all is well\x1b[2J"),
    "an id of a megabyte": (rows(id="x" * 1_000_000), "more than 4096 characters in id"),
    "50 million rows": (many_rows, "says it holds 50000000 rows"),
    "200 MB in a few bytes": (unpacking, "says it unpacks to"),
    "a text that repeats": (repeating, SHARD),
    "rejected is garbage": (written("rejected.parquet", b"x" * 99), "rejected.parquet: cannot be read"),
    "rejected has other columns": (
        lambda d: pq.write_table(pa.table({"a": [1]}), d / "rejected.parquet"), "rejected.parquet: columns are a"
    ),
    "rejected without reason": (
        lambda d: pq.write_table(
            pa.table([["train"], *[[None]] * 6], schema=pq.read_schema(d / "rejected.parquet")), d / "rejected.parquet"
        ),
        "a row without corpus",
    ),
    "metadata is garbage": (written("metadata/train.parquet", b"x" * 99), "metadata/train.parquet: cannot be read"),
    "metadata has other columns": (
        lambda d: pq.write_table(pa.table({"a": [1]}), d / "metadata/train.parquet"), "metadata/train.parquet: columns"
    ),
    "metadata of another split": (
        lambda d: shutil.copy(d / "metadata/dev.parquet", d / "metadata/train.parquet"),
        "metadata/train.parquet: does not repeat",
    ),
    "croissant is a list": (written("croissant.json", b"[]"), "croissant.json: is no JSON object"),
    "card is binary": (written("README.md", b"\xff\x00"), "README.md: does not state the root hash"),
    "no card": (lambda d: (d / "README.md").unlink(), "README.md: is missing"),
    "a shard of no variant": (moved("data/train/x.parquet"), "data/train/x.parquet: is no name of a shard"),
    "a shard of no number": (moved("data/train/real-abc.parquet"), "real-abc.parquet: is no name of a shard"),
    "a shard deeper": (moved("data/a/train/real-00000.parquet"), "is no name of a shard"),
    "a shard of another split": (moved("data/test/real-00000.parquet"), "no variant real in split test"),
    "a shard with odd characters": (moved("data/train/re\n\x1b]0;x-00000.parquet"), r"data/train/re\n\x1b]0;x-00000"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("damage", INSIDE)
def test_a_fault_inside_is_one_line(dataset: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, words = INSIDE[damage]
    root = root_of(dataset)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    make(dataset)
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    renew_checksums(dataset, root)
    assert words in verified(dataset, capsys)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < max(before + 400_000, made + 150_000)  # kB


def test_a_name_that_is_no_utf8_or_has_a_line_break_can_be_listed(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = root_of(dataset)
    for name in ("caf\udce9.txt", "two\nlines\\.txt"):
        Path(f"{dataset}/{name}").write_bytes(b"")
    renew_checksums(dataset, root)
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(dataset)])
    assert ended.value.code == 0, capsys.readouterr()


def checksums(change: Callable[[bytes], bytes]) -> Damage:
    return lambda dataset: (dataset / "checksums.sha256").write_bytes(
        change((dataset / "checksums.sha256").read_bytes())
    )


OUTSIDE: dict[str, tuple[Damage, str]] = {
    "CRLF": (checksums(lambda text: text.replace(b"\n", b"\r\n")), "line 1: expected"),
    "empty": (checksums(lambda text: b""), "is not listed in checksums.sha256"),
    "binary": (checksums(lambda text: bytes(range(256))), "line 1: expected"),
    "an empty line": (checksums(lambda text: b"\n" + text), "line 1: expected"),
    "twice": (checksums(lambda text: text + text), "stands there twice"),
    "an absolute name": (checksums(lambda text: text + b"0" * 64 + b"  /etc/passwd\n"), "expected '<sha256>  <file>'"),
    "a name outside": (checksums(lambda text: text + b"0" * 64 + b"  a/../../x\n"), "expected '<sha256>  <file>'"),
    "an escaped name outside": (checksums(lambda text: text + b"\\" + b"0" * 64 + b"  ..\\\\/x\n"), "not there"),
    "a name with NUL": (checksums(lambda text: text + b"0" * 64 + b"  a\0b\n"), "expected '<sha256>  <file>'"),
    "escape sequences": (checksums(lambda text: text + b"0" * 64 + b"  a\x1b[2Jb\n"), r"a\x1b[2Jb"),
    "a hundred thousand names": (
        checksums(lambda text: text + b"".join(b"%064d  x%d\n" % (n, n) for n in range(100_000))), "and 99951 more"
    ),
    "a link that leads outside": (linked, f"{SHARD}: is a link that leads out"),
    "a broken link": (in_place_of(SHARD, lambda path: path.symlink_to("nowhere")), "but not there"),
    "a folder in the place of a file": (in_place_of(SHARD, Path.mkdir), "but not there"),
    "a folder in the place of the card": (
        in_place_of("README.md", Path.mkdir), "README.md: is listed"
    ),
    "a file in the place of data": (in_place_of("data", Path.touch), "data: is not"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("damage", OUTSIDE)
def test_a_fault_of_files_and_checksums_is_one_line(
    dataset: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = OUTSIDE[damage]
    make(dataset)
    assert words in verified(dataset, capsys)


def test_a_snapshot_of_the_hub_is_made_of_links(dataset: Path, tmp_path: Path) -> None:
    home = tmp_path / "datasets--me--mine"
    (home / "blobs").mkdir(parents=True)
    (home / "snapshots").mkdir()
    dataset.rename(home / "snapshots/rev")
    (home / "snapshots/rev" / SHARD).rename(home / "blobs/1234")
    (home / "snapshots/rev" / SHARD).symlink_to("../../../../blobs/1234")
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(home / "snapshots/rev")])
    assert ended.value.code == 0


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_a_path_that_the_locale_has_no_characters_for(dataset: Path, tmp_path: Path, there: bool) -> None:
    dataset.rename(tmp_path / "\N{GREEK SMALL LETTER MU}")
    (tmp_path / "\N{GREEK SMALL LETTER MU}/\N{SNOWMAN}.txt").touch()
    name = "\N{GREEK SMALL LETTER MU}" if there else "\N{GREEK SMALL LETTER NU}"
    command = [sys.executable, "-X", "utf8=0", "-m", "codecfake_builder", "verify", str(tmp_path / name)]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (1 if there else 2, False), done.stderr
    assert (b"is not listed in checksums.sha256" in done.stdout) == there


def test_a_file_that_takes_its_reader_down_is_one_line(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow ends its process on some damaged files: the process of the command goes on, and so do other files."""
    dying = [sys.executable, "-c", "import os, sys; sys.stdin.readline(); os.abort()"]
    reader = probe_module._Reader()
    monkeypatch.setattr(probe_module, "_reader", lambda: reader)
    with monkeypatch.context() as patch:
        patch.setattr(
            probe_module._Reader,
            "_started",
            staticmethod(lambda: subprocess.Popen(dying, stdin=subprocess.PIPE, stdout=subprocess.PIPE)),
        )
        with pytest.raises(DatasetError, match="so that the reader of Parquet breaks down"):
            probe_module.probe(dataset / SHARD)
    probe_module.probe(dataset / SHARD)
    reader.end()


def nothing_there(dataset: Path) -> None:
    (dataset / "data/train/faulty_none-00000.parquet").unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (written("metadata/train.parquet", b"x" * 99), "is no metadata of a dataset"),
        (lambda d: pq.write_table(pa.table({"a": [1]}), d / "metadata/train.parquet"), "is no metadata of a dataset"),
        (lambda d: change_rows(d / "metadata/train.parquet", first_row(id=None)), "a row without id"),
        (nothing_there, "cannot be "),
        (cut, "cannot be read"),
        (lambda d: change_rows(d / SHARD, lambda r: [{**row, "audio": None} for row in r]), "cannot be read"),
        (
            lambda d: change_rows(d / SHARD, lambda r: [{**x, "audio": {"bytes": b"a", "path": "a"}} for x in r]),
            "cannot be compared",
        ),
        (
            lambda d: change_rows(
                d / SHARD, lambda r: [{**x, "audio": {"bytes": promising(2**36 - 1), "path": "a"}} for x in r]
            ),
            "cannot be compared",
        ),
    ],
)
def test_quality_of_a_malformed_dataset_is_one_line(
    dataset: Path, damage: Damage, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(dataset)
    with pytest.raises(SystemExit) as ended:
        main(["quality", str(dataset)])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert ended.value.code == 2
    assert len(said) == 1
    assert words in said[0]


@pytest.mark.parametrize("kilobytes", [100, 2_000, 20_000])
def test_a_sound_shard_of_any_size_is_read(tmp_path: Path, kilobytes: int) -> None:
    """Audio that is not packed: Arrow's pools would reserve more address space for it than the limit allows."""
    audio = np.random.default_rng(0).bytes(10_000)
    table = pa.table({"audio": [audio] * (kilobytes // 10), "text": ["some words"] * (kilobytes // 10)})
    path = tmp_path / "shard.parquet"
    pq.write_table(table, path, row_group_size=100, compression="NONE", use_dictionary=["text"])
    probe_module.probe(path)
