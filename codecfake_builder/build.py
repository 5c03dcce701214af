"""``build``: recipe in, dataset folder out. The folder is the state: what is there with the right key is kept."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

import codec_adapters
from codec_adapters import weights
from codec_adapters.registry import merged_options
from codecfake_builder.clip_class import NO_LABEL, REAL
from codecfake_builder.dataset.card import card
from codecfake_builder.dataset.checksums import CARD, CHECKSUMS, hash_files, read_checksums, root_hash, write_checksums
from codecfake_builder.dataset.contents import Contents, count_contents
from codecfake_builder.dataset.croissant import CROISSANT, croissant_text
from codecfake_builder.dataset.metadata import write_metadata, write_rejected
from codecfake_builder.dataset.provenance import PROVENANCE, provenance, provenance_text
from codecfake_builder.engine.run import run_shards, split_done
from codecfake_builder.engine.shard import STATE_FOLDER, CodecJob, Shard, ShardRecord, Utterance, record_path
from codecfake_builder.errors import CheckFailedError, DatasetError
from codecfake_builder.features import class_names
from codecfake_builder.files import remove_temporaries, sha256_text, write_text
from codecfake_builder.isolated import isolated_codecs, resolved
from codecfake_builder.plan import Plan, announce, make_plan
from codecfake_builder.plugins import load_plugins, plugin_hashes
from codecfake_builder.progress import say
from codecfake_builder.recipe import Recipe

if TYPE_CHECKING:
    from codec_adapters.isolated.adapter import IsolatedCodec


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
    isolated = isolated_codecs(resolved(recipe.isolated, Path()))
    plan = make_plan(recipe, limit)
    announce(plan)
    jobs = _codec_jobs(recipe, plan, isolated)
    used = {job.spec.family: job.spec.label for job in jobs.values()}
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
        specs = {name: job.spec for name, job in jobs.items()}
        contents = count_contents(recipe, [split.name for split in plan.splits], records, specs, classes, plan.imported)
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


def _codec_jobs(recipe: Recipe, plan: Plan, isolated: Mapping[str, IsolatedCodec]) -> dict[str, CodecJob]:
    """How to load each variant that the plan uses; fetches weights and makes environments that are not in the cache."""
    used = dict.fromkeys(variant for split in plan.splits for variant in split.variants if variant != REAL)
    jobs = {}
    for name in used:
        spec = codec_adapters.spec(name)
        folder = recipe.weights.get(name) or recipe.weights.get(spec.checkpoint)
        if folder is None and spec.checkpoint:
            if weights.cached(spec.checkpoint) is None:
                say(f"fetching {spec.checkpoint} from {weights.locked(spec.checkpoint).source}")
            folder = weights.fetch(spec.checkpoint)
        elif folder is not None and not folder.is_dir():
            raise codec_adapters.CheckpointError(f"weights: {folder}: no such folder (checkpoint of {name})")
        hashes = weights.checkpoint_hashes(spec.checkpoint, folder) if folder else {}
        if not codec_adapters.is_builtin(name):
            hashes |= plugin_hashes(recipe.plugins)
        if name in isolated:
            say(f"{name}: runs in an environment of its own, which is made now unless it is there")
            hashes |= isolated[name].prepare()
        options = merged_options(spec, recipe.options.get(name))
        jobs[name] = CodecJob(spec, options, folder and folder.resolve(), hashes, recipe.execution.dtype)
    return jobs


def _shards(recipe: Recipe, plan: Plan, jobs: dict[str, CodecJob], classes: tuple[str, ...]) -> Iterator[Shard]:
    """All shards, sorted by variant so that a worker seldom changes its codec."""
    size = recipe.execution.clips_per_shard
    chunks = {
        split.name: [_utterances(plan, split.rows[start : start + size]) for start in range(0, len(split.rows), size)]
        for split in plan.splits
    }
    for variant in [REAL, *jobs]:
        for split in plan.splits:
            if variant in split.variants:
                for number, chunk in enumerate(chunks[split.name]):
                    yield Shard(split.name, variant, number, chunk, jobs.get(variant), recipe.audio, classes)
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
    write_text(out / CARD, card(contents, languages, root))
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
