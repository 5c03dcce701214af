"""Every path of a dataset folder. No other module of the builder spells one.

Names are relative to the dataset's folder, with ``/``, as the checksums list them and the card's file patterns use
them; ``dataset / layout.CARD`` is the file itself::

    README.md                               the card
    data/<split>/<variant>-00000.parquet    the shards
    metadata/<split>.parquet                their columns but the audio
    rejected.parquet                        what was left out, and why
    croissant.json  provenance.json  checksums.sha256
    .build/                                 the builder's own, no part of the dataset
    .gitignore                              leaves .build out of uploads

Two folders beside that of a dataset ``name`` take part in its change: ``.name.next`` and ``.name.old``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

CARD = "README.md"
CHECKSUMS = "checksums.sha256"
CROISSANT = "croissant.json"
PROVENANCE = "provenance.json"
REJECTED = "rejected.parquet"
DATA = "data"
"""Folder of the shards, one folder a split in it."""
METADATA = "metadata"
"""Folder of the files without audio, one a split."""

STATE = ".build"
"""Folder that is the builder's own: records, what later changes need, lock; not part of the dataset."""
RECORDS = f"{STATE}/records"
"""Folder of the shards' records."""
RECIPE = f"{STATE}/recipe.yaml"
"""The recipe that the dataset was built from, with the paths of this machine; ``load_recipe`` reads it."""
PLAN = f"{STATE}/plan.json"
"""The summary of the plan."""
FINISHED = f"{STATE}/finished"
"""Says what the dataset was finished from."""
METADATA_SOURCES = f"{STATE}/metadata.json"
"""What each file of :data:`METADATA` was written from, and its sha256: one whose shards are as before stays."""
INTELLIGIBILITY = f"{STATE}/intelligibility.json"
"""Scores of earlier builds of the same folder, by the hashes of the two clips."""
AUDIT = f"{STATE}/audit.json"
"""The last audit: all figures, and the root hash that it was made for."""
HASHES = f"{STATE}/hashes.json"
"""Size, modification time and sha256 of the dataset's files as they were when they were hashed last."""
LOCK = f"{STATE}/lock"
NOT_UPLOADED = ".gitignore"
IGNORED = {NOT_UPLOADED: f"/{STATE}/\n", f"{STATE}/.gitignore": "*\n"}
"""Files that keep the state, which names folders of this machine, out of repositories and uploads: git takes either,
``huggingface_hub.upload_folder`` the first one only."""
CLAIMS_PREFIX = "claims-"
"""Start of the name of a run's folder in :data:`STATE` in which its processes claim their devices."""

_SHARD = ".parquet"
_RECORD = ".json"


def shard(split: str, variant: str, chunk: int) -> str:
    """Return the name of a shard."""
    return f"{DATA}/{split}/{variant}-{chunk:05d}{_SHARD}"


def shard_pattern(split: str, variant: str | None = None) -> str:
    """Return the glob pattern of a split's shards, or of those of one variant."""
    return f"{DATA}/{split}/{_shard_glob(variant)}"


def shard_files(dataset: Path, split: str | None = None, variant: str | None = None) -> list[Path]:
    """List the shards that are there: all, those of a split, or those of a variant in it; sorted by path."""
    if split is None:
        return sorted((dataset / DATA).rglob(_shard_glob(variant)))
    return sorted((dataset / DATA / split).glob(_shard_glob(variant)))


def is_shard(name: str, split: str | None = None) -> bool:
    """Return whether a file of the dataset is a shard, of the split if one is given."""
    return name.startswith(f"{DATA}/" if split is None else f"{DATA}/{split}/") and name.endswith(_SHARD)


def is_shard_name(name: str) -> bool:
    """Return whether a name is that of a shard, with its split, variant and number in their places."""
    chunk = PurePosixPath(name).stem.rpartition("-")[2]
    return chunk.isascii() and chunk.isdigit() and name == shard(*cell_of(name), int(chunk[:9]))


def cell_of(file: str) -> tuple[str, str]:
    """Return split and variant of a shard."""
    path = PurePosixPath(file)
    return path.parent.name, path.stem.rpartition("-")[0]


def record_of(file: str) -> str:
    """Return the name of a shard's record."""
    return f"{RECORDS}/{PurePosixPath(file).relative_to(DATA).with_suffix(_RECORD)}"


def shard_of(record: str) -> str:
    """Return the name of a record's shard."""
    return f"{DATA}/{PurePosixPath(record).relative_to(RECORDS).with_suffix(_SHARD)}"


def record_files(dataset: Path) -> list[Path]:
    """List the records that are there, sorted by path."""
    return sorted((dataset / RECORDS).rglob(f"*{_RECORD}"))


def is_shard_or_record(name: str) -> bool:
    """Return whether a file lies among the shards or their records."""
    return name.startswith((f"{DATA}/", f"{RECORDS}/"))


def metadata(split: str) -> str:
    """Return the name of a split's file without audio; ``*`` gives the glob pattern of all."""
    return f"{METADATA}/{split}{_SHARD}"


def is_metadata(name: str) -> bool:
    """Return whether a file of the dataset is one without audio."""
    return name.startswith(f"{METADATA}/") and name.endswith(_SHARD)


def metadata_files(dataset: Path) -> list[Path]:
    """List the files without audio that are there, sorted by split, which is the stem of their names."""
    return sorted((dataset / METADATA).glob(f"*{_SHARD}"))


def batching(variant: str, digest: str) -> str:
    """Return the name of the file that keeps a measured batch size.

    Args:
        variant: the codec variant.
        digest: of what else decides the size: the codec's weights and options, and the device.
    """
    return f"{STATE}/batching/{variant}-{digest}.json"


def is_claim(name: str) -> bool:
    """Return whether a file lies in a run's folder of claims (see :data:`CLAIMS_PREFIX`)."""
    return name.startswith(f"{STATE}/{CLAIMS_PREFIX}")


def next_version(dataset: Path) -> Path:
    """Return the folder in which the next version of a dataset grows, or what a killed run left of it."""
    return _beside(dataset, "next")


def old_version(dataset: Path) -> Path:
    """Return the folder of the version that is being replaced, where two folders cannot be exchanged in one step."""
    return _beside(dataset, "old")


def _beside(dataset: Path, kind: str) -> Path:
    dataset = dataset.resolve()
    return dataset.with_name(f".{dataset.name}.{kind}")


def _shard_glob(variant: str | None) -> str:
    return f"*{_SHARD}" if variant is None else f"{variant}-*{_SHARD}"
