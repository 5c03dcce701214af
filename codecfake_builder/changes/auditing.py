"""Audit a dataset when it is finished, and bring an audit's certificate into the card of one that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codecfake_builder.dataset import layout
from codecfake_builder.dataset import versions as staging
from codecfake_builder.dataset.checksums import read_checksums, root_hash, write_checksums
from codecfake_builder.dataset.description.certificate import Certificate, kept_certificate, save_audit, with_section
from codecfake_builder.dataset.finishing import Auditor, mark_changed_card
from codecfake_builder.dataset.integrity.file_hashes import FileHashes
from codecfake_builder.errors import CheckFailedError, DatasetError
from codecfake_builder.files import write_text
from codecfake_builder.recipe.schema import Recipe


def auditor(recipe: Recipe) -> Auditor | None:
    """Return what audits a dataset of a recipe when it is finished; ``None`` where the recipe wants none."""
    return _audited if recipe.audit.after_build else None


def _audited(dataset: Path, root: str) -> dict[str, Any]:
    from codecfake_builder.audit.audit import audit_dataset  # brings scikit-learn along

    return audit_dataset(dataset, root, scored=0).document()  # the card has the intelligibility of its own clips


def check_certificate(dataset: Path, root: str) -> None:
    """Check that no line of the audit that the dataset carries failed.

    Raises:
        CheckFailedError: one did.
    """
    certificate = kept_certificate(dataset, root)
    if certificate and not certificate.passed:
        raise CheckFailedError(
            f"the dataset is built, but its audit failed in {', '.join(certificate.failed)}; {layout.CARD} says where, "
            "docs/audit.md what to do"
        )


def certify(dataset: Path, document: dict[str, Any]) -> None:
    """Write an audit's certificate into the card of a finished dataset, in one step.

    Args:
        dataset: its folder.
        document: the audit, of the dataset as it is now.

    Raises:
        DatasetError: the dataset has changed since, or cannot be changed.
    """
    certificate = Certificate.of(document)
    with staging.locked(dataset) as locks:
        hashes = read_checksums(dataset)
        if root_hash(hashes) != certificate.root:
            raise DatasetError(f"{dataset}: has changed since it was audited; run audit again")
        place = staging.prepare(dataset, lambda name: name in (layout.CARD, layout.AUDIT))
        save_audit(place, document)
        text = (dataset / layout.CARD).read_text(encoding="utf-8")
        write_text(place / layout.CARD, with_section(text, certificate))
        files = FileHashes.load(place)
        hashes |= files.read([layout.CARD])
        mark_changed_card(place, hashes)
        files.save()
        write_checksums(place, hashes)
        staging.publish(place, dataset, locks)
        staging.discard(dataset)
