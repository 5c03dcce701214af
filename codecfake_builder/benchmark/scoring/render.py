"""Results as text, Markdown, LaTeX or JSON, with the publication's own numbers beside them, marked as such."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codecfake_builder.benchmark.scoring.bootstrap import Interval
from codecfake_builder.benchmark.scoring.published import PublishedTable, published_tables
from codecfake_builder.benchmark.scoring.results import Results, Table
from codecfake_builder.tables import format_table

PUBLISHED = "as printed in arXiv 2501.06514 (other data and weights; not computed here)"


def cell_text(cell: Interval) -> str:
    """``96.50 [95.91, 97.02]``: value and 95 % interval."""
    bounds = "" if cell.low is None or cell.high is None else f" [{cell.low:.2f}, {cell.high:.2f}]"
    return f"{cell.value:.2f}{bounds}"


def table_rows(table: Table) -> list[list[str]]:
    """Header and body of a table."""
    body = [[name, *(cell_text(cell) for cell in row)] for name, row in table.rows.items()]
    counts = ["clips", *(str(count) if count else "" for count in table.clips)]
    return [["", *table.columns], *body, counts]


def published_rows(table: PublishedTable) -> list[list[str]]:
    """Header and body of a printed table."""
    return [["", *table.columns], *([name, *(f"{value:g}" for value in row)] for name, row in table.rows.items())]


def _text_block(title: str, rows: list[list[str]]) -> str:
    return f"{title}\n\n{format_table(rows[0], rows[1:])}"


def _markdown_block(title: str, rows: list[list[str]]) -> str:
    lines = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    rule = ["---", *("---:" for _ in rows[0][1:])]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in [lines[0], rule, *lines[1:]])


_LATEX = str.maketrans({character: f"\\{character}" for character in "&%$#_{}"} | {"\\": r"\textbackslash{}"})


def _latex_block(title: str, rows: list[list[str]]) -> str:
    lines = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in rows]
    columns = "l" + "r" * (len(rows[0]) - 1)
    body = "\n".join([lines[0], r"\hline", *lines[1:]])
    caption = title.translate(_LATEX)
    return (
        f"\\begin{{table}}\n\\caption{{{caption}}}\n\\begin{{tabular}}{{{columns}}}\n{body}\n"
        "\\end{tabular}\n\\end{table}"
    )


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
    """Aligned plain text."""
    return _document(results, _text_block, lambda notes: "\n".join(f"note: {text}" for text in notes))


def as_markdown(results: Results) -> str:
    """GitHub's Markdown."""
    return _document(results, _markdown_block, lambda notes: "\n".join(f"- {text}" for text in notes))


def as_latex(results: Results) -> str:
    """Table environments without packages."""
    return _document(results, _latex_block, lambda notes: "\n".join(f"% {text}" for text in notes))


FORMATS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "text": ("txt", as_text),
    "json": ("json", Results.to_json),
    "markdown": ("md", as_markdown),
    "latex": ("tex", as_latex),
}
"""Suffix and writer of every form."""
