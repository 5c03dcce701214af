"""Audit clips: run every check, and put together what they found."""

from __future__ import annotations

from dataclasses import dataclass

from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.containers import container_findings
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status, failed
from codecfake_builder.audit.gates import gate_findings, generated_findings
from codecfake_builder.audit.probes import trials, trials_of_generated
from codecfake_builder.audit.scan import Scan, scan
from codecfake_builder.errors import DatasetError


@dataclass(frozen=True)
class Expectations:
    """What a dataset says of itself, which an audit holds it to."""

    speakers_disjoint: bool = False
    """No speaker is in two pools of splits."""
    texts_disjoint: bool = False
    """No transcript is."""


@dataclass(frozen=True)
class Audit:
    """The result of an audit."""

    name: str
    """Of the dataset or folder."""
    root: str | None
    """Root hash of the dataset; ``None`` for a tree of files."""
    clips: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Return whether no line failed."""
        return not failed(self.findings)


def audit(clips: Clips, name: str, root: str | None, expected: Expectations, workers: int) -> Audit:
    """Audit clips.

    Args:
        clips: of a dataset or a tree.
        name: what they are called.
        root: root hash of the dataset.
        expected: what it says of itself.
        workers: processes that measure clips.

    Raises:
        DatasetError: no clip can be read.
    """
    found = scan(clips, workers)
    if len(found.unreadable) == len(clips):
        raise DatasetError(f"{name}: no clip can be read: {next(iter(found.unreadable.values()))}")
    if found.unreadable:
        clips.leave_out(list(found.unreadable))
    findings = [_readable(clips, found), *container_findings(clips, found.containers)]
    findings += gate_findings(trials(clips), found.features, findings)
    findings += generated_findings(trials_of_generated(clips), found.features)
    return Audit(name, root, len(clips), tuple(findings))


def _readable(clips: Clips, found: Scan) -> Finding:
    """Return the line on clips that cannot be read; they take part in nothing else."""
    if not found.unreadable:
        return Finding("readable", "all", Status.PASS, f"all {len(clips)} clips can be decoded")
    ids = clips.table["id"].to_numpy()
    some = tuple(f"{ids[row]}: {why}" for row, why in list(found.unreadable.items())[:EXAMPLES])
    return Finding(
        "readable",
        "all",
        Status.FAIL,
        f"{len(found.unreadable)} of {len(clips)} clips cannot be decoded: {some[0]}",
        {"clips": len(found.unreadable)},
        examples=some,
    )
