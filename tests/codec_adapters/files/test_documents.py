"""YAML documents: read as data, every key once, of bounded size; what is wrong is one line that says where."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from codec_adapters.errors import DocumentError
from codec_adapters.files.documents import parsed_yaml, read_mapping

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join(f'*{before}' for _ in range(9))}]\n"
    for before, after in zip("abcdefghi", "bcdefghij", strict=True)
)
WRONG: dict[str, tuple[str, str]] = {
    "a key twice": ("a: 1\nb: 2\na: 3\n", "the key 'a' stands twice line 3, column 1"),
    "a key twice within": ("x:\n  a: 1\n  a: 1\n", "the key 'a' stands twice line 3"),
    "a key twice in braces": ("x: {a: 1, 'a': 2}\n", "the key 'a' stands twice line 1"),
    "an alias bomb": (BOMB, "its aliases make more than 200000 values of it"),
    "a circle": ("a: &a\n  b: *a\n", "its aliases make more than"),
    "a number of 5,000 digits": ("a: 1\nb: " + "9" * 5000, "cannot be read (Exceeds the limit"),
    "no date": ("a: 2020-13-01", "2020-13-01 cannot be read (month must be in 1..12) line 1, column 4"),
    "no time": ("a: 2020-12-01 99:00:00", "cannot be read (hour must be in 0..23)"),
    "an object": ("a: !!python/object/apply:os.system [touch x]", "could not determine a constructor for the tag"),
    "deep nesting": ("[" * 5000, "it is nested too deeply"),
    "deep maps": ("{a: " * 5000, "it is nested too deeply"),
    "a tab": ("a:\n\t- b", "line 2, column 1"),
    "a control character": ("a: \x07", "unacceptable character #x0007"),
    "NUL": ("a: \0", "unacceptable character #x0000"),
    "two documents": ("a: 1\n---\nb: 2", "expected a single document"),
    "a list as a key": ("? [a]\n: b", "found unhashable key"),
    "an unknown alias": ("a: *b", "found undefined alias"),
    "much": ("a: " + "x" * (1 << 22), "at most 4194304 are read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line_that_says_where(case: str) -> None:
    text, words = WRONG[case]
    started = time.monotonic()
    with pytest.raises(DocumentError) as raised:
        parsed_yaml(text, "r.yaml")
    said = str(raised.value)
    assert said.startswith("r.yaml: not valid YAML: ")
    assert words in said
    assert "\n" not in said
    assert len(said) < 400
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("a: &x {c: 1}\nb: {<<: *x, c: 2}", {"a": {"c": 1}, "b": {"c": 2}}),
        ("1: a\n'1': b", {1: "a", "1": "b"}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("", None),
    ],
)
def test_what_is_right_is_read(text: str, value: Any) -> None:
    assert parsed_yaml(text, "r.yaml") == value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfea\x00", "it is no text in UTF-8"),
        (b"\x00\x01\x02", "not valid YAML"),
        (b"- a\n", "expected a mapping with name"),
        (b"", "expected a mapping with name"),
        (b" " * (1 << 24) + b" ", "is too large"),
    ],
)
def test_files_that_are_no_document(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(data)
    with pytest.raises(DocumentError, match=words):
        read_mapping(tmp_path / "r.yaml", "name")
