"""``build``: make a dataset folder from a recipe. Shards that are there with the right content key are kept.

A folder that holds a finished dataset stays one: what changes is made beside it and takes its place in one step (see
``staging``). A new or unfinished folder is worked on as it lies.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path

import pyarrow as pa

from codec_adapters.classes import REAL
from codecfake_builder.changes.auditing import auditor, check_certificate
from codecfake_builder.changes.refusals import refuse_full_disk, refuse_other_dataset
from codecfake_builder.dataset import layout
from codecfake_builder.dataset import versions as staging
from codecfake_builder.dataset.contents import Contents
from codecfake_builder.dataset.finishing import (
    DatasetInputs,
    check_rejections,
    classes_of,
    damaged_files,
    finish,
    finished_root,
    is_finished_from,
    save_state,
)
from codecfake_builder.dataset.integrity.file_hashes import FileHashes
from codecfake_builder.dataset.quality import preload_stoi
from codecfake_builder.dataset.records import ShardRecord
from codecfake_builder.errors import DatasetError
from codecfake_builder.files import remove_temporaries
from codecfake_builder.plan.plan import Plan
from codecfake_builder.plan.planning import announce, make_plan
from codecfake_builder.plan.summary import PlanSummary, summarize
from codecfake_builder.progress import say
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.recipe.variants import ResolvedAlm, ResolvedVariant, resolve_variants
from codecfake_builder.shards.run import run_shards, split_done
from codecfake_builder.shards.shard import Shard, Utterance

_EXAMPLES = 5


@dataclass(frozen=True)
class BuildResult:
    """The result of a build: the dataset's contents and root hash, how many shards it made, and what it mended."""

    contents: Contents
    root: str
    shards_made: int
    shards_kept: int
    unchanged: bool = False
    """Nothing was to do: every file is as it was written."""
    mended: tuple[str, ...] = ()
    """Files of the finished dataset that were missing or changed, and are as they were again."""


def build(
    resolved: Resolved,
    out: Path,
    limit: int | None = None,
    *,
    replace: bool = False,
    check: bool = False,
    based_on: str | None = None,
) -> BuildResult:
    """Build the dataset of a recipe, or bring an existing one to what the recipe says.

    Args:
        resolved: a checked recipe with its catalogue.
        out: the dataset folder; new, empty, or one of an earlier build. A finished one is replaced in one step, by one
            that shares its unchanged shards; what is missing or changed in it is made again.
        limit: scale the splits down for a trial, see :func:`codecfake_builder.plan.planning.make_plan`.
        replace: let it replace a finished dataset of another recipe or other corpora, or most of a larger one.
        check: read every file that is there; else those whose size or modification time is another than it was.
        based_on: the :func:`~codecfake_builder.dataset.versions.state` of the dataset that the recipe was read from.

    Raises:
        BuilderError, codec_adapters.CodecError: bad input, or another command changed the dataset meanwhile; nothing
            that was finished is lost.
        CheckFailedError: codecs failed on more clips than the audio policy allows, or a line of the audit failed; the
            dataset is there all the same.
    """
    _refuse_foreign(out)
    based_on = staging.state(out) if based_on is None else based_on
    if not replace:
        refuse_other_dataset(out, resolved.recipe)
    work = _planned(resolved, limit)
    if not replace:
        refuse_other_dataset(out, resolved.recipe, work.summary)
    with staging.locked(out) as locks:  # only now: what is wrong with the input leaves no folder behind
        staging.refuse_changed(out, based_on)
        hashes = FileHashes.load(out, check)
        done, missing = split_done(work.shards, hashes)
        say(f"{len(work.shards)} shards: {len(done)} are there, {len(missing)} to make")
        damaged = damaged_files(out, hashes)
        inputs = work.inputs(done)
        if not (missing or damaged or _stale(out, work.shards)) and is_finished_from(out, inputs):
            hashes.save()
            save_state(out, inputs)  # paths may have changed
            staging.discard(out)
            check_rejections(inputs.contents)
            root = finished_root(out)
            check_certificate(out, root)
            return BuildResult(inputs.contents, root, 0, len(done), unchanged=True)
        _say_damaged(damaged)
        refuse_full_disk(out, missing)
        place = _next_version(done, missing, damaged, hashes) if staging.finished(out) else out
        result = _complete(work, hashes.within(place), place != out)
        if place != out:
            staging.publish(place, out, locks)
        staging.discard(out)
    check_rejections(result.contents)
    check_certificate(out, result.root)
    return replaced(result, mended=tuple(damaged))


@dataclass(frozen=True)
class _Work:
    """What a recipe asks for, decided before anything is made."""

    recipe: Recipe
    made_by: dict[str, ResolvedVariant]
    summary: PlanSummary
    shards: list[Shard]
    left_out: pa.Table

    def inputs(self, records: list[ShardRecord]) -> DatasetInputs:
        """Return what the files beside the shards are written from, once these are there."""
        return DatasetInputs(self.recipe, self.summary, self.made_by, records, self.left_out)


def _planned(resolved: Resolved, limit: int | None) -> _Work:
    """Plan what to make, and refuse what cannot be."""
    recipe, plan = resolved.recipe, make_plan(resolved, limit)
    announce(plan)
    made_by = resolve_variants(resolved, [variant for split in plan.splits for variant in split.variants])
    summary = summarize(plan, resolved, limit)
    classes_of(recipe, summary, made_by)  # before anything is made: refuses wrong labels
    return _Work(recipe, made_by, summary, list(_shards(recipe, plan, made_by)), plan.left_out)


def _complete(work: _Work, hashes: FileHashes, few_here: bool) -> BuildResult:
    """Make what is missing in a folder, and finish it."""
    place = hashes.dataset
    remove_temporaries(place)
    done, missing = split_done(work.shards, hashes)
    if work.recipe.card.stoi_clips:
        preload_stoi()
    made = run_shards(missing, place, work.recipe.execution, few_here) if missing else []
    for record in made:
        if record.clips:
            hashes.learn(record.file, record.sha256)
    _remove_stale(place, work.shards)
    inputs = work.inputs(done + made)
    root = finish(place, inputs, hashes, auditor(work.recipe))
    return BuildResult(inputs.contents, root, len(made), len(done))


def _say_damaged(damaged: list[str]) -> None:
    """Tell which files of a finished dataset are not as they were."""
    if damaged:
        some = ", ".join(damaged[:_EXAMPLES]) + (", ..." if len(damaged) > _EXAMPLES else "")
        say(f"{len(damaged)} files are missing or changed since the dataset was finished, and are brought back: {some}")


def _next_version(done: list[ShardRecord], missing: list[Shard], damaged: list[str], hashes: FileHashes) -> Path:
    """Prepare the folder of a finished dataset's next version, with all shards that stay, and the new shards of an
    interrupted run.
    """
    out = hashes.dataset
    kept = {record.file for record in done}
    kept |= {layout.record_of(file) for file in kept}
    left, _ = split_done(missing, FileHashes.load(layout.next_version(out)))
    salvage = {name for record in left for name in (record.file, layout.record_of(record.file))}
    if left:
        say(f"{len(left)} of the shards to make are there from an earlier run that did not end")

    def drop(name: str) -> bool:
        return (layout.is_shard_or_record(name) and name not in kept) or (layout.is_metadata(name) and name in damaged)

    return staging.prepare(out, drop, salvage)


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: is a file; --out takes a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / layout.STATE).is_dir():
        raise DatasetError(f"{out}: is not empty and not a folder of an earlier build; choose another --out")


def _shards(recipe: Recipe, plan: Plan, made_by: dict[str, ResolvedVariant]) -> Iterator[Shard]:
    """Yield all shards, sorted by variant, so that a worker seldom loads another codec."""
    utterances = {split.name: _utterances(plan, split.rows) for split in plan.splits}
    for variant in [REAL, *made_by]:
        made = made_by.get(variant)
        size = recipe.execution.prompts_per_shard if isinstance(made, ResolvedAlm) else recipe.execution.clips_per_shard
        for split in plan.splits:
            if variant in split.variants:
                members = utterances[split.name]
                for number, start in enumerate(range(0, len(members), size)):
                    chunk = members[start : start + size]
                    yield Shard(split.name, variant, number, chunk, made, recipe.audio)
    size = recipe.execution.clips_per_shard
    for split in plan.splits:
        for variant, rows in split.imported.items():
            for number, start in enumerate(range(0, len(rows), size)):
                chunk, own = _utterances(plan, rows[start : start + size]), plan.imported[variant]
                yield Shard(split.name, variant, number, chunk, None, recipe.audio, own)


def _utterances(plan: Plan, rows: object) -> tuple[Utterance, ...]:
    return tuple(
        Utterance(**{**row, "path": str(plan.roots[row["corpus"]] / row["path"])})
        for row in plan.utterances.take(rows).to_pylist()
    )


def _stale(out: Path, shards: list[Shard]) -> list[Path]:
    """Return the shards of an earlier recipe that this recipe does not have."""
    wanted = {shard.file for shard in shards}
    return [path for path in layout.shard_files(out) if path.relative_to(out).as_posix() not in wanted]


def _remove_stale(out: Path, shards: list[Shard]) -> None:
    for path in _stale(out, shards):
        path.unlink()
    records = {out / layout.record_of(shard.file) for shard in shards}
    for path in layout.record_files(out):
        if path not in records:  # one of which every clip was rejected has no shard
            path.unlink()
    splits = {shard.split for shard in shards}
    for folder in (out / layout.DATA).glob("*"):
        if folder.is_dir() and folder.name not in splits:
            shutil.rmtree(folder)
