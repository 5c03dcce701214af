"""Find what a dataset shares with other data, by hashes, speakers and utterances: with another dataset of this builder,
or with a list that somebody hands over without handing over the audio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from codecfake_builder.audit.clips import Clips
from codecfake_builder.audit.findings import EXAMPLES, Finding, Status
from codecfake_builder.audit.leakage.splits import usable
from codecfake_builder.corpora.base import UNKNOWN_SPEAKER
from codecfake_builder.corpora.listing.tables import SUFFIXES, TableRow, table_rows
from codecfake_builder.dataset import layout
from codecfake_builder.errors import CorpusError, DatasetError
from codecfake_builder.text_files import read_lines

LINE = "against"
_HASHES = ("sha256", "audio_sha256", "source_sha256")
_COLUMNS = (*_HASHES, "speaker", "utterance_id", "corpus")
_HASH = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Known:
    """What is known of some data. Names are ``corpus/name``, or the name alone where the corpus is not said."""

    sha256: frozenset[str] = frozenset()
    """Of source files, of clips, or of clips' samples (16-bit little-endian PCM at 16 kHz)."""
    speakers: frozenset[str] = frozenset()
    utterances: frozenset[str] = frozenset()


def known_of(clips: Clips, pcm_sha256: Sequence[bytes]) -> Known:
    """Return what is known of clips, of which there is no metadata.

    Args:
        clips: a tree of files, say.
        pcm_sha256: hash of each clip's samples; empty for one that cannot be read.
    """
    table = clips.table[usable(clips)]
    speakers = {str(name) for name in table["speaker"].dropna().unique()}
    utterances = {str(name) for name in table["utterance"].unique()}
    return Known(_hashes(digest.hex() for digest in pcm_sha256), _named(speakers), frozenset(utterances))


def read_known(source: Path) -> Known:
    """Read what is known of other data.

    Args:
        source: the folder of a dataset of this builder; or a list: CSV, TSV or JSONL with any of the columns ``sha256``
            (or ``audio_sha256``, ``source_sha256``), ``speaker``, ``utterance_id`` and ``corpus``; or a text file with
            a hash of 64 digits, or the name of a speaker or an utterance, on each line.

    Raises:
        DatasetError: it is none of these, or cannot be read; names file and line.
    """
    try:
        if source.is_dir():
            return _of_dataset(source)
        if source.suffix.lower() in SUFFIXES:
            return _of_table(source)
        lines = {line.strip() for line in read_lines(source)} - {""}
    except CorpusError as error:
        raise DatasetError(str(error)) from error
    names = {line for line in lines if not _HASH.fullmatch(line)}
    return Known(_hashes(lines - names), _named(names), frozenset(names))


def against(own: Known, other: Known, name: str) -> list[Finding]:
    """Return a line for each kind of thing: audio, utterances, speakers that two sets of data share.

    Args:
        own: of what is audited.
        other: of what it is held against.
        name: of the other data, for messages.
    """
    kinds = {
        "audio": (own.sha256 & other.sha256, len(other.sha256)),
        "utterances": (_common(own.utterances, other.utterances), len(other.utterances)),
        "speakers": (_common(own.speakers, other.speakers), len(other.speakers)),
    }
    if not any(number for _, number in kinds.values()):
        return [Finding(LINE, name, Status.SKIPPED, "it names no hash, no utterance and no speaker")]
    findings = []
    for kind, (shared, number) in kinds.items():
        if number:
            examples = tuple(sorted(shared)[:EXAMPLES])
            said = f"{kind}: {len(shared)} in both" + (f": {', '.join(examples)}" if shared else "")
            status = Status.FAIL if shared else Status.PASS
            values = {"kind": kind, "shared": len(shared), "listed": number}
            findings.append(Finding(LINE, name, status, said, values, (), examples))
    return findings


def _common(own: frozenset[str], other: frozenset[str]) -> set[str]:
    """Return those of our names that the other data has, too; one that says no corpus is of any."""
    bare = {name for name in other if "/" not in name}
    behind = {_without_corpus(name) for name in other}
    return {
        name for name in own if name in other or _without_corpus(name) in bare or ("/" not in name and name in behind)
    }


def _without_corpus(name: str) -> str:
    return name.partition("/")[2] or name


def _named(speakers: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in speakers if _without_corpus(name) != UNKNOWN_SPEAKER)


def _hashes(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.lower() for value in values if value)


def _of_dataset(dataset: Path) -> Known:
    files = layout.metadata_files(dataset)
    if not files:
        raise DatasetError(f"{dataset}: no dataset of this builder ({layout.metadata('<split>')} is missing)")
    hashes: set[str] = set()
    speakers: set[str] = set()
    utterances: set[str] = set()
    for file in files:
        try:
            rows = pq.read_table(file, columns=["audio_sha256", "source_sha256", "corpus", "speaker", "utterance_id"])
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DatasetError(f"{file}: cannot be read ({str(error).splitlines()[0]}); verify tells more") from error
        for row in rows.to_pylist():
            hashes.update(row[name] for name in ("audio_sha256", "source_sha256") if row[name])
            speakers.add(f"{row['corpus']}/{row['speaker']}")
            utterances.add(f"{row['corpus']}/{row['utterance_id']}")
    return Known(_hashes(hashes), _named(speakers), frozenset(utterances))


def _of_table(table: Path) -> Known:
    hashes: set[str] = set()
    speakers: set[str] = set()
    utterances: set[str] = set()
    for row in table_rows(table, _present(table), _COLUMNS):
        hashes.update(_hash(row, column) for column in _HASHES if row.text(column))
        corpus = row.text("corpus")
        for column, names in (("speaker", speakers), ("utterance_id", utterances)):
            if name := row.text(column):
                names.add(f"{corpus}/{name}" if corpus else name)
    return Known(_hashes(hashes), _named(speakers), frozenset(utterances))


def _present(table: Path) -> tuple[str, ...]:
    """Return the columns that the header of a CSV has; one of them, where it has none, so that its reader says so."""
    if table.suffix.lower() == ".jsonl" or not table.is_file():
        return ()
    header = next((line for line in read_lines(table) if line.strip()), "")
    names = {name.strip(' "').lower() for name in re.split(r"[,;\t|]", header)}
    return tuple(name for name in _COLUMNS if name in names and name != "corpus") or _COLUMNS[:1]


def _hash(row: TableRow, column: str) -> str:
    value = (row.text(column) or "").strip()
    if not _HASH.fullmatch(value):
        raise DatasetError(f"{row.place}: {column}: {value[:80]!a} is no sha256 of 64 hexadecimal digits")
    return value
