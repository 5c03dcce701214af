"""Text of users and corpora: marks, line ends and encodings are read right, or refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from codecfake_builder.errors import BenchmarkError, CorpusError
from codecfake_builder.text_files import known_encoding, read_lines, read_text

TEXT = "Müller – 广州\nzweite\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_leave_no_trace(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert read_text(path) == TEXT
    assert read_lines(path) == ["Müller – 广州", "zweite"]


def test_marks_of_files_that_were_joined(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("a\r\n".encode("utf-8-sig") * 2 + "\ufeffb".encode())
    assert read_text(path) == "a\na\nb"


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_of_either_order(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(mark + "广州".encode("utf-16-le" if mark[0] == 0xFF else "utf-16-be"))
    assert read_text(path) == "广州"


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "für – café"), ("gbk", "她说：你好")])
def test_another_encoding_is_named_with_file_and_line_and_read_where_it_is_given(
    tmp_path: Path, encoding: str, text: str
) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(f"first\r\n{text}\r\n".encode(encoding))
    with pytest.raises(CorpusError, match=rf"list\.txt: line 2: is no text in UTF-8 .*encoding: {encoding}") as caught:
        read_text(path)
    assert len(str(caught.value).splitlines()) == 1
    assert read_text(path, encoding) == f"first\n{text}\n"


def test_a_byte_order_mark_counts_more_than_the_given_encoding(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("é".encode("utf-8-sig"))
    assert read_text(path, "cp1252") == "é"


def test_the_given_encoding_is_that_of_files_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    for text, own, given in (
        ("“é”", "utf-8", "cp1252"),
        ("“é”", "cp1252", "cp1252"),
        ("a\nb", "utf-16-le", "utf-16-le"),
    ):
        path.write_bytes(text.encode(own))
        assert read_text(path, given) == text


def test_only_line_breaks_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a\u2028b\x0cc\x85d\ne\n", encoding="utf-8")
    assert read_lines(path) == ["a\u2028b\x0cc\x85d", "e"]


@pytest.mark.parametrize(("data", "words"), [(b"a\nb\0c", "line 2: holds a NUL byte"), (b"\xff\xfea", "line 1")])
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    with pytest.raises(BenchmarkError, match=words):
        read_text(path, error=BenchmarkError)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "is no file"), (tmp_path / "gone", "cannot be read"), (Path("x" * 300), "too long")):
        with pytest.raises(CorpusError, match=words):
            read_text(path)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_text(Path("a\0b"))


def test_names_of_encodings() -> None:
    assert [name for name in ("gbk", "cp1252", "rot13", "hex", "nosuch", "a\0b") if known_encoding(name)] == [
        "gbk",
        "cp1252",
    ]
