"""The unit of work: the clips of one (split, variant, chunk), and its content key."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from codec_adapters.alm.spec import AlmSpec
from codec_adapters.spec import CodecSpec, OptionValue
from codecfake_builder.audio import AUDIO_CHAIN_VERSION
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.dataset import layout
from codecfake_builder.files import sha256_text


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
        return layout.shard(self.split, self.variant, self.chunk)

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
