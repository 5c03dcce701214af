"""The certificate of an audit: what it found, for the root hash of the dataset that it looked at.

``.build/audit.json`` keeps the whole audit; the card carries its lines, a failed one too, between two marks, so that a
later audit can replace them.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codecfake_builder.dataset import layout
from codecfake_builder.files import write_text
from codecfake_builder.tables import format_table

FORMAT = 1
_BEGIN = "<!-- audit -->\n"
_END = "<!-- end of audit -->\n"


@dataclass(frozen=True)
class Certificate:
    """The lines of an audit."""

    root: str
    """Root hash of the dataset as it was audited."""
    passed: bool
    clips: int
    lines: tuple[tuple[str, str, str, str], ...]
    """Line, split, status, summary."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Certificate:
        """Return the certificate in an audit's document.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is none.
        """
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        lines = tuple(
            (str(line["line"]), str(line["where"]), str(line["status"]), str(line["summary"]))
            for line in document["findings"]
        )
        return cls(str(document["root"]), document["passed"] is True, int(document["clips"]), lines)

    @property
    def failed(self) -> list[str]:
        """Return the names of the lines that failed."""
        return list(dict.fromkeys(line for line, _, status, _ in self.lines if status == "fail"))

    def section(self) -> str:
        """Return the section of the card, in Markdown; whatever names hold, it makes no markup."""
        verdict = "**passed**: no line failed" if self.passed else f"**failed**: {', '.join(self.failed)}"
        rows = [[html.escape(" ".join(cell.split()), quote=False) for cell in line] for line in self.lines]
        return (
            f"{_BEGIN}## Audit\n\n"
            f"`python -m codecfake_builder audit .` on {self.clips} clips, root hash `{self.root}`: {verdict}. Gates "
            "are features that no codec has to change, and must tell nothing of the class; `note` lines are figures to "
            "know. Intervals hold for all gates together.\n\n"
            f"{format_table(['line', 'split', 'status', 'what was found'], rows, 'markdown')}\n\n{_END}"
        )


def save_audit(dataset: Path, document: Mapping[str, Any]) -> None:
    """Write an audit's document into the dataset's state."""
    write_text(dataset / layout.AUDIT, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def kept_certificate(dataset: Path, root: str) -> Certificate | None:
    """Return the certificate of the audit that the dataset's state keeps; ``None`` where there is none for this root
    hash, or it is damaged."""
    try:
        found = Certificate.of(json.loads((dataset / layout.AUDIT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return found if found.root == root else None


def with_section(card: str, certificate: Certificate) -> str:
    """Return a card's text with the certificate in the place of an earlier one, or at its end."""
    before, begun, rest = card.partition(_BEGIN)
    if not begun:
        return f"{card.rstrip()}\n\n{certificate.section()}"
    return before + certificate.section() + rest.partition(_END)[2]
