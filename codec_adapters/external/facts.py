"""Facts: what an author states of a codec or an ALM that is not built in; specs are made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from codec_adapters.classes import LABELS
from codec_adapters.spec import AlmSpec, CodecSpec, OptionValue, PromptPart, Taxonomy


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaxonomyFacts(_Facts):
    """Place of a codec in the taxonomy of CodecFake+; see :class:`codec_adapters.Taxonomy`."""

    quantizer: Literal["multi", "single", "scalar"]
    auxiliary: Literal["none", "semantic", "disentangled"] = "none"
    decoder_domain: Literal["time", "frequency"] = "time"


class CodecFacts(_Facts):
    """Facts of a codec; the fields are those of :class:`codec_adapters.CodecSpec`."""

    family: str = Field(pattern=r"^[a-z0-9_]+$")
    label: int | None = Field(default=None, ge=len(LABELS))
    """Of a family that has none yet: the next free number."""
    sample_rate: int = Field(ge=1000)
    hop: int = Field(ge=1)
    codebooks: int = Field(ge=1)
    bitrate: float = Field(gt=0)
    taxonomy: TaxonomyFacts
    code_licence: str = "not stated"
    weights_licence: str = "not stated"
    paper: str = ""
    delay_samples: int = Field(default=0, ge=0)
    tail_local: bool = False
    version: int = 1

    def label_problems(self) -> Iterator[str]:
        """Say what is wrong with the label: a built-in family has one already, a new family needs one."""
        if (self.family in LABELS) == (self.label is not None):
            wanted = (
                "has a label already; leave it out"
                if self.family in LABELS
                else f"is new: give the next free label, from {len(LABELS)}"
            )
            yield f"family {self.family} {wanted}"

    def spec(self, name: str, repo: str, options: Mapping[str, OptionValue]) -> CodecSpec:
        """Return the spec of variant ``name``; its weights, if it has any, are not in ``weights.lock``.

        Args:
            repo: address of the repository; may be empty.
            options: inference options with their defaults.
        """
        stated = self.model_dump(exclude={"label", "taxonomy"})
        return CodecSpec(
            name=name,
            label=LABELS.get(self.family, self.label or 0),
            taxonomy=Taxonomy(**self.taxonomy.model_dump()),
            repo=repo,
            checkpoint="",
            options=dict(options),
            **stated,
        )


class AlmFacts(_Facts):
    """Facts of an ALM that decodes by itself; the fields are those of :class:`codec_adapters.AlmSpec`."""

    title: str = Field(min_length=1)
    codec_variant: str
    """The codec variant that it speaks through: built in, of a plugin, or an isolated one of the same recipe."""
    prompt: list[PromptPart] = Field(min_length=1)
    sample_rate: int = Field(ge=1000)
    """Hz, of the speech."""
    prompt_rate: int | None = Field(default=None, ge=1000)
    """Hz, of the prompts' audio; by default that of the speech."""
    max_seconds: float = Field(gt=0)
    """Most seconds of speech per prompt; passed to the driver as an option, which a recipe may override."""
    code_licence: str = "not stated"
    weights_licence: str = "not stated"
    paper: str = ""
    version: int = 1

    def spec(self, name: str, repo: str, options: Mapping[str, OptionValue]) -> AlmSpec:
        """Return the spec of ALM ``name``; its weights, if it has any, are not in ``weights.lock``.

        Args:
            repo: address of the repository; may be empty.
            options: inference options with their defaults.
        """
        return AlmSpec(
            name=name,
            title=self.title,
            codec_variant=self.codec_variant,
            prompt=tuple(dict.fromkeys(self.prompt)),
            code_licence=self.code_licence,
            weights_licence=self.weights_licence,
            paper=self.paper,
            repo=repo,
            checkpoint="",
            options={**options, "max_seconds": self.max_seconds},
            version=self.version,
            sample_rate=self.sample_rate,
            prompt_rate=self.prompt_rate,
        )
