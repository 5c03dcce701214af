"""The pydantic models of a recipe; unknown keys and wrong values are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from codec_adapters.classes import LABELS
from codec_adapters.external.codec_file import SUFFIXES
from codec_adapters.external.worker.entry import IsolatedEntry
from codec_adapters.files.paths import DocumentPath
from codec_adapters.spec import AlmSpec, CodecSpec, OptionValue
from codecfake_builder.audio_policy import AudioPolicy
from codecfake_builder.corpora import AnyCorpus
from codecfake_builder.corpora.base import ListName, UserPath
from codecfake_builder.decoding.reading import READ_SECONDS

IMPORTED = "imported"
"""In a split's list of variants: the clips of its corpora that exist already, under the variant that each names."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")]
"""A name that can stand in a file name and as a Hugging Face split or config name."""

Plugin = Annotated[str, DocumentPath(is_other=lambda text: not text.endswith((".py", *SUFFIXES)))]
"""A module's name, or a Python file or codec file relative to the recipe."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Draw = Annotated[int, Field(ge=1)] | Annotated[dict[Name, Annotated[int, Field(ge=1)]], Field(min_length=1)]


class Split(_Part):
    """Which utterances of which corpora a split holds, and through which variants they pass.

    A variant is ``real``, a codec variant, an ALM (the utterances are its prompts), or ``imported``. Clips that
    exist already (a corpus of fakes, imported clips) are taken by splits that name ``imported``, and by no other;
    speech is taken by splits that name any other variant.

    Exactly one of ``draw`` (a number of utterances, or one per corpus), ``share`` (a part of what no list claims),
    ``ids`` (a list of utterance ids: a packaged one by name, or a file), ``labels`` (a released ST-Codecfake label
    file: its real utterances) or ``same_as`` (another split) selects the utterances.
    """

    variants: list[str] = Field(min_length=1)
    corpora: list[str] | None = None
    """``None``: every corpus that no other split claims for itself. Beside ``same_as``: only these of the other's."""
    draw: Draw | None = None
    share: float | None = Field(default=None, gt=0, le=1)
    ids: ListName | None = None
    labels: UserPath | None = None
    same_as: str | None = None
    only: ListName | None = None
    """With ``same_as``: only those of its utterances that are on this list (see ``ids``)."""
    optional: bool = False
    """Leave the split out where a variant's weights have no official source and no folder is given for them."""
    missing: Literal["error", "skip"] = "error"
    """What to do about utterances to list or draw that the corpora do not have."""

    @model_validator(mode="after")
    def _one_selection(self) -> Split:
        given = [key for key in ("draw", "share", "ids", "labels", "same_as") if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"give exactly one of draw, share, ids, labels, same_as; found {found}")
        if isinstance(self.draw, dict) and self.corpora is not None:
            raise ValueError("draw names the corpora with their numbers already; leave corpora out")
        if self.only is not None and self.same_as is None:
            raise ValueError("only narrows same_as; without it, give the list as ids")
        return self

    @property
    def own_corpora(self) -> list[str] | None:
        """Return the corpora that the split itself names, in a list or with the numbers to draw."""
        return list(self.draw) if isinstance(self.draw, dict) else self.corpora


class Assignment(_Part):
    """How drawn utterances are assigned to splits.

    ``paper``: by utterance, as the publication did. ``speaker_disjoint``: no speaker in two splits; every split gets
    each language in the proportion of the corpora, or with ``languages: equal`` the same number of each.
    """

    method: Literal["paper", "speaker_disjoint"] = "paper"
    languages: Literal["proportional", "equal"] = "proportional"
    seed: int = 2501
    duplicates: Literal["once", "keep"] = "once"
    """Utterances that are the same audio, whatever their names and corpora: the first is used and the others are listed
    as rejected; or all are, and a note says so."""


class CardSettings(_Part):
    """Texts for the dataset card, beside its tables."""

    weights_licence: str = ""
    """Licence of the checkpoints of ``weights:``; by default the card tells that of the official ones."""
    stoi_clips: int = Field(default=16, ge=0)
    """Clips of each split and variant whose intelligibility (STOI) against their source is measured for the card; 0
    leaves it out."""


class AuditSettings(_Part):
    """What the audit of a dataset holds it to, and when it is made."""

    after_build: bool = False
    """End every build with an audit, whose certificate goes into the card; where a line fails, the exit code is 1."""
    speakers: Literal["disjoint", "shared"] | None = None
    """Whether a speaker may be in two splits of other utterances; by default as ``assignment.method`` says."""
    texts: Literal["disjoint", "shared"] = "disjoint"
    """Whether two of these splits may have the same transcript. Corpora whose speakers read the same sentences
    (VCTK) share them."""


class Execution(_Part):
    """Where and how the work is done. Nothing here changes which clips a dataset holds."""

    device: str = "auto"
    """``auto``: every CUDA device there is, else the CPU; or one torch device, or several separated by commas."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the networks. float16 changes few codes; bfloat16 most of those of DAC, SNAC, FACodec and AudioDec, which are
    then other codecs than the published ones (``benchmarks/half_precision.md``). In neither is a clip sure not to
    depend on what it was batched with."""
    workers: int | None = Field(default=None, ge=1)
    """Processes; by default one per CUDA device, or one per CPU core; on a cluster, all that the scheduler has."""
    scheduler: str | None = None
    """Address of a running dask scheduler (``tcp://host:8786``), whose workers see the same folders."""
    clips_per_shard: int = Field(default=1000, ge=1)
    prompts_per_shard: int = Field(default=100, ge=1)
    """Clips per shard of an ALM: fewer, since each takes long and an interruption costs the unfinished shards."""
    batch_seconds: float | None = Field(default=None, gt=0)
    """Audio per batch; by default one clip on a CPU and a measured amount on a GPU."""
    batch_timeout: float = Field(default=3600.0, gt=0)
    """Seconds that a codec or model may take for one batch, or to be loaded. Where one hangs, the build ends with a
    line that names it, and what is finished is kept."""
    read_timeout: float = Field(default=READ_SECONDS, gt=0, le=86400)
    """Seconds that the read of one source file may take; longer ones (a mount whose server is gone) are rejected."""


class Recipe(_Part):
    """Everything that decides what a dataset holds."""

    plugins: list[Plugin] = []
    """What adds further variants: Python modules, or files relative to the recipe (they are code, and run); and codec
    files (``.yaml``, data; see ``docs/codec_files.md``)."""
    classes: dict[Name, Annotated[int, Field(ge=len(LABELS))]] = {}
    """Labels of new classes of which there are imported clips only. (A codec's class comes with the codec.)"""
    name: Name
    title: str
    notes: list[str] = []
    """For the dataset card: what a reader should know of the choices made here."""
    corpora: dict[Name, AnyCorpus] = Field(min_length=1)
    splits: dict[Name, Split] = Field(min_length=1)
    assignment: Assignment = Assignment()
    audit: AuditSettings = AuditSettings()
    audio: AudioPolicy = AudioPolicy()
    options: dict[str, dict[str, OptionValue]] = {}
    """Inference options per variant, over the variant's defaults; a codec's hold where an ALM speaks through it too."""
    weights: dict[str, UserPath] = {}
    """Local folder per checkpoint (an entry of weights.lock) or per variant (codec or ALM); others are fetched."""
    card: CardSettings = CardSettings()
    isolated: dict[Name, IsolatedEntry] = {}
    """Codecs and ALMs that run in an environment of their own, by the name of the variant that they are to have."""
    retired_labels: dict[Annotated[int, Field(ge=len(LABELS))], str] = {}
    """Classes whose codecs were removed: their ids are not given again, so that no other class changes its own."""
    execution: Execution = Execution()

    def weights_key(self, spec: CodecSpec | AlmSpec) -> str | None:
        """Return the key under ``weights`` that has a folder for a variant, its own or its checkpoint's; ``None`` where
        none has."""
        return next((key for key in (spec.name, spec.checkpoint) if key in self.weights), None)

    def selected_by(self, name: str) -> str:
        """Return the split that selects the utterances of split ``name``: itself, or the split whose utterances it
        takes, all of them or (``only``) a part.
        """
        while (parent := self.splits[name].same_as) is not None:
            name = parent
        return name

    def split_corpora(self, name: str) -> list[str]:
        """Return the corpora that split ``name`` takes its utterances from."""
        own = self.splits[name].own_corpora
        selecting = self.splits[self.selected_by(name)].own_corpora if own is None else own
        if selecting is not None:
            return selecting
        claimed = {corpus for other in self.splits.values() for corpus in other.own_corpora or ()}
        return [corpus for corpus in self.corpora if corpus not in claimed] or list(self.corpora)
