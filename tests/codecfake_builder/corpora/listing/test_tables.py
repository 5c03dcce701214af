"""Tables that list files: odd ones are read right, or refused with file, row and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codecfake_builder.corpora.listing.tables import table_rows
from codecfake_builder.corpora.listing.values import listed_text
from codecfake_builder.errors import CorpusError

KNOWN = ("path", "speaker", "text")


def read(folder: Path, name: str, text: str) -> list[dict[str, str | None]]:
    (folder / name).write_text(text, encoding="utf-8")
    rows = table_rows(folder / name, ("path",), KNOWN)
    return [{column: row.text(column) for column in KNOWN} for row in rows]


ONE = [{"path": "x.wav", "speaker": "s1", "text": "hi"}]


@pytest.mark.parametrize(
    "text",
    [
        "path,speaker,text\nx.wav,s1,hi\n",
        "\ufeffpath,speaker,text\r\nx.wav,s1,hi\r\n",
        "path, speaker , text\n x.wav, s1 ,hi ",
        "Path,SPEAKER,Text\nx.wav,s1,hi\n",
        "path;speaker;text\nx.wav;s1;hi\n",
        "path\tspeaker\ttext\nx.wav\ts1\thi\n",
        "path|speaker|text\nx.wav|s1|hi\n",
        "\n\npath,speaker,text\n\n,,\nx.wav,s1,hi\n",
        "path,speaker,text,,\nx.wav,s1,hi,,\n",
        "path,speaker,text\nx.wav,s1,hi,,\n",
        "path,speaker,text,other,other\nx.wav,s1,hi,1,2\n",
        '"path","speaker","text"\n"x.wav","s1","hi"\n',
    ],
)
def test_csv_that_is_read(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "list.csv", text) == ONE


def test_fields_with_delimiters_and_line_breaks(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "list.csv", 'path,speaker,text\n"a, b.wav",s,"one\ntwo ""three"""\n')
    assert row == {"path": "a, b.wav", "speaker": "s", "text": 'one\ntwo "three"'}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column path in the header"),
        ("\n\n", "no column path in the header"),
        ("paths,speaker\nx.wav,s\n", r"no column path in the header \(did you mean paths\?\)"),
        ("path,speaker,path\nx,s,y\n", "the header: 'path' is there twice"),
        ("Path,path\nx,s\n", "the header: 'path' is there twice"),
        ("path,speaker\nx.wav\n", "line 2: 1 fields, the header has 2"),
        ("path,speaker\ny.wav,s\nx.wav,s,t,u\n", "line 3: 4 fields, the header has 2"),
        ('path,speaker\nx.wav,"s\ny.wav,s\n', "line 2: not CSV"),
        ('path,speaker\nx.wav,"a"b\n', "line 2: not CSV"),
        ("path,speaker\nx.wav," + "a" * 200_000 + "\n", "line 2: not CSV"),
        ("a" * 200_000 + "\n", "no column path"),
        ("path,speaker\nx.wav,a\0b\n", "line 2: holds a NUL byte"),
        ("path,speaker\nx.wav,a\x1bb\n", r"line 2: speaker: holds control characters: 'a\\x1bb'"),
    ],
)
def test_csv_that_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CorpusError, match=words) as caught:
        read(tmp_path, "list.csv", text)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_jsonl_that_is_read(tmp_path: Path) -> None:
    lines = [
        {"path": "x.wav", "speaker": "s1", "text": "hi"},
        {"Path ": "x.wav", "speaker": 5, "text": float("nan"), "more": {"a": [1, {"b": 2}]}},
        {"path": "x.wav", "speaker": 5.0, "text": None},
        {"path": "x.wav", "speaker": "", "text": "line\u2028 two"},
    ]
    text = "\ufeff" + "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert [(row["speaker"], row["text"]) for row in read(tmp_path, "list.jsonl", text)] == [
        ("s1", "hi"),
        ("5", None),
        ("5", None),
        (None, "line\u2028 two"),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1, 2]", "line 1: expected an object with path"),
        ('"x.wav"', "line 1: expected an object"),
        ("{'path': 1}", "line 1: not JSON"),
        ('{"path": "x", "path": "y"}', "line 1: 'path' is there twice"),
        ('{"path": ' + "9" * 5000 + "}", "line 1: not JSON"),
        ('{"path": ' + "[" * 100_000, "line 1: not JSON"),
        ('{"path": "x", "text": ["a"]}', r"line 1: text: expected text, found a list: \['a'\]"),
        ('{"path": "x", "text": {"a": 1}}', "line 1: text: expected text, found a mapping"),
        ('{"path": "x", "speaker": true}', "line 1: speaker: expected text, found a truth value"),
        ('{"path": "x", "speaker": 1.5}', "line 1: speaker: expected text, found a fraction"),
        ('{"path": "x", "speaker": Infinity}', "line 1: speaker: expected text, found a fraction"),
        ('{"path": "x", "text": "\\ud800"}', "line 1: text: holds half a character"),
        ('{"path": "x\\u0000y"}', "line 1: path: holds control characters"),
    ],
)
def test_jsonl_that_is_refused(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(CorpusError, match=words) as caught:
        read(tmp_path, "list.jsonl", line + "\n")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.int64(5), "5"),
        (np.float32(5), "5"),
        (np.float64("nan"), None),
        (np.str_("a"), "a"),
        (b"caf\xc3\xa9", "café"),
        (0, "0"),
        (-0.0, "0"),
        ("  ", None),
    ],
)
def test_values_of_other_libraries(value: Any, text: str | None) -> None:
    assert listed_text(value, "row 1", "speaker") == text


@pytest.mark.parametrize("value", [np.zeros(2), np.bool_(True), b"\xff", object(), 1e300, {1}])
def test_values_that_are_no_text(value: Any) -> None:
    with pytest.raises(CorpusError, match="row 1: speaker: expected text, found"):
        listed_text(value, "row 1", "speaker")
