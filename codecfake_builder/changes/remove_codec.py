"""``remove-codec``: remove a codec's clips from a finished dataset, in one step; everything else stays as it is.

Needs neither the corpora nor any codec: what is left is described from what the dataset's folder holds. The outcome is
what a build of the recipe without the codec would have made.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from codec_adapters.catalogue import Catalogue
from codec_adapters.classes import REAL
from codec_adapters.entry import Entry, Provider
from codec_adapters.files.documents import nearest
from codec_adapters.files.hashing import sha256_of
from codec_adapters.registration import default_catalogue
from codecfake_builder.changes.auditing import auditor
from codecfake_builder.changes.build import BuildResult
from codecfake_builder.dataset import layout
from codecfake_builder.dataset import versions as staging
from codecfake_builder.dataset.checksums import read_checksums
from codecfake_builder.dataset.finishing import DatasetInputs, finish, finished_root
from codecfake_builder.dataset.integrity.file_hashes import FileHashes
from codecfake_builder.dataset.metadata import refuse_earlier_version
from codecfake_builder.dataset.provenance import recorded_variants
from codecfake_builder.dataset.records import ShardRecord, intact_record
from codecfake_builder.dataset.saved import load_plan_summary, saved_document
from codecfake_builder.errors import BuilderError, DatasetError, RecipeError
from codecfake_builder.plan.plan import LEFT_OUT
from codecfake_builder.plan.summary import PlanSummary
from codecfake_builder.progress import say
from codecfake_builder.recipe.edit import Document, variants_of, without_codec
from codecfake_builder.recipe.edit_file import edited_text, read_recipe_text, write_edited
from codecfake_builder.recipe.load import read_recipe
from codecfake_builder.recipe.schema import IMPORTED, Recipe
from codecfake_builder.recipe.variants import ResolvedVariant, speaking_codec


@dataclass(frozen=True)
class _Finished:
    """The records and documents in a finished dataset's folder."""

    document: Document
    summary: PlanSummary
    made_by: dict[str, ResolvedVariant]

    @cached_property
    def catalogue(self) -> Catalogue:
        """Return a catalogue of the variants as the dataset records them; others that its splits name are the default
        ones.
        """
        recorded = {made.spec.name: made.spec for made in self.made_by.values()}
        recorded |= {spec.name: spec for spec in (speaking_codec(made).spec for made in self.made_by.values())}
        plugins = self.summary.plugins
        own = [Entry(spec, _Recorded(next(iter(plugins.get(name, ())), None))) for name, spec in recorded.items()]
        return Catalogue((*(entry for entry in default_catalogue().entries if entry.name not in recorded), *own))

    def family(self, variant: str) -> str:
        """Return the codec family of a variant's clips."""
        return speaking_codec(self.made_by[variant]).spec.family


@dataclass(frozen=True)
class _Recorded(Provider):
    """Provider for a variant that the dataset records; its codec is not at hand, and not needed."""

    plugin: str | None

    @property
    def added_by(self) -> str | None:
        return self.plugin

    def load(self, setup: Any) -> Any:
        raise DatasetError(f"{setup.spec.name}: only the dataset tells of it; load the recipe")


def remove_codec(dataset: Path, name: str, recipe: Path | None = None) -> BuildResult:
    """Take a variant, or all of a family, out of a finished dataset.

    Args:
        dataset: its folder, with the builder's state beside the data.
        name: a codec variant, an ALM, or a codec family.
        recipe: a recipe file that is edited likewise.

    Raises:
        DatasetError: no finished dataset with its state, or what is left would be none.
        RecipeError: the name is not in the dataset or the recipe file, or other splits hang on what would go.
    """
    old = dataset.resolve()
    if not old.is_dir() and not layout.old_version(dataset).is_dir():
        raise DatasetError(f"{dataset}: no such folder")
    if old.is_dir() and not staging.finished(old):
        raise DatasetError(f"{dataset}: is no finished dataset; run build again to finish it")
    with staging.locked(dataset) as locks:
        there = _read(dataset)
        variants = _variants(there, name)
        before = there if variants else _cut_off(dataset, name)
        if before is None:
            staging.discard_remains(dataset)
            known = [*there.made_by, *dict.fromkeys(map(there.family, there.made_by))]
            raise RecipeError(f"{dataset}: has no codec {name}; {nearest(name, known)}")
        edit = partial(_without, variants=_variants(before, name), there=before, again=not variants)
        if recipe is not None:
            edit = partial(edit, folder=recipe.parent)
            edited_text(read_recipe_text(recipe), str(recipe), edit)  # refuses it before anything is done
        if variants:
            result = _replace(dataset, there, variants, locks)
        else:
            say(f"{name} is removed already, by a run that was cut off then")
            inputs = _inputs(FileHashes.load(dataset), there, _checked(there.document), there.summary)
            result = BuildResult(inputs.contents, finished_root(dataset), 0, len(inputs.records))
        if recipe is not None:
            write_edited(recipe, edit)
        staging.discard(dataset)  # last: as long as the old version lies there, a further run ends what this one began
    return result


def _read(dataset: Path) -> _Finished:
    """Read the records and documents in the folder.

    Raises:
        BuilderError: a part of the builder's state, or of what it is read from, is absent or damaged.
    """
    document, summary = saved_document(dataset), load_plan_summary(dataset)
    refuse_earlier_version(dataset)
    hashes = read_checksums(dataset)
    for name in (layout.PROVENANCE, layout.REJECTED):
        if not (dataset / name).is_file() or sha256_of(dataset / name) != hashes.get(name):
            raise DatasetError(f"{dataset / name}: is not as it was built; build the dataset again first")
    try:
        recorded = recorded_variants(json.loads((dataset / layout.PROVENANCE).read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{dataset / layout.PROVENANCE}: is damaged; build the dataset again first") from error
    used = [variant for split in summary.splits.values() for variant in split.variants if variant in recorded]
    return _Finished(document, summary, {variant: recorded[variant] for variant in used})


def _records(hashes: FileHashes) -> list[ShardRecord]:
    """Read the records of all shards.

    Raises:
        DatasetError: a shard is not what its record says, or has none.
    """
    dataset = hashes.dataset
    names = {layout.shard_of(path.relative_to(dataset).as_posix()) for path in layout.record_files(dataset)}
    names |= {path.relative_to(dataset).as_posix() for path in layout.shard_files(dataset)}
    hashes.read(sorted(names))
    records = {name: intact_record(hashes, name) for name in sorted(names)}
    for name, record in records.items():
        if record is None:
            raise DatasetError(f"{dataset / name}: is not as it was built; build the dataset again first")
    return [record for record in records.values() if record]


def _variants(there: _Finished, name: str) -> list[str]:
    """Return the variants of a dataset that a name stands for.

    Raises:
        RecipeError: it stands for clips that cannot be removed.
    """
    imported = [variant for variant, own in there.summary.imported.items() if name in (variant, own.codec)]
    if name == REAL:
        raise RecipeError(f"{REAL}: is the speech that every codec is held against; it cannot be removed")
    if imported:
        raise RecipeError(
            f"{name}: clips of {', '.join(imported)} were imported; take them out of their corpus, and build again"
        )
    return [name] if name in there.made_by else [v for v in there.made_by if there.family(v) == name]


def _cut_off(dataset: Path, name: str) -> _Finished | None:
    """Return the old version that an interrupted run did not delete, where that version has the codec."""
    try:
        old = _read(layout.next_version(dataset))
    except (BuilderError, OSError, ValueError, KeyError):
        return None
    return old if _variants(old, name) else None


def _without(
    document: Document, variants: list[str], there: _Finished, folder: Path = Path(), again: bool = False
) -> Document:
    """Return the recipe without those of the variants that it has; with ``again``, it may lack them already."""
    named = [variant for variant in variants if variant in variants_of(document)]
    for variant in named if named or again else variants:
        document = without_codec(document, variant, there.catalogue, folder)
    return document


def _replace(dataset: Path, there: _Finished, variants: list[str], locks: ExitStack) -> BuildResult:
    """Replace the dataset by its version without the variants."""
    gone = set(variants)
    if gone == set(there.made_by):
        raise RecipeError(f"{', '.join(variants)}: no other codec is in {dataset}; delete the folder instead")
    before, after = _checked(there.document), _checked(_without(there.document, variants, there))
    _refuse_other_selection(before, after, there.summary)
    hashes = FileHashes.load(dataset)
    inputs = _inputs(hashes, there, after, there.summary.without(gone))
    kept = {record.file for record in inputs.records}
    kept |= {layout.record_of(file) for file in kept}
    stage = staging.prepare(dataset, lambda name: layout.is_shard_or_record(name) and name not in kept)
    root = finish(stage, inputs, hashes.within(stage), auditor(after))
    staging.publish(stage, dataset, locks)
    return BuildResult(inputs.contents, root, 0, len(inputs.records))


def _inputs(hashes: FileHashes, there: _Finished, recipe: Recipe, summary: PlanSummary) -> DatasetInputs:
    """Return what a dataset is written from, with the splits and variants of ``summary`` only."""
    rejected = pq.read_table(hashes.dataset / layout.REJECTED)
    left_out = rejected.filter(rejected["split"].is_null()).select(LEFT_OUT.names).cast(LEFT_OUT)
    cells = {(name, v) for name, split in summary.splits.items() for v in (*split.variants, *split.imported)}
    records = [record for record in _records(hashes) if layout.cell_of(record.file) in cells]
    made_by = {variant: made for variant, made in there.made_by.items() if variant in {v for _, v in cells}}
    return DatasetInputs(recipe, summary, made_by, records, left_out)


def _checked(document: Document) -> Recipe:
    """Validate the recipe; the files that it names need not exist."""
    try:
        return read_recipe(deepcopy(document), layout.RECIPE)
    except RecipeError as error:
        raise RecipeError(f"{str(error).splitlines()[0]}; build the dataset again first") from error


def _refuse_other_selection(before: Recipe, after: Recipe, summary: PlanSummary) -> None:
    """Refuse a removal that would change which utterances the remaining splits select."""
    for name in before.splits.keys() - after.splits.keys():
        if before.splits[name].same_as is None:
            raise RecipeError(
                f"splits.{name}: would be left without a variant, and what other splits draw hangs on what it draws; "
                "give it another codec first"
            )
        if name not in summary.splits:
            raise RecipeError(
                f"splits.{name}: is not in this dataset and would be left without a variant; build it from a recipe "
                "without that split first"
            )
    for name, split in after.splits.items():
        only_imported = set(split.variants) == {IMPORTED} != set(before.splits[name].variants)
        if before.split_corpora(name) != after.split_corpora(name) or (only_imported and split.same_as is None):
            raise RecipeError(
                f"splits.{name}: would take its utterances from elsewhere without that codec; give it another first"
            )
