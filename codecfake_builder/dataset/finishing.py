"""Finish a dataset whose shards are there: write metadata, rejections, provenance, Croissant, card and checksums.

``build`` does so, and ``remove-codec``, which has neither corpora nor codecs.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from codec_adapters.classes import NO_LABEL
from codec_adapters.files.hashing import sha256_of
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.card import card_text
from codecfake_builder.dataset.checksums import hash_files, read_checksums, root_hash, write_checksums
from codecfake_builder.dataset.contents import Contents, count_contents
from codecfake_builder.dataset.croissant import croissant_text
from codecfake_builder.dataset.metadata import read_network_rates, write_metadata, write_rejected
from codecfake_builder.dataset.provenance import provenance_document, provenance_text
from codecfake_builder.dataset.quality import measure_stoi
from codecfake_builder.dataset.records import ShardRecord
from codecfake_builder.dataset.saved import save_plan_summary, save_recipe
from codecfake_builder.dataset.schema import class_names
from codecfake_builder.dataset.sources import SpeechSource, speech_sources
from codecfake_builder.errors import CheckFailedError
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
        return sha256_text(self.provenance, *sorted(f"{r.key} {r.sha256} {r.file}" for r in self.records))


def classes_of(recipe: Recipe, summary: PlanSummary, made_by: dict[str, ResolvedVariant]) -> tuple[str, ...]:
    """Return the names of all classes that a dataset may hold, by label.

    Raises:
        RecipeError: labels of new families leave a gap, or are taken.
    """
    specs = [speaking_codec(made).spec for made in made_by.values()]
    used = {spec.family: spec.label for spec in specs}
    used |= {own.codec: own.label for own in summary.imported.values() if own.label != NO_LABEL}
    return tuple(class_names(used, recipe.retired_labels))


def is_current(dataset: Path, inputs: DatasetInputs) -> bool:
    """Return whether a dataset is finished, from these very inputs."""
    marker = dataset / layout.FINISHED
    return (
        (dataset / layout.CHECKSUMS).is_file()
        and marker.is_file()
        and marker.read_text(encoding="utf-8") == inputs.fingerprint
    )


def save_state(dataset: Path, inputs: DatasetInputs) -> None:
    """Write what later changes need into the dataset's state folder; files with the same text are not written again."""
    save_recipe(inputs.recipe, dataset)
    save_plan_summary(inputs.summary, dataset)


def finish(dataset: Path, inputs: DatasetInputs) -> str:
    """Write everything beside the shards, checksums last; return the root hash.

    Args:
        dataset: a folder that holds all shards but is no finished dataset; how a finished one changes, see
            :mod:`codecfake_builder.dataset.versions`.
        inputs: what the files are written from.
    """
    contents, records = inputs.contents, inputs.records
    _write_all_metadata(dataset, contents, {record.file: record.sha256 for record in records})
    write_rejected(dataset, inputs.left_out, records)
    write_text(dataset / layout.PROVENANCE, inputs.provenance)
    files = sha256_text(*sorted(f"{record.sha256}  {record.file}" for record in records))
    write_text(dataset / layout.CROISSANT, croissant_text(contents, inputs.speech, files))
    save_state(dataset, inputs)
    (dataset / layout.CARD).unlink(missing_ok=True)
    hashes = hash_files(dataset, {record.file: record.sha256 for record in records if record.clips})
    root = root_hash(hashes)
    scores = measure_stoi(dataset, clips) if (clips := contents.recipe.card.stoi_clips) else []
    rates = read_network_rates(dataset, contents.splits)
    write_text(
        dataset / layout.CARD, card_text(contents, list(inputs.summary.languages), root, rates, inputs.speech, scores)
    )
    write_text(dataset / layout.FINISHED, inputs.fingerprint)
    write_checksums(dataset, {**hashes, layout.CARD: sha256_of(dataset / layout.CARD)})
    return root


def finished_root(dataset: Path) -> str:
    """Return the root hash of a finished dataset."""
    return root_hash(read_checksums(dataset))


def _write_all_metadata(dataset: Path, contents: Contents, hashes: dict[str, str]) -> None:
    """Bring ``metadata/`` up to date; a file whose shards and class names are as before is not written again."""
    before = _written_before(dataset)
    written = {}
    for split in contents.splits:
        path, files = dataset / layout.metadata(split), sorted(contents.files(split))
        source = sha256_text(json.dumps(contents.classes), *(f"{hashes[file]}  {file}" for file in files))
        known_source, known_hash = before.get(split, ("", ""))
        if source != known_source or not path.is_file() or sha256_of(path) != known_hash:
            write_metadata(dataset, split, files, contents.classes)
        written[split] = [source, sha256_of(path)]
    for old in layout.metadata_files(dataset):
        if old.stem not in contents.splits:
            old.unlink()
    write_text(dataset / layout.METADATA_SOURCES, json.dumps(written, indent=1) + "\n")


def _written_before(dataset: Path) -> dict[str, tuple[str, str]]:
    """Read what each metadata file was written from, and its sha256, by split."""
    try:
        document = json.loads((dataset / layout.METADATA_SOURCES).read_text(encoding="utf-8"))
        return {str(split): (str(source), str(sha256)) for split, (source, sha256) in document.items()}
    except (OSError, ValueError, TypeError, AttributeError):
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
