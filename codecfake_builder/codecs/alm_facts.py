"""What the author of a recipe says of an audio language model that is not built in."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from codec_adapters.alm.spec import AlmSpec, PromptPart
from codec_adapters.spec import OptionValue


class AlmFacts(BaseModel):
    """What the recipe's author says of a model that decodes by itself; see :class:`codec_adapters.AlmSpec`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1)
    codec_variant: str
    """The codec variant that it speaks through: built in, of a plugin, or an isolated one of the same recipe."""
    prompt: list[PromptPart] = Field(min_length=1)
    sample_rate: int = Field(ge=1000)
    """Hz, of the speech."""
    prompt_rate: int | None = Field(default=None, ge=1000)
    """Hz, of the prompts' audio; by default that of the speech."""
    max_seconds: float = Field(gt=0)
    """Most speech per prompt; handed to the driver among the options, and may be overridden as one."""
    code_licence: str = "not stated"
    weights_licence: str = "not stated"
    paper: str = ""
    version: int = 1

    def spec(self, name: str, repo: str, options: Mapping[str, OptionValue]) -> AlmSpec:
        """The spec of ALM ``name``; its weights, if any, are no entry of ``weights.lock``."""
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
