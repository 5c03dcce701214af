"""Shards, the unit of work: the clips of one (split, variant, chunk), and their content key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from codecfake_builder.audio import CHAIN_VERSION
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.clip_class import ClipClass
from codecfake_builder.dataset import layout
from codecfake_builder.dataset.schema import COLUMNS_SHA256
from codecfake_builder.files import sha256_text
from codecfake_builder.recipe.variants import ResolvedAlm, ResolvedCodec, ResolvedVariant


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
        """Return ``corpus/utterance_id``, unique within a dataset."""
        return f"{self.corpus}/{self.utterance_id}"

    def identity(self) -> list[str | None]:
        """Return what decides the utterance's row, without its path; the file's hash stands for the samples."""
        origin = [self.variant, self.alm, self.prompt_id] if self.codec else []
        return [self.corpus, self.utterance_id, self.speaker, self.language, self.text, self.sha256, *origin]


def named(utterances: Sequence[Utterance]) -> str:
    """Return a batch in words, for messages: its first utterance, and how many there are."""
    more = f" and {len(utterances) - 1} more" if len(utterances) > 1 else ""
    return f"{utterances[0].name}{more}"


@dataclass(frozen=True)
class Shard:
    """One shard to make; ``made_by`` is ``None`` for real speech and for clips that exist already.

    For an ALM the utterances are the prompts.
    """

    split: str
    variant: str
    chunk: int
    utterances: tuple[Utterance, ...]
    made_by: ResolvedVariant | None
    policy: AudioPolicy
    imported: ClipClass | None = None
    """The class of the shard's clips where they exist already."""

    @property
    def file(self) -> str:
        """Return the path of the shard within the dataset."""
        return layout.shard(self.split, self.variant, self.chunk)

    @cached_property
    def key(self) -> str:
        """Return the content key: equal keys mean equal rows. It depends on no path and no device."""
        return sha256_text(
            f"chain {CHAIN_VERSION}",
            f"columns {COLUMNS_SHA256}",
            json.dumps(self._policy(), sort_keys=True),
            self.made_by.fingerprint() if self.made_by else "real",
            *([json.dumps(["imported", self.variant, asdict(self.imported)])] if self.imported else []),
            *(json.dumps(utterance.identity()) for utterance in self.utterances),
        )

    def _policy(self) -> dict[str, object]:
        """Return what of the audio policy decides the shard's clips; what else it says decides which utterances there
        are, or what is done about rejections."""
        deciding = {"fade_seconds", "trim_db"}
        if self.policy.trim_db is not None:
            deciding.add("min_seconds")
        if isinstance(self.made_by, ResolvedCodec):
            deciding |= {"context_seconds", "level", "max_missing_seconds"}
            if self.made_by.spec.tail_local:
                deciding.add("tail_seconds")
        elif isinstance(self.made_by, ResolvedAlm):
            deciding |= {"min_seconds", "max_seconds"}
        return self.policy.model_dump(include=deciding)
