"""Records of shards: what was made, and which clips were left out and why.

A record lies in the dataset's state folder, so that a shard that is there is not made again.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from codecfake_builder.dataset import layout
from codecfake_builder.dataset.integrity.file_hashes import FileHashes
from codecfake_builder.files import sha256_text, write_text
from codecfake_builder.rejections import RejectionReason


@dataclass(frozen=True)
class Rejection:
    """A clip that did not go into the dataset."""

    split: str
    variant: str
    corpus: str
    utterance_id: str
    reason: RejectionReason
    detail: str


@dataclass(frozen=True)
class ShardRecord:
    """What was made of a shard."""

    file: str
    """Name of the shard within the dataset, see :func:`codecfake_builder.dataset.layout.shard`."""
    key: str
    """Its content key, see :attr:`codecfake_builder.shards.shard.Shard.key`."""
    sha256: str
    bytes: int
    """0 for a shard of which every clip was rejected; it has no file."""
    clips: int
    seconds: float
    """Speech in the shard."""
    rejected: tuple[Rejection, ...] = field(default=())
    endings: dict[str, int] = field(default_factory=dict)
    """Of an ALM's clips: how many ended by themselves (``eos``) and at the limit (``length``), and in how many ids had
    to be ``cut``."""
    device: str | None = None
    """Kind of device the codec ran on; ``None`` for real speech."""
    wall_seconds: float = 0.0
    """How long it took."""

    def save(self, dataset: Path) -> None:
        """Write the record into the dataset's state folder, with a digest of itself."""
        values = asdict(self)
        document = {**values, "digest": _digest(values)}
        write_text(dataset / layout.record_of(self.file), json.dumps(document, indent=1) + "\n")


def load_record(dataset: Path, file: str) -> ShardRecord | None:
    """Read the record of shard ``file``; ``None`` where none holds good: absent, damaged, or its shard is gone."""
    try:
        values: dict[str, Any] = json.loads((dataset / layout.record_of(file)).read_text(encoding="utf-8"))
        if values.pop("digest", None) not in (None, _digest(values)):  # records of earlier versions have none
            return None
        record = _RECORD.validate_python(values)
        path = dataset / file
        same_size = (path.stat().st_size if path.is_file() else 0) == record.bytes
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, ValidationError):
        return None
    sound = record.clips >= 0 and 0 <= record.seconds < math.inf and bool(record.clips) == bool(record.bytes)
    return record if same_size and sound and record.file == file else None


def intact_record(hashes: FileHashes, file: str) -> ShardRecord | None:
    """Read the record of shard ``file`` where both are as they were written; see :func:`load_record`."""
    record = load_record(hashes.dataset, file)
    return record if record and (not record.clips or hashes.matches(file, record.sha256)) else None


def _digest(values: dict[str, Any]) -> str:
    return sha256_text(json.dumps(values, sort_keys=True))


_RECORD = TypeAdapter(ShardRecord)
