"""``build``: make a dataset folder from a recipe. Shards that are there with the right content key are kept.

A folder that holds a finished dataset stays one: what changes is made beside it and takes its place in one step (see
``staging``). A new or unfinished folder is worked on as it lies.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codec_adapters.classes import REAL
from codecfake_builder.dataset import layout
from codecfake_builder.dataset import versions as staging
from codecfake_builder.dataset.contents import Contents
from codecfake_builder.dataset.finishing import (
    DatasetInputs,
    check_rejections,
    classes_of,
    finish,
    finished_root,
    is_current,
    save_state,
)
from codecfake_builder.dataset.quality import preload_stoi
from codecfake_builder.dataset.records import ShardRecord
from codecfake_builder.errors import DatasetError
from codecfake_builder.files import remove_temporaries
from codecfake_builder.plan.plan import Plan
from codecfake_builder.plan.planning import announce, make_plan
from codecfake_builder.plan.summary import summarize
from codecfake_builder.progress import say
from codecfake_builder.recipe.resolve import Resolved
from codecfake_builder.recipe.schema import Recipe
from codecfake_builder.recipe.variants import ResolvedAlm, ResolvedVariant, resolve_variants
from codecfake_builder.shards.run import run_shards, split_done
from codecfake_builder.shards.shard import Shard, Utterance


@dataclass(frozen=True)
class BuildResult:
    """The result of a build: the dataset's contents and root hash, and how many shards it made."""

    contents: Contents
    root: str
    shards_made: int
    shards_kept: int


def build(resolved: Resolved, out: Path, limit: int | None = None) -> BuildResult:
    """Build the dataset of a recipe, or bring an existing one to what the recipe says.

    Args:
        resolved: a checked recipe with its catalogue.
        out: the dataset folder; new, empty, or one of an earlier build. A finished one is replaced in one step, by one
            that shares its unchanged shards.
        limit: scale the splits down for a trial, see :func:`codecfake_builder.plan.planning.make_plan`.

    Raises:
        BuilderError, codec_adapters.CodecError: bad input; nothing that was finished is lost.
        CheckFailedError: codecs failed on more clips than the audio policy allows; the dataset is there all the same.
    """
    _refuse_foreign(out)
    recipe, plan = resolved.recipe, make_plan(resolved, limit)
    announce(plan)
    made_by = resolve_variants(resolved, [variant for split in plan.splits for variant in split.variants])
    summary = summarize(plan, resolved, limit)
    classes_of(recipe, summary, made_by)  # before anything is made: refuses wrong labels
    shards = list(_shards(recipe, plan, made_by))
    with staging.locked(out) as locks:  # only now: what is wrong with the input leaves no folder behind
        done, missing = split_done(shards, out)
        say(f"{len(shards)} shards: {len(done)} are there, {len(missing)} to make")
        inputs = DatasetInputs(recipe, summary, made_by, done, plan.left_out)
        if not missing and not _stale(out, shards) and is_current(out, inputs):
            save_state(out, inputs)  # paths may have changed
            staging.discard(out)
            check_rejections(inputs.contents)
            return BuildResult(inputs.contents, finished_root(out), 0, len(done))
        extending = staging.finished(out)
        place = _next_version(out, done, missing) if extending else out
        remove_temporaries(place)
        done, missing = split_done(shards, place)
        if recipe.card.stoi_clips:
            preload_stoi()
        made = run_shards(missing, place, recipe.execution, extending) if missing else []
        _remove_stale(place, shards)
        inputs = DatasetInputs(recipe, summary, made_by, done + made, plan.left_out)
        root = finish(place, inputs)
        if extending:
            staging.publish(place, out, locks)
        staging.discard(out)
    check_rejections(inputs.contents)
    return BuildResult(inputs.contents, root, len(made), len(done))


def _next_version(out: Path, done: list[ShardRecord], missing: list[Shard]) -> Path:
    """Prepare the folder of a finished dataset's next version, with all shards that stay, and the new shards of an
    interrupted run.
    """
    kept = {record.file for record in done}
    kept |= {layout.record_of(file) for file in kept}
    left, _ = split_done(missing, layout.next_version(out))
    salvage = {name for record in left for name in (record.file, layout.record_of(record.file))}
    if left:
        say(f"{len(left)} of the shards to make are there from an earlier run that did not end")
    return staging.prepare(out, lambda name: layout.is_shard_or_record(name) and name not in kept, salvage)


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
