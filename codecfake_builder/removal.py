"""``remove-codec``: a codec's clips go out of a finished dataset, in one step, and everything else stays as it is.

Needs neither the corpora nor any codec: what is left is described from what the dataset's folder holds. The outcome is
what a build of the recipe without the codec would have made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from codecfake_builder import staging
from codecfake_builder.build import BuildResult, is_shard_file
from codecfake_builder.clip_class import REAL
from codecfake_builder.dataset.provenance import PROVENANCE, jobs_of
from codecfake_builder.engine.shard import (
    STATE_FOLDER,
    AlmJob,
    Job,
    ShardRecord,
    load_record,
    record_name,
    record_path,
    speaking_codec,
)
from codecfake_builder.errors import DatasetError, RecipeError
from codecfake_builder.finishing import Material, finish, finished_root
from codecfake_builder.plan import LEFT_OUT
from codecfake_builder.plan_facts import PlanFacts, load_facts
from codecfake_builder.progress import say
from codecfake_builder.recipe import IMPORTED, Recipe
from codecfake_builder.recipe_edit import (
    Document,
    VariantUse,
    edited_text,
    read_recipe_text,
    without_codec,
    write_edited,
)
from codecfake_builder.resources import nearest
from codecfake_builder.saved_recipe import SAVED_RECIPE, saved_document


@dataclass(frozen=True)
class _Finished:
    """What a finished dataset's folder says of itself."""

    document: Document
    facts: PlanFacts
    jobs: dict[str, Job]
    records: list[ShardRecord]

    def use(self, name: str) -> VariantUse:
        """What the recipe holds for a variant, as far as the dataset says."""
        job = self.jobs[name]
        codec = speaking_codec(job).spec
        specs = [job.spec, codec] if isinstance(job, AlmJob) else [codec]
        names = tuple(spec.name for spec in specs)
        plugins = tuple(self.facts.plugins[own] for own in names if own in self.facts.plugins)
        checkpoints = tuple(spec.checkpoint for spec in specs if spec.checkpoint)
        return VariantUse(codec.family, codec.label, names, checkpoints, plugins)


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
    if not old.is_dir() and not old.with_name(f".{old.name}.old").is_dir():
        raise DatasetError(f"{dataset}: no such folder")
    if old.is_dir() and not staging.finished(old):
        raise DatasetError(f"{dataset}: is no finished dataset; run build again to finish it")
    with staging.locked(dataset) as held:
        there = _read(dataset)
        variants = _variants(dataset, there, name)
        if not variants:  # a killed run had got as far as deleting the old version
            result = _as_it_is(dataset, there)
        else:
            if recipe is not None:  # before anything is done: is it a recipe that has the codec?
                edited_text(read_recipe_text(recipe), str(recipe), partial(_without, variants=variants, there=there))
            result = _replace(dataset, there, variants, held)
        staging.discard(dataset)
    if recipe is not None and variants:
        write_edited(recipe, partial(_without, variants=variants, there=there, folder=recipe.parent))
    return result


def _read(dataset: Path) -> _Finished:
    """What the folder says of itself.

    Raises:
        DatasetError: a part of the builder's state is absent, or a shard is not what its record says.
    """
    document, facts = saved_document(dataset), load_facts(dataset)
    jobs = jobs_of(json.loads((dataset / PROVENANCE).read_text(encoding="utf-8")))
    jobs = {v: jobs[v] for split in facts.splits.values() for v in split.variants if v in jobs}
    records = []
    for path in sorted((dataset / STATE_FOLDER / "records").rglob("*.json")):
        file = PurePosixPath("data", path.relative_to(dataset / STATE_FOLDER / "records").as_posix())
        record = load_record(dataset, str(file.with_suffix(".parquet")))
        if record is None:
            raise DatasetError(f"{file.with_suffix('.parquet')}: is not as it was built; build the dataset again first")
        records.append(record)
    for shard in sorted((dataset / "data").rglob("*.parquet")):
        if not record_path(dataset, shard.relative_to(dataset).as_posix()).is_file():
            raise DatasetError(f"{shard}: has no record in {STATE_FOLDER}; build the dataset again first")
    return _Finished(document, facts, jobs, records)


def _variants(dataset: Path, there: _Finished, name: str) -> list[str]:
    """The variants that a name stands for; none where a killed run removed them already.

    Raises:
        RecipeError: it stands for none that can be removed.
    """
    families = {variant: there.use(variant).family for variant in there.jobs}
    imported = [variant for variant, own in there.facts.imported.items() if name in (variant, own.codec)]
    if name == REAL:
        raise RecipeError(f"{REAL}: is the speech that every codec is held against; it cannot be removed")
    if imported:
        raise RecipeError(
            f"{name}: clips of {', '.join(imported)} were imported; take them out of their corpus, and build again"
        )
    if name in there.jobs:
        return [name]
    of_family = [variant for variant, family in families.items() if family == name]
    if not of_family and not _removed_before(dataset, name):
        known = [*there.jobs, *dict.fromkeys(families.values())]
        raise RecipeError(f"{dataset}: has no codec {name}; {nearest(name, known)}")
    return of_family


def _removed_before(dataset: Path, name: str) -> bool:
    """Whether an old version, which a killed run did not come to delete, has the codec that the dataset has not."""
    old = staging.next_folder(dataset)
    try:
        jobs = jobs_of(json.loads((old / PROVENANCE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False
    return any(name in (variant, speaking_codec(job).spec.family) for variant, job in jobs.items())


def _as_it_is(dataset: Path, there: _Finished) -> BuildResult:
    say("it is removed already, by a run that was cut off when it had done so")
    material = _material(dataset, there, _checked(there.document), there.facts, {})
    return BuildResult(material.contents, finished_root(dataset), 0, len(there.records))


def _without(document: Document, variants: list[str], there: _Finished, folder: Path = Path()) -> Document:
    for variant in variants:
        document = without_codec(document, variant, folder, there.use)
    return document


def _replace(dataset: Path, there: _Finished, variants: list[str], held: Any) -> BuildResult:
    """Put the dataset without the variants in the place of the one with them."""
    gone = set(variants)
    if gone == set(there.jobs):
        raise RecipeError(f"{', '.join(variants)}: no other codec is in {dataset}; delete the folder instead")
    before, after = _checked(there.document), _checked(_without(there.document, variants, there))
    _refuse_other_selection(before, after, there.facts)
    material = _material(dataset, there, after, there.facts.without(gone), dict.fromkeys(gone))
    kept = {record.file for record in material.records}
    kept |= {record_name(file) for file in kept}
    stage = staging.prepare(dataset, lambda name: is_shard_file(name) and name not in kept)
    root = finish(stage, material)
    staging.publish(stage, dataset, held)
    return BuildResult(material.contents, root, 0, len(material.records))


def _material(dataset: Path, there: _Finished, recipe: Recipe, facts: PlanFacts, gone: dict[str, None]) -> Material:
    """What the dataset without some variants is written from."""
    rejected = pq.read_table(dataset / "rejected.parquet")
    left_out = rejected.filter(rejected["split"].is_null()).select(LEFT_OUT.names).cast(LEFT_OUT)
    records = [record for record in there.records if PurePosixPath(record.file).stem.rpartition("-")[0] not in gone]
    jobs = {variant: job for variant, job in there.jobs.items() if variant not in gone}
    return Material(recipe, facts, jobs, records, left_out)


def _checked(document: Document) -> Recipe:
    """The recipe; what it names need not be there."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RecipeError(
            f"{SAVED_RECIPE}: {place}: {first['msg']}; build the dataset again to have it anew"
        ) from error


def _refuse_other_selection(before: Recipe, after: Recipe, facts: PlanFacts) -> None:
    """Refuse a removal after which the recipe would give the splits that are left other utterances."""
    for name in before.splits.keys() - after.splits.keys():
        if before.splits[name].same_as is None:
            raise RecipeError(
                f"splits.{name}: would be left without a variant, and other splits' utterances are drawn beside its own; "
                "give it another codec first"
            )
        if name not in facts.splits:
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
