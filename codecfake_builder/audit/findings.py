"""What an audit finds: lines that pass, fail or only report, each with its figures and examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

EXAMPLES = 5
"""Clips, speakers or texts that a finding names at most."""


class Status(StrEnum):
    """How a line ended."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NOTE = "note"
    """Nothing that could fail: a figure to know."""
    SKIPPED = "skipped"
    """It could not be measured here; the summary says why."""


@dataclass(frozen=True)
class Finding:
    """One line of an audit."""

    line: str
    """What was looked at: ``edges``, ``near duplicates``; ``docs/audit.md`` explains each."""
    where: str
    """The split or splits it was looked at in."""
    status: Status
    summary: str
    """In words, on one line, with the figure that decided."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """All figures, for JSON."""
    classes: tuple[str, ...] = ()
    """Of a failed line: the classes (variants, or folders) that it is about, where they can be named."""
    examples: tuple[str, ...] = ()
    """At most :data:`EXAMPLES` clips to look at or listen to."""


def failed(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that failed."""
    return [finding for finding in findings if finding.status is Status.FAIL]
