"""Write results as text, Markdown, LaTeX or JSON, beside the publication's printed numbers, marked as such."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codecfake_builder.benchmark.scoring.bootstrap import Interval
from codecfake_builder.benchmark.scoring.publication import PublishedTable, published_tables
from codecfake_builder.benchmark.scoring.results import Results, Table
from codecfake_builder.tables import escape_latex, format_table

PUBLISHED = "as printed in arXiv 2501.06514 (other data and weights; not computed here)"


def cell_text(cell: Interval) -> str:
    """Return a value with its 95 % interval, as in ``96.50 [95.91, 97.02]``."""
    bounds = "" if cell.low is None or cell.high is None else f" [{cell.low:.2f}, {cell.high:.2f}]"
    return f"{cell.value:.2f}{bounds}"


def table_rows(table: Table) -> list[list[str]]:
    """Return the header, the rows and the row of clip counts of a table."""
    body = [[name, *(cell_text(cell) for cell in row)] for name, row in table.rows.items()]
    counts = ["clips", *(str(count) if count else "" for count in table.clips)]
    return [["", *table.columns], *body, counts]


def published_rows(table: PublishedTable) -> list[list[str]]:
    """Return the header and the rows of a printed table."""
    return [["", *table.columns], *([name, *(f"{value:g}" for value in row)] for name, row in table.rows.items())]


def _text_block(title: str, rows: list[list[str]]) -> str:
    return f"{title}\n\n{format_table(rows[0], rows[1:])}"


def _markdown_block(title: str, rows: list[list[str]]) -> str:
    return f"### {title}\n\n{format_table(rows[0], rows[1:], 'markdown', _alignment(rows))}"


def _latex_block(title: str, rows: list[list[str]]) -> str:
    table = format_table(rows[0], rows[1:], "latex", _alignment(rows))
    return f"\\begin{{table}}\n\\caption{{{escape_latex(title)}}}\n{table}\n\\end{{table}}"


def _alignment(rows: list[list[str]]) -> str:
    """Return the alignment of a table's columns: names to the left, values with their intervals to the right."""
    return "l" + "r" * (len(rows[0]) - 1)


def _document(
    results: Results, block: Callable[[str, list[list[str]]], str], note: Callable[[Sequence[str]], str]
) -> str:
    parts = []
    for table in results.tables:
        parts.append(block(f"{results.model}: {table.title}", table_rows(table)))
        printed = published_tables().get(table.key)
        if printed:
            parts.append(block(f"{printed.title}, {PUBLISHED}", published_rows(printed)))
            parts.append(note(printed.notes))
    if results.thresholds:
        rows = [["detector", "threshold"], *([name, f"{value:.6g}"] for name, value in results.thresholds.items())]
        parts.append(block("thresholds: the score that 95 % of the known dev clips reach", rows))
    parts.append(note([f"not computed: {text}" for text in results.notes]))
    return "\n\n".join(part for part in parts if part) + "\n"


def as_text(results: Results) -> str:
    """Return results as aligned plain text."""
    return _document(results, _text_block, lambda notes: "\n".join(f"note: {text}" for text in notes))


def as_markdown(results: Results) -> str:
    """Return results as GitHub's Markdown."""
    return _document(results, _markdown_block, lambda notes: "\n".join(f"- {text}" for text in notes))


def as_latex(results: Results) -> str:
    """Return results as LaTeX ``table`` environments that need no package."""
    return _document(results, _latex_block, lambda notes: "\n".join(f"% {text}" for text in notes))


FORMATS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "text": ("txt", as_text),
    "json": ("json", Results.to_json),
    "markdown": ("md", as_markdown),
    "latex": ("tex", as_latex),
}
"""Name of a format -> suffix of its files, and the function that writes it."""
