"""Quality of re-synthesized clips: the STOI of each against the real clip of the same utterance.

Both clips are the dataset's own, 16 kHz and of equal length. Speech of an audio language model has no source to compare
it with.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import soundfile

from codecfake_builder.audio import RATE
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.integrity.tables import refuse_other_columns
from codecfake_builder.dataset.metadata import refuse_earlier_version
from codecfake_builder.dataset.schema import schema
from codecfake_builder.errors import DatasetError
from codecfake_builder.files import write_text
from codecfake_builder.progress import progress
from codecfake_builder.signals.fidelity import UNMEASURABLE, stoi

Item = TypeVar("Item")
_LONGEST = 3600 * RATE
_COLUMNS = ["id", "variant", "is_fake", "is_fake_transmission", "corpus", "utterance_id", "audio_sha256"]


@dataclass(frozen=True)
class StoiScores:
    """STOI of the measured clips of one split and variant."""

    split: str
    variant: str
    clips: int
    """Number of clips measured."""
    median: float
    lowest: float


@dataclass(frozen=True)
class ClipName:
    """Where a clip is, and the hash of its audio."""

    split: str
    variant: str
    id: str
    audio_sha256: str


@dataclass(frozen=True)
class Pair:
    """A re-synthesized clip, and the real clip of its utterance."""

    fake: ClipName
    real: ClipName

    @property
    def key(self) -> str:
        """The key of the pair's score in the dataset's state."""
        return f"{self.fake.audio_sha256} {self.real.audio_sha256}"


def preload_stoi() -> None:
    """Import ``pystoi`` in a thread: that takes a second, which codecs that run meanwhile hide."""
    threading.Thread(target=importlib.import_module, args=("pystoi",), name="import pystoi").start()


def measure_stoi(dataset: Path, clips: int) -> list[StoiScores]:
    """Measure up to ``clips`` clips of every split and variant whose real clips are in the dataset, in any split.

    A hash of their ids chooses the clips: the same ones on any machine. Clips too short for STOI are left out. Scores
    are kept in the dataset's state, so that each pair of clips is measured once.

    Args:
        dataset: folder of a dataset, finished or complete but for its card.
        clips: at most so many of each split and variant.

    Raises:
        DatasetError: the folder holds no dataset of this builder.
    """
    pairs = pairs_of(dataset, clips)
    kept = _kept(dataset)
    missing = [pair for pair in pairs if pair.key not in kept]
    kept.update(_measured(dataset, missing))
    if missing and (dataset / layout.STATE).is_dir():
        wanted = {pair.key: kept[pair.key] for pair in pairs}
        write_text(dataset / layout.INTELLIGIBILITY, json.dumps(wanted, indent=1, sort_keys=True) + "\n")
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for pair in pairs:
        if kept[pair.key] > UNMEASURABLE:
            cells[pair.fake.split, pair.fake.variant].append(kept[pair.key])
    return [
        StoiScores(split, variant, len(scores), median(scores), min(scores))
        for (split, variant), scores in cells.items()
    ]


def pairs_of(dataset: Path, clips: int) -> list[Pair]:
    """Return the pairs to measure, at most ``clips`` of every split and variant, chosen by a hash of their ids.

    Raises:
        DatasetError: the folder holds no dataset of this builder.
    """
    files = layout.metadata_files(dataset)
    if not files:
        raise DatasetError(f"{dataset}: no dataset of this builder ({layout.metadata('*')} is missing)")
    refuse_earlier_version(dataset)
    rows = [(path.stem, row) for path in files for row in _rows(path)]
    real: dict[tuple[str, str], ClipName] = {}
    cells: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for split, row in rows:
        if not row["is_fake"]:
            clip = ClipName(split, row["variant"], row["id"], row["audio_sha256"])
            real.setdefault((row["corpus"], row["utterance_id"]), clip)
    for split, row in rows:
        source = real.get((row["corpus"], row["utterance_id"]))
        if row["is_fake"] and not row["is_fake_transmission"] and source is not None:
            fake = ClipName(split, row["variant"], row["id"], row["audio_sha256"])
            cells[split, row["variant"]].append(Pair(fake, source))
    return [pair for cell in cells.values() for pair in first_by_hash(cell, lambda pair: pair.fake.id, clips)]


def _rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a metadata file.

    Raises:
        DatasetError: it is none, or rows lack what is needed.
    """
    expected = pa.schema([field for field in schema(None, audio=False) if field.name in _COLUMNS])
    try:
        table = pq.read_table(path, columns=expected.names)
        refuse_other_columns(table.schema, expected)
        rows: list[dict[str, Any]] = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError, DatasetError) as error:
        raise DatasetError(f"{path}: is no metadata of a dataset ({_line(error)}); verify tells more") from error
    for row in rows:
        if lacking := [name for name in _COLUMNS if row[name] is None]:
            raise DatasetError(f"{path}: a row without {', '.join(lacking)}; verify tells more")
    return rows


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def first_by_hash(items: Iterable[Item], id_of: Callable[[Item], str], count: int) -> list[Item]:
    """Return ``count`` items at most, chosen by a hash of their ids: the same ones on any machine."""
    return sorted(items, key=lambda item: hashlib.sha256(id_of(item).encode()).digest())[:count]


def _kept(dataset: Path) -> dict[str, float]:
    """Read the scores of earlier runs, by the keys of their pairs; what is absent or damaged is measured."""
    try:
        document = json.loads((dataset / layout.INTELLIGIBILITY).read_text(encoding="utf-8"))
        return {str(key): float(value) for key, value in document.items() if -1 <= float(value) <= 1}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}


def _measured(dataset: Path, pairs: list[Pair]) -> dict[str, float]:
    """Measure pairs; return their scores by key."""
    if not pairs:
        return {}
    audio = audio_of(dataset, {clip for pair in pairs for clip in (pair.fake, pair.real)})
    scores: dict[str, float] = {}
    with progress("intelligibility", len(pairs), "clips") as advance:
        for pair in pairs:
            try:
                fake, source = (decoded(audio[clip]) for clip in (pair.fake, pair.real))
                scores[pair.key] = round(stoi(source, fake), 4)
            except (KeyError, TypeError, ValueError, soundfile.LibsndfileError) as error:
                raise DatasetError(
                    f"{dataset}: clips {pair.fake.id!r} and {pair.real.id!r} cannot be compared ({_line(error)}); "
                    "verify tells more"
                ) from error
            advance(1)
    return scores


def decoded(data: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Decode a clip, at most an hour of it, whatever its header promises."""
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        samples: np.ndarray[Any, np.dtype[np.float32]] = file.read(min(file.frames, _LONGEST), dtype="float32")
        return samples


def audio_of(dataset: Path, clips: Iterable[ClipName]) -> dict[ClipName, bytes]:
    """Read the audio files of clips, FLAC.

    Raises:
        DatasetError: a shard cannot be read.
    """
    by_shards: dict[tuple[str, str], dict[str, ClipName]] = defaultdict(dict)
    for clip in clips:
        by_shards[clip.split, clip.variant][clip.id] = clip
    found: dict[ClipName, bytes] = {}
    for (split, variant), wanted in by_shards.items():
        try:
            shards = pads.dataset(layout.shard_files(dataset, split, variant), format="parquet")
            table = shards.to_table(columns=["id", "audio"], filter=pads.field("id").isin(list(wanted)))
            found.update({wanted[row["id"]]: row["audio"]["bytes"] for row in table.to_pylist()})
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
            raise DatasetError(
                f"{dataset / layout.shard_pattern(split, variant)}: cannot be read ({_line(error)}); verify tells more"
            ) from error
    return found
