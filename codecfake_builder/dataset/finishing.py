"""Finish a dataset whose shards are there: write metadata, rejections, provenance, Croissant, card and checksums.

``build`` does so, and ``remove-codec``, which has neither corpora nor codecs.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from codec_adapters.classes import NO_LABEL
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.checksums import (
    checksums_text,
    dataset_files,
    hash_files,
    read_checksums,
    root_hash,
    write_checksums,
)
from codecfake_builder.dataset.contents import Contents, count_contents, refuse_config_names
from codecfake_builder.dataset.description.card import card_text
from codecfake_builder.dataset.description.certificate import kept_certificate, save_audit
from codecfake_builder.dataset.description.croissant import croissant_text
from codecfake_builder.dataset.description.sources import SpeechSource, speech_sources
from codecfake_builder.dataset.integrity.file_hashes import FileHashes
from codecfake_builder.dataset.metadata import read_network_rates, write_metadata, write_rejected
from codecfake_builder.dataset.provenance import provenance_document, provenance_text
from codecfake_builder.dataset.quality import measure_stoi
from codecfake_builder.dataset.records import ShardRecord
from codecfake_builder.dataset.saved import keep_out_of_uploads, save_plan_summary, save_recipe
from codecfake_builder.dataset.schema import class_names
from codecfake_builder.errors import CheckFailedError, DatasetError
from codecfake_builder.files import sha256_text, write_text
from codecfake_builder.plan.summary import PlanSummary
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.recipe.variants import ResolvedVariant, speaking_codec


@dataclass(frozen=True)
class DatasetInputs:
    """What the files beside a dataset's shards are written from."""

    recipe: Recipe
    summary: PlanSummary
    made_by: dict[str, ResolvedVariant]
    """What made the clips of each variant but ``real``."""
    records: list[ShardRecord]
    """Of all shards."""
    left_out: pa.Table
    """Utterances that were left out before planning; schema :data:`codecfake_builder.plan.planning.LEFT_OUT`."""

    @cached_property
    def contents(self) -> Contents:
        """Count the clips of every split and variant.

        Raises:
            CheckFailedError: there is no clip.
        """
        contents = count_contents(
            self.recipe, self.summary.splits, self.records, self.made_by, self.classes, self.summary.imported
        )
        if not contents.splits:
            raise CheckFailedError(f"every clip was rejected, so there is no dataset: {_reasons(self.records)}")
        return contents

    @cached_property
    def speech(self) -> list[SpeechSource]:
        """Return the corpora that have clips in the dataset, with licences and citations."""
        taken = {corpus for split in self.summary.splits for corpus in self.recipe.split_corpora(split)}
        return speech_sources(self.recipe, taken & self.summary.corpora.keys())

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Return the class names by label."""
        return classes_of(self.recipe, self.summary, self.made_by)

    @cached_property
    def provenance(self) -> str:
        """Return the text of ``provenance.json``."""
        return provenance_text(provenance_document(self.recipe, self.summary, self.made_by, self.records, self.speech))

    @property
    def fingerprint(self) -> str:
        """Return a sha256 over all inputs; a dataset that was finished from the same ones is left as it is."""
        shards = sorted(f"{record.key} {record.sha256} {record.file}" for record in self.records)
        return sha256_text(self.provenance, json.dumps(self.left_out.to_pylist()), *shards)


def classes_of(recipe: Recipe, summary: PlanSummary, made_by: dict[str, ResolvedVariant]) -> tuple[str, ...]:
    """Return the names of all classes that a dataset may hold, by label.

    Raises:
        RecipeError: labels of new families leave a gap, or are taken; or a family has the name of a config.
    """
    specs = [speaking_codec(made).spec for made in made_by.values()]
    used = {spec.family: spec.label for spec in specs}
    used |= {own.codec: own.label for own in summary.imported.values() if own.label != NO_LABEL}
    refuse_config_names(used)
    return tuple(class_names(used, recipe.retired_labels))


def is_finished_from(dataset: Path, inputs: DatasetInputs) -> bool:
    """Return whether a dataset was finished from these very inputs."""
    marker = _read_marker(dataset)
    return marker is not None and marker[0] == inputs.fingerprint and (dataset / layout.CHECKSUMS).is_file()


def damaged_files(dataset: Path, hashes: FileHashes) -> list[str]:
    """Return the names of what is missing, added or changed in a dataset since it was finished, checksums first.

    Files are held against ``checksums.sha256``, and that against what the builder's state says. Of a folder that is no
    finished dataset, or whose state does not say, nothing can be told: all is written anew.
    """
    marker = _read_marker(dataset)
    if marker is None or not (dataset / layout.CHECKSUMS).is_file():
        return []
    try:
        listed = read_checksums(dataset)
    except DatasetError:
        return [layout.CHECKSUMS]
    if not hashes.matches(layout.CHECKSUMS, marker[1]):
        return [layout.CHECKSUMS]
    there = set(dataset_files(dataset))
    hashes.read(sorted(there))
    changed = {name for name in there & listed.keys() if not hashes.matches(name, listed[name])}
    return sorted(changed | (there ^ listed.keys()))


def _read_marker(dataset: Path) -> tuple[str, str] | None:
    """Return the fingerprint of the inputs that a dataset was finished from, and the sha256 of its checksums."""
    try:
        fingerprint, checksums = (dataset / layout.FINISHED).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None  # absent, damaged, or of an earlier version
    return fingerprint, checksums


def save_state(dataset: Path, inputs: DatasetInputs) -> None:
    """Write what later changes need into the dataset's state folder; files with the same text are not written again."""
    save_recipe(inputs.recipe, dataset)
    save_plan_summary(inputs.summary, dataset)


Auditor = Callable[[Path, str], dict[str, Any]]
"""Audits the folder of a dataset that has this root hash; returns the audit's document."""


def finish(dataset: Path, inputs: DatasetInputs, hashes: FileHashes, audit: Auditor | None = None) -> str:
    """Write everything beside the shards, checksums last; return the root hash.

    Args:
        dataset: a folder that holds all shards but is no finished dataset; how a finished one changes, see
            :mod:`codecfake_builder.dataset.versions`.
        inputs: what the files are written from.
        hashes: of the files in it; they are completed, and written to the state.
        audit: makes the certificate that the card carries; ``None``: one that was made of these very files stays.
    """
    contents, records = inputs.contents, inputs.records
    keep_out_of_uploads(dataset)
    _write_all_metadata(contents, {record.file: record.sha256 for record in records}, hashes)
    write_rejected(dataset, inputs.left_out, records)
    write_text(dataset / layout.PROVENANCE, inputs.provenance)
    files = sha256_text(*sorted(f"{record.sha256}  {record.file}" for record in records))
    write_text(dataset / layout.CROISSANT, croissant_text(contents, inputs.speech, files))
    save_state(dataset, inputs)
    (dataset / layout.CARD).unlink(missing_ok=True)
    listed = hash_files(dataset, hashes.read(dataset_files(dataset)))
    root = root_hash(listed)
    scores = measure_stoi(dataset, clips) if (clips := contents.recipe.card.stoi_clips) else []
    rates = read_network_rates(dataset, contents.splits)
    if audit:
        save_audit(dataset, audit(dataset, root))
    languages, certificate = list(inputs.summary.languages), kept_certificate(dataset, root)
    card = card_text(contents, languages, root, rates, inputs.speech, scores, certificate)
    write_text(dataset / layout.CARD, card)
    listed |= hashes.read([layout.CARD])
    mark_finished(dataset, inputs.fingerprint, listed)
    hashes.save()
    write_checksums(dataset, listed)
    return root


def mark_finished(dataset: Path, fingerprint: str, listed: dict[str, str]) -> None:
    """Note what a dataset was finished from, and the sha256 of its checksums.

    Args:
        dataset: its folder.
        fingerprint: of the inputs, see :attr:`DatasetInputs.fingerprint`.
        listed: sha256 of every file.
    """
    checksums = hashlib.sha256(checksums_text(listed).encode("utf-8", "surrogateescape")).hexdigest()
    write_text(dataset / layout.FINISHED, f"{fingerprint} {checksums}\n")


def mark_changed_card(dataset: Path, listed: dict[str, str]) -> None:
    """Note the checksums of a dataset whose card alone was changed; what it was finished from stays."""
    marker = _read_marker(dataset)
    if marker is not None:
        mark_finished(dataset, marker[0], listed)


def finished_root(dataset: Path) -> str:
    """Return the root hash of a finished dataset."""
    return root_hash(read_checksums(dataset))


def _write_all_metadata(contents: Contents, shards: dict[str, str], hashes: FileHashes) -> None:
    """Bring ``metadata/`` up to date; a file whose shards and class names are as before is not written again.

    Args:
        contents: of the dataset.
        shards: sha256 of every shard.
        hashes: of the files in the dataset's folder.
    """
    dataset = hashes.dataset
    before = _written_before(dataset)
    written = {}
    for split in contents.splits:
        name, files = layout.metadata(split), sorted(contents.files(split))
        source = sha256_text(json.dumps(contents.classes), *(f"{shards[file]}  {file}" for file in files))
        known_source, known_hash = before.get(split, ("", ""))
        if source != known_source or not hashes.matches(name, known_hash):
            write_metadata(dataset, split, files, contents.classes)
        written[split] = [source, hashes.of(name)]
    for old in layout.metadata_files(dataset):
        if old.stem not in contents.splits:
            old.unlink()
    write_text(dataset / layout.METADATA_SOURCES, json.dumps(written, indent=1) + "\n")


def _written_before(dataset: Path) -> dict[str, tuple[str, str]]:
    """Read what each metadata file was written from, and its sha256, by split."""
    try:
        document = json.loads((dataset / layout.METADATA_SOURCES).read_text(encoding="utf-8"))
        return {str(split): (str(source), str(sha256)) for split, (source, sha256) in document.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}  # absent, or damaged: all are written


def check_rejections(contents: Contents) -> None:
    """Check that no codec failed on more clips of a split than the audio policy allows.

    Raises:
        CheckFailedError: a codec did.
    """
    allowed = contents.recipe.audio.max_rejected_share
    failed = [
        f"{cell.split}/{cell.variant}: {cell.rejected} of {cell.rejected + cell.clips} clips"
        for cell in contents.cells
        if cell.rejected > allowed * (cell.rejected + cell.clips)
    ]
    if failed:
        failures = f"codecs failed on more than {allowed:.0%} of the clips of {'; '.join(failed)}"
        raise CheckFailedError(f"the dataset is built, but {failures}; {layout.REJECTED} lists each with its reason")


def _reasons(records: list[ShardRecord]) -> str:
    """Return the reasons of all rejections with their counts, as one line."""
    counts = Counter(rejection.reason for record in records for rejection in record.rejected)
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
