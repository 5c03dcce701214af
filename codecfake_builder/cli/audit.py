"""The command ``audit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codecfake_builder.errors import BuilderError
from codecfake_builder.progress import say, tell

if TYPE_CHECKING:
    from codecfake_builder.audit.audit import Audit

EXAMPLE = "Example: python -m codecfake_builder audit lyra-dataset --certify"


def audit(
    dataset: Annotated[Path | None, typer.Argument(help="Dataset folder.")] = None,
    files: Annotated[
        Path | None, typer.Option("--files", metavar="ROOT", help="Audit a tree of audio: a folder for each class.")
    ] = None,
    real: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --files: the recordings, matched by name.")
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR_OR_LIST", help="Nothing of this dataset or list may be in it; repeatable."),
    ] = None,
    certify: Annotated[bool, typer.Option("--certify", help="Write the certificate into the dataset's card.")] = False,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there too.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one per core.")] = None,
) -> None:
    """Check that nothing but the sound of the codecs tells the classes apart; exit code 1 where a line fails."""
    if (dataset is None) == (files is None):
        raise BuilderError("audit takes a dataset folder, or --files ROOT")
    if files is None and real is not None:
        raise BuilderError("--real belongs to --files: a dataset has its recordings itself")
    if files is not None and certify:
        raise BuilderError("--certify: a tree of files has no card; take --json FILE")
    found = _audited(dataset, files, real, workers, against or [])
    document = found.document()
    if json_ is not None:
        from codecfake_builder.files import write_text

        write_text(json_, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if certify and dataset is not None:
        from codecfake_builder.changes.auditing import certify as write

        write(dataset, document)
        say(f"{dataset}: its card carries the certificate")
    _tell(found)
    if not found.passed:
        raise typer.Exit(1)


def _audited(
    dataset: Path | None, files: Path | None, real: Path | None, workers: int | None, against: list[Path]
) -> Audit:
    from codecfake_builder.audit.audit import audit_dataset, audit_tree
    from codecfake_builder.dataset.finishing import finished_root
    from codecfake_builder.errors import DatasetError

    if files is not None:
        return audit_tree(files, real, workers, against)
    assert dataset is not None
    if not dataset.is_dir():
        raise DatasetError(f"{dataset}: no such folder")
    return audit_dataset(dataset, finished_root(dataset), workers, against)


def _tell(found: Audit) -> None:
    """Print a line for each finding, and the verdict."""
    from codecfake_builder.audit.findings import failed

    for finding in found.findings:
        place = "" if finding.where == "all" else f" ({finding.where})"
        tell(f"{finding.status.value:7} {finding.line}{place}: {finding.summary}")
        if finding.status.value == "fail":
            for example in finding.examples:
                tell(f"          {example}")
    root = f", root hash {found.root}" if found.root else ""
    wrong = failed(found.findings)
    if wrong:
        lines = ", ".join(dict.fromkeys(finding.line for finding in wrong))
        tell(f"FAILED: {lines}; {found.clips} clips{root}; docs/audit.md says what to do")
    else:
        tell(f"OK: {found.clips} clips, no line failed{root}")
