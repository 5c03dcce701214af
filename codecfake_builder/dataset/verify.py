"""Verification of a dataset folder: hashes of its files, every clip, every row, and the members of its splits."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from codec_adapters.classes import REAL
from codec_adapters.files.hashing import sha256_of
from codecfake_builder.audio import RATE
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.checksums import dataset_files, read_checksums, root_hash
from codecfake_builder.dataset.schema import COLUMNS
from codecfake_builder.errors import DatasetError
from codecfake_builder.plan.plan import membership_hash
from codecfake_builder.progress import progress


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
        """Add one problem.

        Args:
            where: file, or split and variant.
            what: what is wrong there.
        """
        self.problems.append(f"{where}: {what}")


def verify(dataset: Path, workers: int | None = None) -> Verification:
    """Check a dataset folder against its checksums, its provenance and itself.

    Args:
        dataset: the folder.
        workers: threads; by default as many as there are cores.

    Returns:
        Everything that is wrong; the check goes on after a problem.

    Raises:
        DatasetError: the folder is no finished dataset: it has no checksums to compare with.
    """
    if not dataset.is_dir():
        raise DatasetError(f"{dataset}: no such folder")
    found = Verification()
    hashes = read_checksums(dataset)
    found.root = root_hash(hashes)
    with ThreadPoolExecutor(workers) as pool:
        intact = _check_files(dataset, hashes, found, pool)
        if layout.PROVENANCE in intact:
            _RowChecker(dataset, intact, found, pool).check()
        else:
            found.add(layout.PROVENANCE, "missing or damaged, so rows could not be held against the recipe")
    if layout.CARD in intact and found.root not in (dataset / layout.CARD).read_text(encoding="utf-8"):
        found.add(layout.CARD, f"does not state the root hash {found.root}")
    return found


def _check_files(dataset: Path, hashes: dict[str, str], found: Verification, pool: ThreadPoolExecutor) -> set[str]:
    """Compare every file with the checksums; return the names of the intact ones."""
    intact = set()
    there = set(dataset_files(dataset))
    for name in sorted(there - hashes.keys()):
        found.add(name, f"is not listed in {layout.CHECKSUMS}")
    for name in sorted(hashes.keys() - there):
        found.add(name, f"is listed in {layout.CHECKSUMS} but not there")
    names = sorted(there & hashes.keys())
    with progress("hashing", len(names), "files") as advance:
        for name, actual in zip(names, pool.map(lambda name: sha256_of(dataset / name), names), strict=True):
            found.files += 1
            if actual == hashes[name]:
                intact.add(name)
            else:
                found.add(
                    name, f"has sha256 {actual}, {layout.CHECKSUMS} says {hashes[name]}; its content was not checked"
                )
            advance(1)
    return intact


class _RowChecker:
    """Checks every row by itself, against the other rows, and against provenance and rejected clips.

    Attributes:
        intact: files that have the hashes of the checksums; others are not read.
        found: takes the problems.
    """

    def __init__(self, dataset: Path, intact: set[str], found: Verification, pool: ThreadPoolExecutor) -> None:
        self.dataset = dataset
        self.intact = intact
        self.found = found
        self.pool = pool
        self.provenance = json.loads((dataset / layout.PROVENANCE).read_text(encoding="utf-8"))
        self.alms: dict[str, dict[str, Any]] = self.provenance.get("alms", {})
        codecs = self.provenance["variants"] | {name: alm["codec"] for name, alm in self.alms.items()}
        self.specs: dict[str, dict[str, Any]] = {name: codec["spec"] for name, codec in codecs.items()}
        self.imported: dict[str, dict[str, Any]] = self.provenance.get("imported", {})
        self.files: dict[str, str] = {}
        """File by row id, for uniqueness."""
        self.durations: dict[tuple[str, str], float] = {}
        self.members: dict[tuple[str, str], list[tuple[str, str]]] = {}
        """Utterances by split and variant."""
        self.speakers: dict[str, set[tuple[str, str]]] = {}

    def check(self) -> None:
        """Check all shards, then what all rows together must be."""
        shards = sorted(name for name in self.intact if layout.is_shard(name))
        with progress("checking", len(shards), "shards") as advance:
            for name in shards:
                self._check_shard(name)
                advance(1)
        self._check_membership()
        self._check_speakers()
        for split in self.provenance["splits"]:
            self._check_metadata(split, [name for name in shards if layout.is_shard(name, split)])

    def _check_shard(self, name: str) -> None:
        """Check columns and rows of a shard."""
        split, variant = layout.cell_of(name)
        planned = self.provenance["splits"].get(split)
        if planned is None or variant not in [*planned["variants"], *planned.get("imported", {})]:
            self.found.add(name, f"the recipe has no variant {variant} in split {split}")
            return
        with pq.ParquetFile(self.dataset / name) as file:
            if file.schema_arrow.names != list(COLUMNS):
                self.found.add(name, f"columns are {', '.join(file.schema_arrow.names)}, expected {', '.join(COLUMNS)}")
                return
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group).to_pylist()
                for row, problems in zip(rows, self.pool.map(lambda row: list(_clip_problems(row)), rows), strict=True):
                    self.found.clips += 1
                    for problem in [*problems, *self._row_problems(name, split, variant, row)]:
                        self.found.add(name, f"clip {row['id']}: {problem}")

    def _row_problems(self, name: str, split: str, variant: str, row: dict[str, Any]) -> Iterator[str]:
        """Compare one row with what its shard and the provenance say, and remember it for the checks of all rows."""
        imported = variant in self.provenance["splits"][split].get("imported", {})
        spec = self.specs.get(variant, {"family": REAL, "label": 0})
        family, label = spec["family"], spec["label"]
        if imported:
            family, label = self.imported[variant]["codec"], self.imported[variant]["label"]
        expected = {
            "variant": variant,
            "codec": family,
            "label": label,
            "is_fake": family != REAL,
            "provenance": "imported" if imported else "built",
        }
        if not imported:
            spoken = variant in self.alms
            expected["alm"] = variant if spoken else None
            expected["prompt_id"] = f"{row['corpus']}/{row['utterance_id']}" if spoken else None
        for column, value in expected.items():
            if row[column] != value:
                yield f"{column} is {row[column]!r}, expected {value!r}"
        if row["id"] in self.files:
            yield f"the same id stands in {self.files[row['id']]}"
        self.files[row["id"]] = name
        utterance = (row["corpus"], row["utterance_id"])
        if not imported and variant not in self.alms:  # speech of a language model has its own length
            length = self.durations.setdefault(utterance, row["duration"])
            if length != row["duration"]:
                yield f"lasts {row['duration']} s, other clips of its utterance {length} s"
        self.members.setdefault((split, variant), []).append(utterance)
        self.speakers.setdefault(split, set()).add((row["corpus"], row["speaker"]))

    def _check_membership(self) -> None:
        """Check that clips and rejections together are the planned utterances of every split and variant."""
        rejected = self._rejected()
        for split, planned in self.provenance["splits"].items():
            for variant, wanted in [*((v, planned) for v in planned["variants"]), *planned.get("imported", {}).items()]:
                members = self.members.get((split, variant), []) + rejected.get((split, variant), [])
                where = f"split {split}, variant {variant}"
                if len(members) != wanted["utterances"]:
                    self.found.add(where, f"{len(members)} clips, made and rejected; planned {wanted['utterances']}")
                elif membership_hash(members) != wanted["membership_sha256"]:
                    self.found.add(where, "its utterances are not the planned ones")

    def _rejected(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Read the rejected utterances, by split and variant."""
        name = layout.REJECTED
        rejected: dict[tuple[str, str], list[tuple[str, str]]] = {}
        if name in self.intact:
            for row in pq.read_table(self.dataset / name).to_pylist():
                if row["split"] is not None:
                    key = (row["split"], row["variant"])
                    rejected.setdefault(key, []).append((row["corpus"], row["utterance_id"]))
        return rejected

    def _check_speakers(self) -> None:
        """Check that splits whose utterances were selected apart share no speaker, where the recipe demands that."""
        if self.provenance["recipe"]["assignment"]["method"] != "speaker_disjoint":
            return
        owner = {name: self.provenance["splits"][name]["selected_by"] for name in self.speakers}
        for first in self.speakers:
            for second in self.speakers:
                common = self.speakers[first] & self.speakers[second]
                if owner[first] < owner[second] and common:
                    some = ", ".join(sorted(speaker for _, speaker in common)[:3])
                    self.found.add(f"split {first}", f"shares speakers with {second}: {some}")

    def _check_metadata(self, split: str, shards: list[str]) -> None:
        """Check that the split's metadata file repeats the rows of its shards."""
        name = layout.metadata(split)
        if name not in self.intact:
            return
        metadata = pq.read_table(self.dataset / name)
        rows = [pq.read_table(self.dataset / shard, columns=metadata.column_names) for shard in shards]
        expected = pa.concat_tables(rows) if rows else metadata.schema.empty_table()
        if not metadata.replace_schema_metadata().equals(expected.replace_schema_metadata()):
            self.found.add(name, "does not repeat the rows of its split's shards")


def _clip_problems(row: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with one row's audio: its name, format, length and hash."""
    audio = row["audio"]
    if not audio or not audio["bytes"]:
        yield "has no audio"
        return
    if Path(audio["path"]).name != audio["path"]:
        yield f"audio path {audio['path']!r} is no bare file name"
    try:
        with soundfile.SoundFile(io.BytesIO(audio["bytes"])) as file:
            form = (file.format, file.subtype, file.channels, file.samplerate)
            pcm = file.read(dtype="int16")
    except (soundfile.LibsndfileError, RuntimeError) as error:
        yield f"cannot be decoded ({error})"
        return
    if form != ("FLAC", "PCM_16", 1, RATE):
        yield f"is {form[0]} {form[1]}, {form[2]} channels, {form[3]} Hz; expected FLAC PCM_16, 1 channel, {RATE} Hz"
    if len(pcm) != round(row["duration"] * RATE):
        yield f"has {len(pcm)} samples, duration says {round(row['duration'] * RATE)}"
    if hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest() != row["audio_sha256"]:
        yield "its samples do not have the sha256 that audio_sha256 says"
