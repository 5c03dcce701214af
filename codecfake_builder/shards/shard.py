"""The unit of work: the clips of one (split, variant, chunk), its content key and its record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from codec_adapters.alm.spec import AlmSpec
from codec_adapters.spec import CodecSpec, OptionValue
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.files import sha256_text, write_text
from codecfake_builder.rejections import RejectionReason

STATE_FOLDER = ".build"
"""Folder of a dataset that is the builder's own: records, logs, lock; not part of the dataset."""
AUDIO_CHAIN_VERSION = 1
"""Raised whenever ``audio.py`` would make other samples of the same codec output."""


@dataclass(frozen=True)
class Utterance:
    """A source utterance as a worker needs it."""

    corpus: str
    utterance_id: str
    path: str
    """Absolute."""
    speaker: str
    language: str
    text: str | None
    sample_rate: int
    samples: int
    sha256: str
    codec: str | None = None
    """With ``variant``, ``alm`` and ``prompt_id``: what made a clip that exists already."""
    variant: str | None = None
    alm: str | None = None
    prompt_id: str | None = None

    @property
    def name(self) -> str:
        """``corpus/utterance_id``, unique within a dataset."""
        return f"{self.corpus}/{self.utterance_id}"

    def identity(self) -> list[str | None]:
        """What of an utterance decides its row, but for where it lies; the file's hash stands for the samples."""
        origin = [self.variant, self.alm, self.prompt_id] if self.codec else []
        return [self.corpus, self.utterance_id, self.speaker, self.language, self.text, self.sha256, *origin]


@dataclass(frozen=True)
class _Loadable:
    """Everything a worker needs to load something that has a spec and weights."""

    spec: CodecSpec | AlmSpec
    options: dict[str, OptionValue]
    """All inference options, defaults included."""
    checkpoint: Path | None
    checkpoint_hashes: dict[str, str]

    def _fingerprint(self, beside: str) -> str:
        """Spec with its options, weights, and what else decides the output; fields that say nothing are left out."""
        spec = {name: value for name, value in asdict(self.spec).items() if value is not None}
        spec["options"] = self.options
        return json.dumps([spec, sorted(self.checkpoint_hashes.items()), beside], sort_keys=True)


@dataclass(frozen=True)
class CodecJob(_Loadable):
    """A codec variant."""

    spec: CodecSpec
    dtype: str

    def fingerprint(self) -> str:
        """What makes this codec's output what it is: spec, options, weights, adapter version, precision."""
        return self._fingerprint(self.dtype)


@dataclass(frozen=True)
class AlmJob(_Loadable):
    """An ALM."""

    spec: AlmSpec
    codec: CodecJob
    """The codec that speaks; of a model that decodes by itself it has the spec alone, and nothing of it is loaded."""

    def fingerprint(self) -> str:
        """What makes this ALM's output what it is: its own spec, options and weights, and all of its codec."""
        return self._fingerprint(self.codec.fingerprint())


Job = CodecJob | AlmJob


def speaking_codec(job: Job) -> CodecJob:
    """The codec that makes the job's waveforms: the job itself, or the codec that its ALM speaks through."""
    return job.codec if isinstance(job, AlmJob) else job


@dataclass(frozen=True)
class Shard:
    """One shard to make; ``job`` is ``None`` for real speech and for clips that exist already.

    For an ALM the utterances are the prompts.
    """

    split: str
    variant: str
    chunk: int
    utterances: tuple[Utterance, ...]
    job: Job | None
    policy: AudioPolicy
    imported: ClipClass | None = None
    """The class of the shard's clips where they exist already."""

    @property
    def file(self) -> str:
        """Path of the shard within the dataset."""
        return f"data/{self.split}/{self.variant}-{self.chunk:05d}.parquet"

    @cached_property
    def key(self) -> str:
        """Content key: equal keys, equal clips. Holds no path and no device."""
        return sha256_text(
            f"chain {AUDIO_CHAIN_VERSION}",
            self.policy.model_dump_json(),
            self.job.fingerprint() if self.job else "real",
            *([json.dumps(["imported", self.variant, asdict(self.imported)])] if self.imported else []),
            *(json.dumps(utterance.identity()) for utterance in self.utterances),
        )


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
    """What was made: kept beside the dataset so that a shard that is there is not made again."""

    file: str
    key: str
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
        """Write the record into the dataset's state folder."""
        write_text(record_path(dataset, self.file), json.dumps(asdict(self), indent=1) + "\n")


def cell_of(file: str) -> tuple[str, str]:
    """Split and variant of shard ``file``."""
    path = PurePosixPath(file)
    return path.parent.name, path.stem.rpartition("-")[0]


def record_name(file: str) -> str:
    """Path of the record of shard ``file`` within the dataset."""
    return f"{STATE_FOLDER}/records/{PurePosixPath(file).relative_to('data').with_suffix('.json')}"


def record_path(dataset: Path, file: str) -> Path:
    """Where the record of shard ``file`` lies."""
    return dataset / record_name(file)


def load_record(dataset: Path, file: str) -> ShardRecord | None:
    """The record of a shard, or ``None`` where there is none that holds good: absent, damaged, or its shard is gone."""
    try:
        values: dict[str, Any] = json.loads(record_path(dataset, file).read_text(encoding="utf-8"))
        rejected = tuple(
            Rejection(**{**row, "reason": RejectionReason(row["reason"])}) for row in values.pop("rejected")
        )
        record = ShardRecord(**values, rejected=rejected)
        path = dataset / file
        same_size = (path.stat().st_size if path.is_file() else 0) == record.bytes
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return record if same_size and record.file == file else None
