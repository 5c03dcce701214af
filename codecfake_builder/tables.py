"""Write tables as plain text, Markdown or LaTeX, laid out by ``tabulate``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tabulate import LATEX_ESCAPE_RULES, SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from codecfake_builder.text_files import escaped

TableForm = Literal["plain", "markdown", "latex"]

_PLAIN = TableFormat(
    lineabove=None,
    linebelowheader=Line("", "-", "  ", ""),
    linebetweenrows=None,
    linebelow=None,
    headerrow=None,
    datarow=DataRow("", "  ", ""),
    padding=0,
    with_header_hide=None,
)
"""tabulate's ``simple`` without the lines above and below the table."""


def format_table(
    header: Sequence[str], rows: Sequence[Sequence[object]], form: TableForm = "plain", align: str | None = None
) -> str:
    """Return a table as text, without a line break at its end; control characters in cells are shown as escapes.

    Args:
        header: names of the columns.
        rows: cells, in the order of the header.
        form: ``plain``: aligned columns with a rule under the header, the same on a terminal and in a file.
            ``markdown``: GitHub's. ``latex``: a ``tabular`` environment that needs no package.
        align: a letter per column, ``l`` or ``r``; by default columns of numbers stand to the right.

    Example:
        >>> print(format_table(["split", "clips"], [["train", 700], ["dev", 70]]))
        split  clips
        -----  -----
        train    700
        dev       70
    """
    cells = [[escaped(str(cell)) for cell in row] for row in rows]
    letters = align or "".join("r" if all(map(_is_number, column)) else "l" for column in _columns(header, cells))
    sides = ["right" if letter == "r" else "left" for letter in letters]
    if form == "markdown":
        piped = [[cell.replace("|", "\\|") for cell in row] for row in [list(header), *cells]]
        return tabulate(piped[1:], piped[0], tablefmt="pipe", colalign=sides, disable_numparse=True)
    # the header goes in as a row, since tabulate makes a column at least two blanks wider than its header
    lines = [list(header), SEPARATING_LINE, *cells]
    library_form = _PLAIN if form == "plain" else form
    return tabulate(lines, tablefmt=library_form, colalign=sides, disable_numparse=True)


def escape_latex(text: str) -> str:
    """Return text with LaTeX's special characters escaped, as in the cells of a LaTeX table."""
    return "".join(LATEX_ESCAPE_RULES.get(character, character) for character in text)


def _columns(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[row[column] for row in cells] for column in range(len(header))]


def _is_number(text: str) -> bool:
    """Return whether a cell stands with the numbers: digits with ``,`` and ``.``, nothing, or ``-`` for none."""
    return text in ("", "-") or text.replace(",", "").replace(".", "", 1).isdigit()
