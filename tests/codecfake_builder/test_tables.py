"""Tables as plain text, Markdown and LaTeX: cells stay as they are, and special characters are escaped."""

from __future__ import annotations

import pytest

from codecfake_builder.progress import say, tell
from codecfake_builder.tables import escape_latex, format_table

HEADER = ["name", "clips", "F1"]
ROWS = [["a_b|c", 1200, "96.50"], ["1e5", 7, "-"]]


def test_plain_text_aligns_columns_and_prints_cells_as_they_are() -> None:
    assert format_table(HEADER, ROWS).splitlines() == [
        "name   clips     F1",
        "-----  -----  -----",
        "a_b|c   1200  96.50",
        "1e5        7      -",
    ]
    assert format_table(["a", "b"], []).splitlines() == ["a  b", "-  -"]
    assert format_table(["n"], [["007"], ["nan"]]).splitlines() == ["n", "---", "007", "nan"]


def test_markdown_escapes_pipes_and_says_the_alignment() -> None:
    assert format_table(HEADER, ROWS, "markdown").splitlines() == [
        "| name   |   clips |    F1 |",
        "|:-------|--------:|------:|",
        "| a_b\\|c |    1200 | 96.50 |",
        "| 1e5    |       7 |     - |",
    ]
    assert format_table(["a", "b"], [["1", "x"]], "markdown", align="lr").splitlines()[1] == "|:----|----:|"


def test_latex_is_a_tabular_with_escaped_cells() -> None:
    text = format_table(["", "F1 (%)"], [["a_b\\{", "96.50 [95.91, 97.02]"]], "latex", align="lr")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == r"\begin{tabular}{lr}"
    assert lines[2] == r"& F1 (\%) \\"
    assert lines[4] == r"a\_b\textbackslash{}\{ & 96.50 [95.91, 97.02] \\"
    assert lines[-1] == r"\end{tabular}"
    assert escape_latex("50 % of a_b") == r"50 \% of a\_b"


def test_what_is_shown_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Ids, texts and keys of datasets and tables: C0, C1, DEL, line breaks, and marks that turn the direction."""
    evil = "a\x1b[2Jb\x07\x9bc\x7f\r\u202e\u2028d\ne"
    tell(format_table(["id"], [[evil]]))
    tell(f"name: {evil}")
    say(f"error: {evil}")
    out, err = capsys.readouterr()
    assert all(character.isprintable() for character in out.replace("\n", "") + err.replace("\n", ""))
    assert r"a\x1b[2Jb\x07\x9bc\x7f\r\u202e\u2028d\ne" in out.splitlines()[2]
    assert err == "error: a\\x1b[2Jb\\x07\\x9bc\\x7f\\r\\u202e\\u2028d\ne\n"
