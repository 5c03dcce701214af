"""``isolated:`` of a recipe: codecs that run in an environment of their own, as worker processes.

The process, its environment and its protocol are the business of ``codec_adapters.isolated``; here is what a recipe
says of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

import codec_adapters
from codec_adapters.isolated import EnvironmentSpec, Limits
from codec_adapters.spec import CodecSpec, OptionValue
from codecfake_builder.codec_facts import CodecFacts
from codecfake_builder.errors import RecipeError

if TYPE_CHECKING:
    from codec_adapters.isolated.adapter import IsolatedCodec

PACKAGED_DRIVERS = Path(codec_adapters.__file__).parent / "isolated" / "drivers"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IsolatedEntry(_Part):
    """One codec in isolation: its environment, its driver, and what is known of it."""

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
    codec: CodecFacts

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
    problems = [f"isolated.{name}.{problem}" for name, entry in found.items() for problem in _problems(name, entry)]
    if problems:
        raise RecipeError("\n".join(problems))
    for codec in isolated_codecs(found).values():
        codec.register()
    return found


def isolated_codecs(entries: Mapping[str, IsolatedEntry]) -> dict[str, IsolatedCodec]:
    """What the engine's processes need to run the entries' codecs."""
    if not entries:
        return {}
    from codec_adapters.isolated.adapter import IsolatedCodec  # brings torch, which most recipes do without here

    return {
        name: IsolatedCodec(_spec(name, entry), entry.environment(), Path(entry.driver), entry.limits())
        for name, entry in entries.items()
    }


def _absolute(entry: IsolatedEntry, folder: Path) -> IsolatedEntry:
    packaged = PACKAGED_DRIVERS / f"{entry.driver}.py"
    driver = packaged if packaged.is_file() else folder / Path(entry.driver).expanduser()
    repo = entry.repo
    if repo is not None and "://" not in repo:
        repo = str((folder / Path(repo).expanduser()).resolve())
    return entry.model_copy(update={"driver": str(driver.resolve()), "repo": repo})


def _problems(name: str, entry: IsolatedEntry) -> list[str]:
    problems = list(entry.environment().problems())
    if not Path(entry.driver).is_file():
        packaged = ", ".join(sorted(path.stem for path in PACKAGED_DRIVERS.glob("*.py")))
        problems.append(f"driver: {entry.driver}: no such file, and no packaged driver ({packaged})")
    if codec_adapters.is_builtin(name):
        problems.append("a built-in variant has this name; choose another")
    problems += (f"codec.label: {problem}" for problem in entry.codec.label_problems())
    return problems


def _spec(name: str, entry: IsolatedEntry) -> CodecSpec:
    repo = entry.repo if entry.repo and "://" in entry.repo else ""
    return entry.codec.spec(name, repo, entry.options)
