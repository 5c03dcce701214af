"""``isolated:`` of a recipe: codecs and audio language models that run in environments of their own, as worker
processes.

The process, its environment and its protocol are the business of ``codec_adapters.external.worker``; here is what a
recipe says of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, model_validator

import codec_adapters
from codec_adapters.external.worker import EnvironmentSpec, Limits
from codec_adapters.spec import OptionValue
from codecfake_builder.codecs.alm_facts import AlmFacts
from codecfake_builder.codecs.codec_facts import CodecFacts
from codecfake_builder.codecs.variants import is_builtin, nearest_variant
from codecfake_builder.errors import RecipeError

if TYPE_CHECKING:
    from codec_adapters.external.worker import Isolated

PACKAGED_DRIVERS = Path(codec_adapters.__file__).parent / "external" / "worker" / "drivers"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IsolatedEntry(_Part):
    """One codec or ALM in isolation: its environment, its driver, and what is known of it."""

    repo: str | None = None
    """https address, or a local folder (relative to the recipe)."""
    commit: str | None = None
    python: str = "current"
    requirements: list[str] = []
    driver: str
    """A Python file (relative to the recipe), or the name of a packaged driver. It is code, and runs."""
    options: dict[str, OptionValue] = {}
    """Handed to the driver; ``options.<variant>`` of the recipe may override them."""
    start_seconds: float = Field(default=Limits.start_seconds, gt=0)
    clip_seconds: float = Field(default=Limits.clip_seconds, gt=0)
    scratch_mb: int = Field(default=Limits.scratch_mb, ge=1)
    restarts: int = Field(default=Limits.restarts, ge=0)
    restarts_in_all: int = Field(default=Limits.restarts_in_all, ge=0)
    codec: CodecFacts | None = None
    """Of a codec; exactly one of ``codec`` and ``alm``."""
    alm: AlmFacts | None = None
    """Of an audio language model."""

    @model_validator(mode="after")
    def _one_kind(self) -> IsolatedEntry:
        if (self.codec is None) == (self.alm is None):
            raise ValueError(
                f"give exactly one of codec, alm; found {'none of them' if self.codec is None else 'both'}"
            )
        return self

    def environment(self) -> EnvironmentSpec:
        """What its environment is made from."""
        return EnvironmentSpec(self.repo, self.commit, self.python, tuple(self.requirements))

    def limits(self) -> Limits:
        """What its worker may cost."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})


def resolved(entries: Mapping[str, IsolatedEntry], folder: Path) -> dict[str, IsolatedEntry]:
    """The entries with absolute paths, checked, and their variants made known.

    Args:
        entries: by name of the variant.
        folder: the recipe's, which relative paths are relative to.

    Raises:
        RecipeError: one line per problem.
    """
    found = {name: _absolute(entry, folder) for name, entry in entries.items()}
    codecs = [*codec_adapters.names(), *(name for name, entry in found.items() if entry.codec)]
    problems = [
        f"isolated.{name}{problem}" for name, entry in found.items() for problem in _problems(name, entry, codecs)
    ]
    if problems:
        raise RecipeError("\n".join(problems))
    for name, isolated in isolated_variants(found).items():
        try:
            isolated.register()
        except ValueError as error:  # the name is taken by a plugin's
            raise RecipeError(f"isolated.{name}: {str(error).removeprefix(f'{name}: ')}") from error
    return found


def isolated_variants(entries: Mapping[str, IsolatedEntry]) -> dict[str, Isolated]:
    """What the engine's processes need to run the entries' codecs and ALMs, in an order in which they can register."""
    if not entries:
        return {}
    from codec_adapters.external.worker.adapter import (
        IsolatedCodec,  # these bring torch, which most recipes do without here
    )
    from codec_adapters.external.worker.model import IsolatedAlm

    made: dict[str, Isolated] = {}
    for name, entry in sorted(entries.items(), key=lambda item: item[1].codec is None):
        repo = entry.repo if entry.repo and "://" in entry.repo else ""
        runs = (entry.environment(), Path(entry.driver), entry.limits())
        if entry.codec is not None:
            made[name] = IsolatedCodec(entry.codec.spec(name, repo, entry.options), *runs)
        elif entry.alm is not None:
            made[name] = IsolatedAlm(entry.alm.spec(name, repo, entry.options), *runs)
    return made


def _absolute(entry: IsolatedEntry, folder: Path) -> IsolatedEntry:
    driver = _packaged().get(entry.driver) or folder / Path(entry.driver).expanduser()
    repo = entry.repo
    if repo is not None and "://" not in repo:
        repo = str((folder / Path(repo).expanduser()).resolve())
    return entry.model_copy(update={"driver": str(driver.resolve()), "repo": repo})


def _packaged() -> dict[str, Path]:
    """The drivers that travel with the package, by name."""
    return {path.stem: path for path in sorted(PACKAGED_DRIVERS.glob("*.py"))}


def _problems(name: str, entry: IsolatedEntry, codecs: list[str]) -> Iterator[str]:
    """What is wrong with an entry, each as the rest of a line that begins with its place in the recipe.

    Args:
        codecs: the variants that an ALM may speak through.
    """
    yield from (f".{problem}" for problem in entry.environment().problems())
    if not Path(entry.driver).is_file():
        yield f".driver: {entry.driver}: no such file, and no packaged driver ({', '.join(_packaged())})"
    if is_builtin(name):
        yield ": a built-in variant has this name; choose another"
    if entry.codec is not None:
        yield from (f".codec.label: {problem}" for problem in entry.codec.label_problems())
    if entry.alm is not None:
        if entry.alm.codec_variant not in codecs:
            variant = entry.alm.codec_variant
            yield f".alm.codec_variant: unknown codec variant {variant!r}; {nearest_variant(variant, codecs)}"
        if "max_seconds" in entry.options:
            yield ".options.max_seconds: belongs under alm; leave it out here"
