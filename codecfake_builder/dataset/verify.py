"""Verification of a dataset folder: hashes of its files, every clip, every row, and the members of its splits.

The folder may come from anybody: whatever is in it, each problem is one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from codec_adapters.files.hashing import sha256_of
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.checksums import dataset_files, read_checksums, root_hash
from codecfake_builder.dataset.integrity.expected import parse_expected
from codecfake_builder.dataset.integrity.rows import RowChecker
from codecfake_builder.errors import DatasetError
from codecfake_builder.progress import progress
from codecfake_builder.text_files import escaped

_LONGEST_LINE = 1000
_NEEDED = (layout.CARD, layout.CROISSANT, layout.PROVENANCE, layout.REJECTED)


@dataclass
class Verification:
    """Result of a verification: what was checked, and what is wrong."""

    files: int = 0
    """Files hashed."""
    clips: int = 0
    """Clips decoded."""
    root: str = ""
    """Root hash of the dataset."""
    problems: list[str] = field(default_factory=list)
    """One line each; empty: the dataset is as it says."""

    def add(self, where: str, what: str) -> None:
        """Add one problem; names and texts of the dataset are shown with their control characters as escapes.

        Args:
            where: file, or split and variant.
            what: what is wrong there.
        """
        line = escaped(f"{where}: {what}")
        self.problems.append(line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}...")


def verify(dataset: Path, workers: int | None = None) -> Verification:
    """Check a dataset folder against its checksums, its provenance and itself.

    Args:
        dataset: the folder.
        workers: threads; by default as many as there are cores.

    Returns:
        Everything that is wrong; the check goes on after a problem.

    Raises:
        DatasetError: the folder is no finished dataset: it has no checksums to compare with, or damaged ones.
    """
    if not dataset.is_dir():
        raise DatasetError(f"{dataset}: no such folder")
    found = Verification()
    hashes = read_checksums(dataset)
    found.root = root_hash(hashes)
    with ThreadPoolExecutor(workers) as pool:
        intact = _check_files(dataset, hashes, found, pool)
        if layout.PROVENANCE in intact:
            try:
                expected = parse_expected((dataset / layout.PROVENANCE).read_bytes())
                RowChecker(dataset, expected, intact, found, pool).check()
            except DatasetError as error:
                found.problems.append(escaped(str(error)))
        else:
            found.add(layout.PROVENANCE, "missing or damaged, so rows could not be held against the recipe")
    _check_texts(dataset, intact, found)
    return found


def _check_texts(dataset: Path, intact: set[str], found: Verification) -> None:
    """Check the files beside the rows: the card has the root hash, Croissant is JSON."""
    if layout.CARD in intact and found.root.encode() not in (dataset / layout.CARD).read_bytes():
        found.add(layout.CARD, f"does not state the root hash {found.root}")
    if layout.CROISSANT in intact:
        try:
            document = json.loads((dataset / layout.CROISSANT).read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            found.add(layout.CROISSANT, "is no JSON object")


def _check_files(dataset: Path, hashes: dict[str, str], found: Verification, pool: ThreadPoolExecutor) -> set[str]:
    """Compare every file with the checksums; return the names of the intact ones."""
    intact = set()
    there = set(dataset_files(dataset))
    for name in sorted(there - hashes.keys()):
        found.add(name, f"is not listed in {layout.CHECKSUMS}")
    for name in sorted(hashes.keys() - there):
        found.add(name, f"is listed in {layout.CHECKSUMS} but not there")
    for name in _NEEDED:
        if name != layout.PROVENANCE and name not in there | hashes.keys():
            found.add(name, "is missing")
    for name in _links_outside(dataset, there):
        found.add(name, "is a link that leads out of the dataset's folder")
        there.discard(name)
    names = sorted(there & hashes.keys())
    with progress("hashing", len(names), "files") as advance:
        for name, actual in zip(names, pool.map(lambda name: _sha256(dataset / name), names), strict=True):
            found.files += 1
            if actual == hashes[name]:
                intact.add(name)
            elif actual.startswith(_NOT_READ):
                found.add(name, actual)
            else:
                found.add(
                    name, f"has sha256 {actual}, {layout.CHECKSUMS} says {hashes[name]}; its content was not checked"
                )
            advance(1)
    return intact


_NOT_READ = "cannot be read"


def _sha256(path: Path) -> str:
    """Return the sha256 of a file, or why it cannot be read."""
    try:
        return sha256_of(path)
    except OSError as error:
        return f"{_NOT_READ} ({error.strerror})"


def _links_outside(dataset: Path, names: set[str]) -> Iterator[str]:
    """Yield the files that a link takes out of the dataset's folder; the cache of ``huggingface_hub`` is made of links
    to the folder ``blobs`` beside ``snapshots``, which is none of these."""
    home = dataset.resolve()
    blobs = home.parent.parent / "blobs" if home.parent.name == "snapshots" else home
    for name in sorted(names):
        real = (dataset / name).resolve()
        if not real.is_relative_to(home) and not real.is_relative_to(blobs):
            yield name
