"""The index of a corpus: one row per utterance, with what its file holds and its sha256, or why it cannot be used.

What was read from the files is kept in a Parquet file of the user's cache. A file is read again where its size or its
modification time changed.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from codec_adapters.catalogue import Catalogue
from codec_adapters.files.cache import cache_root
from codecfake_builder.audio import decode, make_fit
from codecfake_builder.corpora.base import CorpusConfig, SourceFile
from codecfake_builder.corpora.index_notes import changed_files, speaker_sources, unread_texts
from codecfake_builder.decoding.reading import READ_SECONDS, FileState, file_state, read_source_file
from codecfake_builder.files import replacing, sha256_text
from codecfake_builder.progress import Advance, progress, say
from codecfake_builder.rejections import RejectedError, RejectionReason

_IMPORTED = [(name, pa.string()) for name in ("codec", "variant", "alm", "prompt_id")]
_LISTED = [*((name, pa.string()) for name in ("utterance_id", "path", "speaker", "language", "text")), *_IMPORTED]
_READ = [
    ("sample_rate", pa.int32()),
    ("samples", pa.int64()),
    ("sha256", pa.string()),
    ("audio_sha256", pa.string()),
    ("reason", pa.string()),
    ("detail", pa.string()),
]
SCHEMA = pa.schema([*_LISTED, *_READ])
"""Schema of an index. ``reason`` (a :class:`RejectionReason`) is null for an utterance that can be used; ``samples``
counts per channel at ``sample_rate`` (Hz). ``codec``, ``variant``, ``alm`` and ``prompt_id`` say what made an imported
clip (``corpora.base.ImportedClip``), and are null for speech; ``audio_sha256`` is that of the decoded samples (mono,
float32), whatever the file's form."""
_NOT_READ = (RejectionReason.MISSING, RejectionReason.UNUSABLE_NAME, RejectionReason.UNREADABLE)
"""Reasons of a list by which there is nothing to read."""
_CACHE_VERSION = "4"
"""To be raised whenever the columns of the cache change."""
_CACHE_SCHEMA = pa.schema([("path", pa.string()), *_READ, *((name, pa.int64()) for name in FileState._fields)])

_NOT_OF_THE_FILES = {"root", "optional", "min_seconds", "max_seconds", "licence", "source", "citation"}
"""Fields of a corpus that change nothing about what its files hold."""

_Row = dict[str, object]


@dataclass(frozen=True)
class CorpusIndex:
    """The index of a corpus, with the name that the corpus has in the recipe."""

    name: str
    root: Path
    """The folder that the paths are relative to."""
    table: pa.Table
    """Schema :data:`SCHEMA`."""
    notes: tuple[str, ...] = ()
    """Sentences on who speaks, and on files that are not the listed ones."""

    @property
    def usable(self) -> pa.Table:
        """The rows of utterances that can be used."""
        return self.table.filter(pc.is_null(self.table["reason"]))

    @property
    def unusable(self) -> pa.Table:
        """The rows of utterances that are left out, each with its reason."""
        return self.table.filter(pc.is_valid(self.table["reason"]))


def index_corpus(
    name: str, config: CorpusConfig, catalogue: Catalogue, read_seconds: float = READ_SECONDS
) -> CorpusIndex:
    """Index a corpus in parallel, reading only the files that are new or changed since the last time.

    Args:
        name: of the corpus in the recipe.
        config: its section of the recipe.
        catalogue: the codecs and classes that imported clips may be of.
        read_seconds: how long the read of one file may take.

    Raises:
        CorpusError: the root is missing or in another layout.
    """
    files = config.wanted_files(catalogue)
    root = config.audio_folder().resolve()
    cache = cache_root() / "index" / f"{config.kind}-{_cache_key(config, root)}.parquet"
    contents = _contents(name, [file for file in files if file.reason not in _NOT_READ], root, cache, read_seconds)
    rows = _without_duplicates(_row(file, contents.get(file.path, {})) for file in files)
    rows = [_within_limits(row, config) for row in rows]
    notes = (*speaker_sources(files), *unread_texts(files), *changed_files(files, rows))
    return CorpusIndex(name, root, pa.Table.from_pylist(rows, schema=SCHEMA), notes)


def _contents(name: str, files: list[SourceFile], root: Path, cache: Path, read_seconds: float) -> dict[str, _Row]:
    """Return what each file holds, by path, from the cache or read anew, and bring the cache up to date."""
    old = _read_cache(cache)
    known: dict[str, _Row] = {row["path"]: row for row in old.to_pylist()}
    fresh = [file for file in files if not _unchanged(root / file.path, known.get(file.path))]
    if fresh:
        say(f"indexing {name}: {len(fresh)} of {len(files)} files are new or changed")
    with progress(f"indexing {name}", len(fresh), "files") as advance:
        known.update((str(row["path"]), row) for row in _read_all(fresh, root, read_seconds, advance))
    current = {file.path: known[file.path] for file in files}
    if fresh or len(current) != old.num_rows:
        with replacing(cache) as temporary:
            pq.write_table(pa.Table.from_pylist(list(current.values()), schema=_CACHE_SCHEMA), temporary)
    return current


def _read_cache(cache: Path) -> pa.Table:
    """Return what the cache holds; nothing where it is not there or damaged: everything is read anew then."""
    try:
        return pq.read_table(cache, schema=_CACHE_SCHEMA)
    except (OSError, pa.ArrowException):
        return _CACHE_SCHEMA.empty_table()


def _cache_key(config: CorpusConfig, root: Path) -> str:
    options = config.model_dump_json(exclude=_NOT_OF_THE_FILES)
    return sha256_text(_CACHE_VERSION, str(root), options)[:16]


def _unchanged(path: Path, row: _Row | None) -> bool:
    if row is None:
        return False
    try:
        return file_state(path)._asdict() == {name: row[name] for name in FileState._fields}
    except (OSError, ValueError):
        return False


def _read_all(files: list[SourceFile], root: Path, seconds: float, advance: Advance) -> Iterator[_Row]:
    """Read files in threads (hashing and decoding release the interpreter lock), a bounded number ahead."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        remaining = iter(files)
        while batch := list(islice(remaining, 256)):
            yield from pool.map(lambda file: _read_file(file, root, seconds), batch)
            advance(len(batch))


def _read_file(file: SourceFile, root: Path, seconds: float) -> _Row:
    """Read what one file holds, or why it cannot be used."""
    row: _Row = {"path": file.path}
    try:
        data, state = read_source_file(root / file.path, seconds)
        row.update(sha256=hashlib.sha256(data).hexdigest(), **state._asdict())
        wave, rate = decode(data)
        make_fit(wave, rate)  # refuses silence
    except RejectedError as error:
        return {**row, "reason": error.reason, "detail": error.detail}
    audio_sha256 = hashlib.sha256(np.ascontiguousarray(wave, dtype="<f4").tobytes()).hexdigest()
    row.update(sample_rate=rate, samples=len(wave), audio_sha256=audio_sha256)
    return row


def _row(file: SourceFile, contents: _Row) -> _Row:
    """Return the row of a file out of what the corpus lists and what the file holds."""
    listed = {
        "utterance_id": file.utterance_id,
        "path": file.path,
        "speaker": file.speaker,
        "language": file.language,
        "text": file.text,
        **(asdict(file.imported) if file.imported else {}),
    }
    row = {**contents, **listed}
    if file.reason and not contents.get("reason"):
        row.update(reason=file.reason, detail=file.detail or "the corpus has no such recording of this utterance")
    return row


def _without_duplicates(rows: Iterator[_Row]) -> list[_Row]:
    """Return the rows, each usable file but the first of an utterance (and variant) rejected as a duplicate."""
    seen: dict[tuple[str, object], object] = {}
    result = []
    for row in rows:
        if row.get("reason"):
            result.append(row)
            continue
        key = (unicodedata.normalize("NFC", str(row["utterance_id"])), row.get("variant"))
        first = seen.get(key)
        seen.setdefault(key, row["path"])
        if first is not None:
            row = {**row, "reason": RejectionReason.DUPLICATE_ID, "detail": f"{first} has this utterance id already"}
        result.append(row)
    return result


def _within_limits(row: _Row, config: CorpusConfig) -> _Row:
    """Return the row, rejected where its length is outside the limits that the recipe sets for the corpus."""
    if row.get("reason"):
        return row
    seconds = cast(int, row["samples"]) / cast(int, row["sample_rate"])
    least, most = config.min_seconds, config.max_seconds or float("inf")
    if least <= seconds <= most:
        return row
    reason = RejectionReason.TOO_SHORT if seconds < least else RejectionReason.TOO_LONG
    return {**row, "reason": reason, "detail": f"{seconds:.3f} s, the recipe takes {least:g} to {most:g} s"}
