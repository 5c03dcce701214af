"""The index of a corpus: one row per utterance, with what its file holds and its sha256, or why it cannot be used.

An index is a Parquet file in the user's cache. Files whose size and modification time are as before are not read again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from codec_adapters.catalogue import Catalogue
from codec_adapters.files.weights import cache_root
from codecfake_builder.audio import decode
from codecfake_builder.corpora.base import CorpusConfig, SourceFile
from codecfake_builder.corpora.findings import identical_clips, other_files
from codecfake_builder.files import replacing, sha256_text
from codecfake_builder.progress import Advance, progress, say
from codecfake_builder.rejections import RejectedError, RejectionReason

_MADE = [(name, pa.string()) for name in ("codec", "variant", "alm", "prompt_id")]
_LISTED = [*((name, pa.string()) for name in ("utterance_id", "path", "speaker", "language", "text")), *_MADE]
_PROBED = [
    ("sample_rate", pa.int32()),
    ("samples", pa.int64()),
    ("sha256", pa.string()),
    ("audio_sha256", pa.string()),
    ("reason", pa.string()),
    ("detail", pa.string()),
]
SCHEMA = pa.schema([*_LISTED, *_PROBED])
"""An index. ``reason`` is null for an utterance that can be used; ``samples`` counts per channel at ``sample_rate``.
``codec``, ``variant``, ``alm`` and ``prompt_id`` say what made a clip that exists already (``corpora.base.Made``), and
``audio_sha256`` is the hash of its samples; all are null for speech."""
_CACHE_VERSION = "2"
"""Raised whenever the cache's columns change."""
_CACHE_SCHEMA = pa.schema([("path", pa.string()), *_PROBED, ("bytes", pa.int64()), ("mtime_ns", pa.int64())])

_Row = dict[str, object]


@dataclass(frozen=True)
class CorpusIndex:
    """An indexed corpus under the name it has in the recipe."""

    name: str
    root: Path
    table: pa.Table
    notes: tuple[str, ...] = ()
    """What a reader should know: files that are not the listed ones, clips that are the same audio."""

    @property
    def usable(self) -> pa.Table:
        """The rows without a problem."""
        return self.table.filter(pc.is_null(self.table["reason"]))

    @property
    def unusable(self) -> pa.Table:
        """The rows that are left out, each with its reason."""
        return self.table.filter(pc.is_valid(self.table["reason"]))


def index_corpus(name: str, config: CorpusConfig, catalogue: Catalogue) -> CorpusIndex:
    """Index a corpus, in parallel, reading only what is new or changed since the last time.

    Raises:
        CorpusError: the root is missing or of another layout.
    """
    files = config.listed(catalogue)
    root = config.audio_folder().resolve()
    cache = cache_root() / "index" / f"{config.kind}-{_cache_key(config, root)}.parquet"
    probed = _probed(name, [file for file in files if file.problem != RejectionReason.MISSING], root, cache)
    rows = [_within_limits(row, config) for row in _without_duplicates(_row(f, probed.get(f.path, {})) for f in files)]
    notes = (*other_files(files, rows), *identical_clips(rows))
    return CorpusIndex(name, root, pa.Table.from_pylist(rows, schema=SCHEMA), notes)


def _probed(name: str, files: list[SourceFile], root: Path, cache: Path) -> dict[str, _Row]:
    """What each file holds, by path, from the cache or read anew; the cache is brought up to date."""
    old = pq.read_table(cache, schema=_CACHE_SCHEMA) if cache.is_file() else _CACHE_SCHEMA.empty_table()
    known: dict[str, _Row] = {row["path"]: row for row in old.to_pylist()}
    fresh = [file for file in files if not _unchanged(root / file.path, known.get(file.path))]
    if fresh:
        say(f"indexing {name}: {len(fresh)} of {len(files)} files are new or changed")
    with progress(f"indexing {name}", len(fresh), "files") as advance:
        known.update((str(row["path"]), row) for row in _probe_all(fresh, root, advance))
    current = {file.path: known[file.path] for file in files}
    if fresh or len(current) != old.num_rows:
        with replacing(cache) as temporary:
            pq.write_table(pa.Table.from_pylist(list(current.values()), schema=_CACHE_SCHEMA), temporary)
    return current


def _cache_key(config: CorpusConfig, root: Path) -> str:
    options = config.model_dump_json(exclude={"root", "optional", "min_seconds", "max_seconds"})
    return sha256_text(_CACHE_VERSION, str(root), options)[:16]


def _unchanged(path: Path, row: _Row | None) -> bool:
    if row is None:
        return False
    try:
        stat = path.stat()
    except OSError:
        return False
    return (row["bytes"], row["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns)


def _probe_all(files: list[SourceFile], root: Path, advance: Advance) -> Iterator[_Row]:
    """Probe files in threads (hashing and decoding release the interpreter), a bounded number ahead."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        remaining = iter(files)
        while batch := list(islice(remaining, 256)):
            yield from pool.map(lambda file: _probe(file, root), batch)
            advance(len(batch))


def _probe(file: SourceFile, root: Path) -> _Row:
    """What one file holds, or why it cannot be used."""
    row: _Row = {"path": file.path}
    try:
        data = (root / file.path).read_bytes()
        stat = (root / file.path).stat()
    except OSError as error:
        return {**row, "reason": RejectionReason.MISSING, "detail": error.strerror or str(error)}
    row.update(sha256=hashlib.sha256(data).hexdigest(), bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)
    try:
        wave, rate = decode(data)
    except RejectedError as error:
        return {**row, "reason": error.reason, "detail": error.detail}
    row.update(sample_rate=rate, samples=len(wave))
    if file.made:
        row["audio_sha256"] = hashlib.sha256(wave.tobytes()).hexdigest()
    return row


def _row(file: SourceFile, probed: _Row) -> _Row:
    listed = {
        "utterance_id": file.utterance_id,
        "path": file.path,
        "speaker": file.speaker,
        "language": file.language,
        "text": file.text,
        **(asdict(file.made) if file.made else {}),
    }
    row = {**probed, **listed}
    if file.problem and not probed.get("reason"):
        row.update(reason=file.problem, detail=file.detail or "the corpus has no such recording of this utterance")
    return row


def _without_duplicates(rows: Iterator[_Row]) -> list[_Row]:
    """The first usable file of an utterance (and variant) is kept, every further one is listed as a duplicate."""
    seen: dict[object, object] = {}
    result = []
    for row in rows:
        if row.get("reason"):
            result.append(row)
            continue
        first = seen.setdefault((row["utterance_id"], row.get("variant")), row["path"])
        if first != row["path"]:
            row = {**row, "reason": RejectionReason.DUPLICATE_ID, "detail": f"{first} has this utterance id already"}
        result.append(row)
    return result


def _within_limits(row: _Row, config: CorpusConfig) -> _Row:
    """The row, marked as left out where its length is outside the limits that the recipe sets for the corpus."""
    if row.get("reason"):
        return row
    seconds = cast(int, row["samples"]) / cast(int, row["sample_rate"])
    least, most = config.min_seconds, config.max_seconds or float("inf")
    if least <= seconds <= most:
        return row
    reason = RejectionReason.TOO_SHORT if seconds < least else RejectionReason.TOO_LONG
    return {**row, "reason": reason, "detail": f"{seconds:.3f} s, the recipe takes {least:g} to {most:g} s"}
