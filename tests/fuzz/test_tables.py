"""Lists and tables of any content: rows that an index can hold, or one line of an error of ours; never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.corpora import (
    Aishell3Config,
    Asvspoof2019LaConfig,
    CorpusConfig,
    FolderConfig,
    ImportedConfig,
    InTheWildConfig,
    StCodecfakeConfig,
    VctkConfig,
)
from codecfake_builder.corpora.index import SCHEMA
from codecfake_builder.corpora.listing.values import listed_text
from codecfake_builder.corpora.utterance_lists import read_ids, read_labels
from codecfake_builder.errors import BuilderError, RecipeError

EXAMPLES = 2000
fuzz = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
)
CATALOGUE = builtin_catalogue()
WORDS = (
    *("path", "file", "speaker", "label", "codec", "variant", "text", "language", "utterance_id", "sha256", "Path", ""),
    *("x.wav", "./x.wav", "y.wav", "0.wav", "../x.wav", "/etc/passwd", "x.wav\\", "a/b/x.flac", "n" * 300, "file:///x"),
    *(
        "mimi",
        "snac",
        "encodec_24khz_6kbps",
        "0",
        "4",
        "-1",
        "99",
        "nan",
        "1e400",
        "bona-fide",
        "spoof",
        "real",
        "fake",
    ),
    *(
        "LA_E_1",
        "A07",
        "-",
        "bonafide",
        "p225_001.wav",
        "SSB00050001.wav",
        "SSB00050001",
        "guang3",
        "广",
        "州",
        "zhou1",
    ),
    *("é", "e\u0301", "\ufeff", "\u2028", "\x00", "\x1b[2J", "\x85", "\x0c", "\ud800", '"', "'", '""', "\\", "None"),
)
SEPARATORS = (",", ";", "\t", "|", " ", "\n", "\r\n", "\r", ", ", '"', "\n\n")
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "gbk", "utf-16-le")


def joined(parts: list[tuple[str, str]]) -> str:
    return "".join(word + separator for word, separator in parts)


heaps = st.lists(st.tuples(st.sampled_from(WORDS) | st.text(max_size=8), st.sampled_from(SEPARATORS)), max_size=40).map(
    joined
)
cells = st.sampled_from(WORDS) | st.text(max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Something like a CSV: a header that often is right, and rows that often fit it."""
    columns = draw(st.sampled_from([["file", "speaker", "label"], ["path", "codec", "speaker"], ["path", "text"]]))
    columns = draw(st.permutations(columns)) + draw(st.lists(cells, max_size=1))
    delimiter = draw(st.sampled_from([",", ",", ";", "\t"]))
    rows = [columns, *draw(st.lists(st.lists(cells, min_size=2, max_size=4), max_size=6))]
    return draw(st.sampled_from(["\n", "\r\n"])).join(delimiter.join(row) for row in rows)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | cells,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(WORDS), values, max_size=5).map(lambda row: {"path": "x.wav", **row})
lines_of_json = st.lists((objects | values).map(json.dumps), max_size=4).map("\n".join)


def encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, errors="surrogatepass" if encoding.startswith("utf") else "replace")


texts = st.builds(encoded, heaps | tables() | lines_of_json, st.sampled_from(ENCODINGS))
contents = texts | st.binary(max_size=200)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the few files that a list may name, in the layouts of the corpora."""
    folder = tmp_path_factory.mktemp("root")
    names = ("x.wav", "y.wav", "0.wav", "a/b/x.flac", "ASVspoof2019_LA_eval/flac/LA_E_1.flac", "train/p225_001.wav")
    inner = ("train/wav/SSB0005/SSB00050001.wav", "wav48/p225/p225_001.wav")
    for name in (*names, *inner):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def explain(error: BuilderError) -> None:
    """Hold an error to one line that a terminal can show."""
    said = str(error)
    assert len(said.split("\n")) == 1, said
    said.encode("utf-8")


def listed(config: CorpusConfig) -> None:
    """List the files of a corpus; all of it must fit an index."""
    try:
        files = config.wanted_files(CATALOGUE)
    except BuilderError as error:
        explain(error)
        return
    rows = [
        {"utterance_id": f.utterance_id, "path": f.path, "speaker": f.speaker, "language": f.language, "text": f.text}
        for f in files
    ]
    pa.Table.from_pylist(rows, schema=SCHEMA)
    usable = [file for file in files if file.reason is None]
    assert all(file.utterance_id and file.speaker and file.language for file in usable)
    assert not any("\n" in file.detail for file in files if file.detail)


def case(name: str, where: str, make: Callable[[Path, Path], CorpusConfig]) -> object:
    return pytest.param(where, make, id=name)


KINDS = [
    case("csv", "t.csv", lambda root, file: FolderConfig(kind="folder", root=root, table=file)),
    case("jsonl", "t.jsonl", lambda root, file: FolderConfig(kind="folder", root=root, table=file)),
    case("imported", "i.csv", lambda root, file: ImportedConfig(kind="imported", root=root, table=str(file))),
    case("imported-jsonl", "i.jsonl", lambda root, file: ImportedConfig(kind="imported", root=root, table=str(file))),
    case("in-the-wild", "meta.csv", lambda root, file: InTheWildConfig(kind="in_the_wild", root=root)),
    case(
        "asvspoof",
        "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt",
        lambda root, file: Asvspoof2019LaConfig(kind="asvspoof2019la", root=root),
    ),
    case("aishell3", "train/content.txt", lambda root, file: Aishell3Config(kind="aishell3", root=root)),
    case("vctk", "txt/p225/p225_001.txt", lambda root, file: VctkConfig(kind="vctk", root=root)),
    case(
        "st-codecfake",
        "label/train.txt",
        lambda root, file: StCodecfakeConfig(kind="st_codecfake", root=root, part="train"),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("where", "make"), KINDS)
def test_lists_of_any_content(root: Path, where: str, make: Callable[[Path, Path], CorpusConfig]) -> None:
    file = root / where
    file.parent.mkdir(parents=True, exist_ok=True)

    @fuzz
    @given(contents)
    def check(data: bytes) -> None:
        file.write_bytes(data)
        listed(make(root, file))

    try:
        check()
    finally:
        file.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("read", [lambda path: read_ids(str(path)), read_labels])
def test_lists_of_ids_of_any_content(tmp_path: Path, read: Callable[[Path], list[str]]) -> None:
    @fuzz
    @given(contents)
    def check(data: bytes) -> None:
        (tmp_path / "ids.txt").write_bytes(data)
        try:
            found = read(tmp_path / "ids.txt")
        except RecipeError as error:
            explain(error)
        else:
            assert all(identity.strip() for identity in found)
            listed_ids = FolderConfig(kind="folder", root=tmp_path, ids=str(tmp_path / "ids.txt"))
            (tmp_path / "x.wav").touch()
            listed(listed_ids)

    check()


@pytest.mark.slow
@fuzz
@given(values | st.binary(max_size=8) | st.decimals() | st.datetimes() | st.complex_numbers())
def test_values_of_any_kind(value: object) -> None:
    try:
        text = listed_text(value, "list.jsonl: line 1", "speaker")
    except BuilderError as error:
        explain(error)
    else:
        assert text is None or (text.strip() == text and text.encode("utf-8"))
