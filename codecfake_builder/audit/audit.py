"""Audit clips: run every check, and put together what they found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import cpu_count

from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.composition import composition_finding
from codecfake_builder.audit.containers import container_findings
from codecfake_builder.audit.dataset_clips import DatasetClips
from codecfake_builder.audit.faithfulness import PAIRS, faithfulness_findings, fidelity_finding
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status, failed
from codecfake_builder.audit.gates import gate_findings, generated_findings
from codecfake_builder.audit.labels import labels
from codecfake_builder.audit.leakage.against import Known, known_of, read_known
from codecfake_builder.audit.leakage.against import against as overlap
from codecfake_builder.audit.leakage.duplicates import duplicates
from codecfake_builder.audit.leakage.near_copies import near_duplicates
from codecfake_builder.audit.leakage.splits import speakers, texts, utterances
from codecfake_builder.audit.measuring.scan import Scan, scan
from codecfake_builder.audit.nonspeech import nonspeech_finding
from codecfake_builder.audit.probes import trials, trials_of_generated
from codecfake_builder.audit.tree_clips import TreeClips
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.description.certificate import FORMAT
from codecfake_builder.errors import DatasetError
from codecfake_builder.recipe.schema import Assignment, AuditSettings


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

    def document(self) -> dict[str, Any]:
        """Return the audit as data, for JSON; nothing in it differs between two audits of the same clips."""
        return {
            "format": FORMAT,
            "name": self.name,
            "root": self.root,
            "passed": self.passed,
            "clips": self.clips,
            "findings": [
                {
                    "line": finding.line,
                    "where": finding.where,
                    "status": finding.status.value,
                    "summary": finding.summary,
                    "classes": list(finding.classes),
                    "examples": list(finding.examples),
                    "values": dict(finding.values),
                }
                for finding in self.findings
            ],
        }


def audit(
    clips: Clips,
    name: str,
    root: str | None,
    expected: Expectations,
    workers: int,
    against: Mapping[str, Known] | None = None,
    scored: int = PAIRS,
) -> Audit:
    """Audit clips.

    Args:
        clips: of a dataset or a tree.
        name: what they are called.
        root: root hash of the dataset.
        expected: what it says of itself.
        workers: processes that measure clips.
        against: other data that none of it should be in, by name.
        scored: clips of each variant whose STOI and PESQ are measured.

    Raises:
        DatasetError: no clip can be read.
    """
    found = scan(clips, workers)
    if len(found.unreadable) == len(clips):
        raise DatasetError(f"{name}: no clip can be read: {next(iter(found.unreadable.values()))}")
    if found.unreadable:
        clips.leave_out(list(found.unreadable))
    findings = [_readable(clips, found), composition_finding(clips), *container_findings(clips, found.containers)]
    findings += faithfulness_findings(clips, found.comparisons)
    findings += [fidelity_finding(clips, found.comparisons, workers, scored)]
    own = trials(clips)
    findings += gate_findings(own, found.features, findings)
    findings += [nonspeech_finding(own, found.parts.pauses, found.parts.speech)]
    findings += generated_findings(trials_of_generated(clips), found.features)
    findings += _leakage(clips, found, expected)
    findings += labels(clips, found.timbres)
    if against:
        own_names = known_of(clips, found.pcm_sha256)
        findings += [line for other, known in against.items() for line in overlap(own_names, known, other)]
    return Audit(name, root, len(clips), tuple(findings))


def _leakage(clips: Clips, found: Scan, expected: Expectations) -> list[Finding]:
    """Return the lines on what is in two places that should have nothing in common."""
    return [
        *speakers(clips, expected.speakers_disjoint),
        *texts(clips, expected.texts_disjoint),
        *utterances(clips),
        *duplicates(clips, found.pcm_sha256),
        *near_duplicates(clips, found.fingerprints, found.pcm_sha256),
    ]


def audit_dataset(
    dataset: Path, root: str, workers: int | None = None, against: Sequence[Path] = (), scored: int = PAIRS
) -> Audit:
    """Audit a dataset folder, whose shards and ``provenance.json`` must be there.

    Args:
        dataset: the folder.
        root: its root hash.
        workers: processes; by default one per core.
        against: datasets, or lists of hashes, speakers and utterances, that it should have nothing in common with.
        scored: clips of each variant whose STOI and PESQ are measured.

    Raises:
        DatasetError: it, or one of the others, cannot be read.
    """
    known = {str(other): read_known(other) for other in against}
    expected = _expectations(dataset / layout.PROVENANCE)
    return audit(DatasetClips(dataset), dataset.resolve().name, root, expected, workers or cpu_count(), known, scored)


def audit_tree(root: Path, real: Path | None, workers: int | None = None, against: Sequence[Path] = ()) -> Audit:
    """Audit a tree of audio files, each of whose folders is a class; see :class:`TreeClips`.

    Raises:
        DatasetError: it is none.
    """
    known = {str(other): read_known(other) for other in against}
    clips = TreeClips(root, real)
    return audit(clips, root.resolve().name, None, Expectations(), workers or cpu_count(), known)


def _expectations(provenance: Path) -> Expectations:
    """Read what the recipe of a dataset says of its splits.

    Raises:
        DatasetError: the file is absent or damaged.
    """
    try:
        recipe = json.loads(provenance.read_text(encoding="utf-8"))["recipe"]
        assignment = Assignment.model_validate(recipe["assignment"])
        settings = AuditSettings.model_validate(recipe.get("audit", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{provenance}: cannot be read as the provenance of a dataset; verify tells more") from error
    speakers = settings.speakers or ("disjoint" if assignment.method == "speaker_disjoint" else "shared")
    return Expectations(speakers == "disjoint", settings.texts == "disjoint")


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
