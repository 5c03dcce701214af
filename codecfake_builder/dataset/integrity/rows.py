"""Check the rows of a dataset: each by itself, against the others, and against provenance and rejected clips."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from codec_adapters.classes import REAL
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.integrity.clips import clip_problems
from codecfake_builder.dataset.integrity.expected import Expected, Members
from codecfake_builder.dataset.integrity.tables import read_names, read_rows
from codecfake_builder.dataset.metadata import REJECTED
from codecfake_builder.dataset.schema import COLUMNS, refuse_earlier_columns, schema
from codecfake_builder.errors import DatasetError
from codecfake_builder.origin import origin_columns
from codecfake_builder.plan.plan import membership_hash
from codecfake_builder.progress import progress

_NEEDED = (
    "id", "label", "is_fake", "origin", "is_fake_transmission", "codec", "variant", "corpus", "utterance_id",
    "duration", "audio_sha256", "gain", "level_gain"
)  # fmt: skip
_NAMES = ("id", "variant", "corpus", "utterance_id", "speaker")
_LONGEST_NAME = 4096
_SHOWN = 200
"""Characters of an id or a value that a message shows."""
_EXAMPLES = 3
_AT_A_TIME = 64
"""Rows that are decoded at a time."""
_Row = dict[str, Any]


class Problems(Protocol):
    """Takes problems."""

    clips: int
    """Rows checked."""

    def add(self, where: str, what: str) -> None:
        """Add one problem."""


class RowChecker:
    """Checks every row by itself, against the other rows, and against provenance and rejected clips.

    Attributes:
        intact: files that have the hashes of the checksums; others are not read.
        found: takes the problems.
    """

    def __init__(
        self, dataset: Path, expected: Expected, intact: set[str], found: Problems, pool: ThreadPoolExecutor
    ) -> None:
        self.dataset = dataset
        self.expected = expected
        self.intact = intact
        self.found = found
        self.pool = pool
        self.files: dict[str, str] = {}
        """File by row id, for uniqueness."""
        self.durations: dict[tuple[str, str], float] = {}
        self.members: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        """Utterances by split and variant."""
        self.speakers: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self.rows: dict[str, list[bytes]] = defaultdict(list)
        """A digest of every row but its audio, by split."""
        self.heard: dict[tuple[str, bytes], tuple[str, str]] = {}
        """Split and id of the first clip, by variant and samples; of a codec's clips, which may be the same where
        their sources are not, by source file."""
        self.copies: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        """Pairs of clips that are the same audio, by variant and the two splits."""
        self._strings: dict[str, str] = {}

    def check(self) -> None:
        """Check all shards, then what all rows together must be.

        Raises:
            DatasetError: the dataset is of an earlier version, so that no row is what it has to be.
        """
        shards = sorted(name for name in self.intact if layout.is_shard(name))
        self._refuse_earlier(shards)
        with progress("checking", len(shards), "shards") as advance:
            for name in shards:
                self._check_shard(name)
                advance(1)
        self._check_membership()
        self._check_speakers()
        self._check_copies()
        for split in self.expected.splits:
            self._check_metadata(split)

    def _refuse_earlier(self, shards: list[str]) -> None:
        """Refuse a dataset whose first readable shard has the columns of an earlier version."""
        for name in shards:
            try:
                names = read_names(self.dataset / name)
            except DatasetError:
                continue  # told with its rows
            refuse_earlier_columns(names, self.dataset)
            return

    def _check_shard(self, name: str) -> None:
        """Check columns and rows of a shard."""
        split, variant = layout.cell_of(name)
        planned = self.expected.splits.get(split)
        if not layout.is_shard_name(name):
            self.found.add(name, f"is no name of a shard; expected {layout.shard('<split>', '<variant>', 0)}")
        elif planned is None or variant not in dict(planned.cells()):
            self.found.add(name, f"the recipe has no variant {variant} in split {split}")
        else:
            try:
                rows = read_rows(self.dataset / name, schema(None))
                while some := list(islice(rows, _AT_A_TIME)):
                    heard = self.pool.map(lambda row: list(clip_problems(row)), some)
                    for row, problems in zip(some, heard, strict=True):
                        self.found.clips += 1
                        for problem in [*problems, *self._row_problems(name, split, variant, row)]:
                            self.found.add(name, f"clip {_short(row['id'])}: {problem}")
            except DatasetError as error:
                self.found.add(name, str(error))

    def _row_problems(self, name: str, split: str, variant: str, row: _Row) -> Iterator[str]:
        """Compare one row with what its shard and the provenance say, and remember it for the checks of all rows."""
        lacking = [column for column in _NEEDED if row[column] is None]
        if lacking:
            yield f"without {', '.join(lacking)}"
            return
        if long := [column for column in _NAMES if len(row[column] or "") > _LONGEST_NAME]:
            yield f"more than {_LONGEST_NAME} characters in {', '.join(long)}"
            return
        family, label, imported = self.expected.class_of(split, variant)
        spoken = variant in self.expected.alms and not imported
        alm = row["alm"] if imported else (variant if spoken else None)
        expected: _Row = {
            "id": f"{variant}-{row['corpus']}-{row['utterance_id']}",
            "variant": variant, "codec": family, "label": label, **origin_columns(family, alm, imported)
        }  # fmt: skip
        if family == REAL or not imported:
            expected["alm"] = None if family == REAL else alm
        if not imported:
            expected["prompt_id"] = f"{row['corpus']}/{row['utterance_id']}" if spoken else None
        if family == REAL or imported or spoken:
            expected["level_gain"] = 1.0  # their level is their own
        for column in ("gain", "level_gain"):
            if not 0 < row[column] < math.inf:
                yield f"{column} is {row[column]}, which is no factor"
        for column, value in expected.items():
            if row[column] != value:
                yield f"{column} is {_short(repr(row[column]))}, expected {value!r}"
        if row["id"] in self.files:
            yield f"the same id stands in {self.files[row['id']]}"
        self.files[row["id"]] = name
        utterance = (self._kept(row["corpus"]), self._kept(row["utterance_id"]))
        if not imported and not spoken:  # speech of a language model has its own length
            length = self.durations.setdefault(utterance, row["duration"])
            if length != row["duration"]:
                yield f"lasts {row['duration']} s, other clips of its utterance {length} s"
        self._remember(split, variant, row, utterance)

    def _remember(self, split: str, variant: str, row: _Row, utterance: tuple[str, str]) -> None:
        """Remember a row for the checks of all rows."""
        self.members[split, variant].append(utterance)
        self.speakers[split].add((utterance[0], self._kept(str(row["speaker"]))))
        self.rows[split].append(_digest(row))
        existing = variant == REAL or variant in self.expected.splits[split].imported
        heard = row["audio_sha256"] if existing else row["source_sha256"] or row["id"]
        key = (variant, hashlib.sha256(heard.encode()).digest())
        first_split, first = self.heard.setdefault(key, (split, row["id"]))
        if self._apart(first_split, split):
            pairs = self.copies[variant, first_split, split]
            pairs.append(f"{row['id']} of {first}" if len(pairs) < _EXAMPLES else "")

    def _kept(self, text: str) -> str:
        """Return the one copy of a text that is kept."""
        return self._strings.setdefault(text, text)

    def _apart(self, first: str, second: str) -> bool:
        """Return whether the utterances of two splits were selected apart."""
        splits = self.expected.splits
        return first != second and splits[first].selected_by != splits[second].selected_by

    def _check_membership(self) -> None:
        """Check that clips and rejections together are the planned utterances of every split and variant."""
        rejected = self._rejected()
        for split, planned in self.expected.splits.items():
            for variant, wanted in planned.cells():
                self._check_members(split, variant, wanted, rejected.get((split, variant), []))

    def _check_members(self, split: str, variant: str, wanted: Members, rejected: list[tuple[str, str]]) -> None:
        members = self.members.get((split, variant), []) + rejected
        where = f"split {split}, variant {variant}"
        if len(members) != wanted.utterances:
            self.found.add(where, f"{len(members)} clips, made and rejected; planned {wanted.utterances}")
        elif membership_hash(members) != wanted.membership_sha256:
            self.found.add(where, "its utterances are not the planned ones")

    def _rejected(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Read the rejected utterances, by split and variant."""
        rejected: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in self._readable(layout.REJECTED, REJECTED):
            if row["reason"] is None or row["corpus"] is None or row["utterance_id"] is None:
                self.found.add(layout.REJECTED, f"a row without corpus, utterance_id or reason: {_shown(row)}")
            elif row["split"] is not None:
                utterance = (self._kept(row["corpus"]), self._kept(row["utterance_id"]))
                rejected.setdefault((row["split"], row["variant"]), []).append(utterance)
        return rejected

    def _readable(self, name: str, columns: Any) -> Iterator[_Row]:
        """Yield the rows of an intact file; add a problem where they cannot be read."""
        if name not in self.intact:
            return
        try:
            yield from read_rows(self.dataset / name, columns)
        except DatasetError as error:
            self.found.add(name, str(error))

    def _check_speakers(self) -> None:
        """Check that splits whose utterances were selected apart share no speaker, where the recipe demands that."""
        if self.expected.recipe.assignment.method != "speaker_disjoint":
            return
        for first, second in _pairs(self.speakers):
            common = self.speakers[first] & self.speakers[second]
            if self._apart(first, second) and common:
                some = ", ".join(sorted(speaker for _, speaker in common)[:_EXAMPLES])
                self.found.add(f"split {first}", f"shares speakers with {second}: {some}")

    def _check_copies(self) -> None:
        """Check that no two splits whose utterances were selected apart share a recording of one variant."""
        if self.expected.recipe.assignment.duplicates == "keep":
            return
        for (variant, first, second), pairs in sorted(self.copies.items()):
            if variant not in self.expected.alms:
                some = ", ".join(filter(None, pairs))
                self.found.add(
                    f"split {second}", f"{len(pairs)} clips of {variant} are the same audio as in {first}: {some}"
                )

    def _check_metadata(self, split: str) -> None:
        """Check that the split's metadata file repeats the rows of its shards."""
        name = layout.metadata(split)
        if name not in self.intact:
            return
        columns = schema(None, audio=False)
        try:
            listed = [_digest(row) for row in read_rows(self.dataset / name, columns)]
        except DatasetError as error:
            self.found.add(name, str(error))
            return
        if listed != self.rows[split]:
            self.found.add(name, "does not repeat the rows of its split's shards")


def _pairs(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield every two different names, once, sorted."""
    ordered = sorted(names)
    for number, first in enumerate(ordered):
        yield from ((first, second) for second in ordered[number + 1 :])


def _digest(row: _Row) -> bytes:
    """Return a digest of a row but its audio."""
    text = repr([row[column] for column in COLUMNS if column != "audio"])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _short(text: object) -> str:
    """Return a text for a message, cut where it is long."""
    shown = str(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _shown(row: _Row) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in row.items() if value is not None)[:200]
