"""``build``: recipe in, dataset folder out. The folder is the state: what is there with the right key is kept."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from codec_adapters import weights
from codecfake_builder.clip_class import NO_LABEL, REAL
from codecfake_builder.dataset.card import card
from codecfake_builder.dataset.checksums import CARD, CHECKSUMS, hash_files, read_checksums, root_hash, write_checksums
from codecfake_builder.dataset.contents import Contents, count_contents
from codecfake_builder.dataset.croissant import CROISSANT, croissant_text
from codecfake_builder.dataset.intelligibility import intelligibility
from codecfake_builder.dataset.metadata import figures_of_variants, write_metadata, write_rejected
from codecfake_builder.dataset.provenance import PROVENANCE, provenance, provenance_text
from codecfake_builder.engine.run import run_shards, split_done
from codecfake_builder.engine.shard import (
    STATE_FOLDER,
    AlmJob,
    Job,
    Shard,
    ShardRecord,
    Utterance,
    record_path,
    speaking_codec,
)
from codecfake_builder.errors import CheckFailedError, DatasetError
from codecfake_builder.features import class_names
from codecfake_builder.files import remove_temporaries, sha256_text, write_text
from codecfake_builder.isolated import isolated_variants, resolved
from codecfake_builder.jobs import make_jobs
from codecfake_builder.plan import Plan, announce, make_plan
from codecfake_builder.plugins import load_plugins
from codecfake_builder.progress import say
from codecfake_builder.recipe import Recipe

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class BuildResult:
    """What a build left: the dataset's contents and root hash, and how many shards it had to make."""

    contents: Contents
    root: str
    shards_made: int
    shards_kept: int


def build(recipe: Recipe, out: Path, limit: int | None = None) -> BuildResult:
    """Build the dataset of a recipe, or bring an existing one to what the recipe says.

    Args:
        recipe: a checked recipe.
        out: the dataset folder; new, empty, or one of an earlier build.
        limit: scale the splits down for a trial, see :func:`codecfake_builder.plan.make_plan`.

    Raises:
        BuilderError, codec_adapters.CodecError: bad input; nothing that was finished is lost.
        CheckFailedError: codecs failed on more clips than the audio policy allows; the dataset is there all the same.
    """
    _refuse_foreign(out)
    load_plugins(recipe.plugins, Path())
    isolated = isolated_variants(resolved(recipe.isolated, Path()))
    plan = make_plan(recipe, limit)
    announce(plan)
    jobs = make_jobs(recipe, [variant for split in plan.splits for variant in split.variants], isolated)
    specs = [speaking_codec(job).spec for job in jobs.values()]
    used = {spec.family: spec.label for spec in specs}
    used |= {own.codec: own.label for own in plan.imported.values() if own.label != NO_LABEL}
    classes = tuple(class_names(used))
    shards = list(_shards(recipe, plan, jobs, classes))
    with _locked(out):  # only now: what is wrong with the input leaves no folder behind
        remove_temporaries(out)
        done, missing = split_done(shards, out)
        say(f"{len(shards)} shards: {len(done)} are there, {len(missing)} to make")
        if missing or _stale(out, shards):
            (out / CHECKSUMS).unlink(missing_ok=True)  # from here until the end, this is no finished dataset
        made = run_shards(missing, out, recipe.execution, recipe.plugins, isolated) if missing else []
        _remove_stale(out, shards)
        records = done + made
        names = [split.name for split in plan.splits]
        contents = count_contents(recipe, names, records, jobs, classes, plan.imported)
        document = provenance_text(provenance(recipe, plan, jobs, records))
        if not contents.splits:
            raise CheckFailedError(f"every clip was rejected, so there is no dataset: {_reasons(records)}")
        root = _finish(out, plan, contents, records, document)
    _check_rejections(contents)
    return BuildResult(contents, root, len(made), len(done))


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: is a file; --out takes a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / STATE_FOLDER).is_dir():
        raise DatasetError(f"{out}: is not empty and not a folder of an earlier build; choose another --out")


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep a second build of the same folder away while one runs; the lock goes with its process."""
    state = out / STATE_FOLDER
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatasetError(f"{out}: another build is running in this folder; wait for it or stop it") from error
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _shards(recipe: Recipe, plan: Plan, jobs: dict[str, Job], classes: tuple[str, ...]) -> Iterator[Shard]:
    """All shards, sorted by variant so that a worker seldom changes its codec."""
    utterances = {split.name: _utterances(plan, split.rows) for split in plan.splits}
    for variant in [REAL, *jobs]:
        job = jobs.get(variant)
        size = recipe.execution.prompts_per_shard if isinstance(job, AlmJob) else recipe.execution.clips_per_shard
        for split in plan.splits:
            if variant in split.variants:
                members = utterances[split.name]
                for number, start in enumerate(range(0, len(members), size)):
                    chunk = members[start : start + size]
                    yield Shard(split.name, variant, number, chunk, job, recipe.audio, classes)
    size = recipe.execution.clips_per_shard
    for split in plan.splits:
        for variant, rows in split.imported.items():
            for number, start in enumerate(range(0, len(rows), size)):
                chunk, own = _utterances(plan, rows[start : start + size]), plan.imported[variant]
                yield Shard(split.name, variant, number, chunk, None, recipe.audio, classes, own)


def _utterances(plan: Plan, rows: object) -> tuple[Utterance, ...]:
    return tuple(
        Utterance(**{**row, "path": str(plan.roots[row["corpus"]] / row["path"])})
        for row in plan.utterances.take(rows).to_pylist()
    )


def _stale(out: Path, shards: list[Shard]) -> list[Path]:
    """Shards of an earlier recipe that this one does not have."""
    wanted = {shard.file for shard in shards}
    there = sorted((out / "data").rglob("*.parquet"))
    return [path for path in there if path.relative_to(out).as_posix() not in wanted]


def _remove_stale(out: Path, shards: list[Shard]) -> None:
    for path in _stale(out, shards):
        record_path(out, path.relative_to(out).as_posix()).unlink(missing_ok=True)
        path.unlink()
    splits = {shard.split for shard in shards}
    for folder in (out / "data").glob("*"):
        if folder.is_dir() and folder.name not in splits:
            shutil.rmtree(folder)


def _finish(out: Path, plan: Plan, contents: Contents, records: list[ShardRecord], document: str) -> str:
    """Write everything beside the shards, checksums last; returns the root hash. An unchanged dataset is left alone."""
    state = sha256_text(document, *sorted(f"{r.key} {r.sha256} {r.file}" for r in records))
    marker = out / STATE_FOLDER / "finished"
    if (out / CHECKSUMS).is_file() and marker.is_file() and marker.read_text(encoding="utf-8") == state:
        return root_hash(read_checksums(out))
    (out / CHECKSUMS).unlink(missing_ok=True)
    for old in (out / "metadata").glob("*.parquet"):
        if old.stem not in contents.splits:
            old.unlink()
    for split in contents.splits:
        write_metadata(out, split, contents.files(split), contents.classes)
    write_rejected(out, plan.left_out, records)
    write_text(out / PROVENANCE, document)
    files = sha256_text(*sorted(f"{record.sha256}  {record.file}" for record in records))
    write_text(out / CROISSANT, croissant_text(contents, files))
    (out / CARD).unlink(missing_ok=True)
    hashes = hash_files(out, {record.file: record.sha256 for record in records if record.clips})
    root = root_hash(hashes)
    languages = sorted(pc.unique(plan.utterances["language"]).to_pylist())
    scores = intelligibility(out, clips) if (clips := contents.recipe.card.stoi_clips) else []
    write_text(out / CARD, card(contents, languages, root, figures_of_variants(out, contents.splits), scores))
    write_checksums(out, {**hashes, CARD: weights.sha256_of(out / CARD)})
    write_text(marker, state)
    return root


def _check_rejections(contents: Contents) -> None:
    if failures := _failures(contents):
        raise CheckFailedError(f"the dataset is built, but {failures}; rejected.parquet lists each with its reason")


def _failures(contents: Contents) -> str:
    """The variants on which codecs failed more often than the policy allows, in words; empty where there are none."""
    allowed = contents.recipe.audio.max_rejected_share
    failed = [
        f"{cell.split}/{cell.variant}: {cell.rejected} of {cell.rejected + cell.clips} clips"
        for cell in contents.cells
        if cell.rejected > allowed * (cell.rejected + cell.clips)
    ]
    return f"codecs failed on more than {allowed:.0%} of the clips of {'; '.join(failed)}" if failed else ""


def _reasons(records: list[ShardRecord]) -> str:
    counts = Counter(rejection.reason for record in records for rejection in record.rejected)
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
