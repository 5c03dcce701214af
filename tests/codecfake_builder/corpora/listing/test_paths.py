"""Paths of lists stay below the root, and are found where the list spells them otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec_adapters.builtin import builtin_catalogue
from codecfake_builder.corpora import FolderConfig
from codecfake_builder.corpora.base import SourceFile
from codecfake_builder.corpora.listing.paths import listed_path
from codecfake_builder.errors import CorpusError
from tests.kit.synthetic import write_wave

COMPOSED, DECOMPOSED = "caf\u00e9.wav", "cafe\u0301.wav"


def listed(root: Path, table: str) -> list[SourceFile]:
    (root / "list.csv").write_text(table, encoding="utf-8")
    return FolderConfig(kind="folder", root=root, table=root / "list.csv").wanted_files(builtin_catalogue())


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a/x.wav", ("a/x.wav", True)),
        ("./a//x.wav", ("a/x.wav", True)),
        ("a/../a/x.wav", ("a/x.wav", True)),
        ("a\\x.wav", ("a/x.wav", True)),
        (DECOMPOSED, (COMPOSED, True)),
        ("a", ("a", False)),
        ("b.wav", ("b.wav", False)),
        ("n" * 300, ("n" * 300, False)),
    ],
)
def test_paths_that_are_found_or_missing(tmp_path: Path, path: str, found: tuple[str, bool]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.wav").touch()
    (tmp_path / COMPOSED).touch()
    assert listed_path(tmp_path, path, "list.csv: line 2") == found


@pytest.mark.parametrize(
    "path", ["../x.wav", "/etc/passwd", "a/../../x.wav", "..\\x.wav", "file:///etc/passwd", "s3://b/x.wav", ".", "l/x"]
)
def test_paths_that_are_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "l").symlink_to(tmp_path)
    with pytest.raises(CorpusError, match=r"list\.csv: line 2: path ") as caught:
        listed_path(tmp_path / "root", path, "list.csv: line 2")
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_listed_again_is_a_duplicate(tmp_path: Path) -> None:
    write_wave(tmp_path / "x.wav", 0.5, 16000, 1)
    files = listed(tmp_path, "path,speaker,text\nx.wav,s,\n./x.wav,s,hello\n")
    assert [file.reason for file in files] == [None, "duplicate_id"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("path,speaker\nx.wav,a\nx.wav,b\n", "line 3: x.wav has the speaker 'b' here, and 'a' in .*line 2"),
        ("path,language\nx.wav,en\ny.wav,de\nx.wav,de\n", "line 4: x.wav has the language 'de' here"),
        ("path,text\nx.wav,yes\nx.wav,no\n", "line 3: x.wav has the text 'no' here"),
        ("path,utterance_id\nx.wav,u1\nx.wav,u2\n", "line 3: x.wav has the utterance id 'u2' here"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(CorpusError, match=words):
        listed(tmp_path, table)
