"""Entries under ``isolated:`` of a recipe: codecs and ALMs that run in environments of their own, as workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from codec_adapters.entry import Entry, Provider
from codec_adapters.external.facts import AlmFacts, CodecFacts
from codec_adapters.external.worker.environment import EnvironmentSpec, prepare
from codec_adapters.external.worker.worker import Limits, Worker
from codec_adapters.files.hashing import sha256_of
from codec_adapters.files.paths import DocumentPath
from codec_adapters.spec import AlmSpec, CodecSpec, OptionValue

if TYPE_CHECKING:
    from codec_adapters.alm.base import AlmSetup
    from codec_adapters.base import Setup

PACKAGED_DRIVERS = Path(__file__).parent / "drivers"


@dataclass(frozen=True)
class Isolated(Provider):
    """Loader of an isolated codec or ALM."""

    spec: CodecSpec | AlmSpec
    """Made from its author's facts; the options are passed to the driver."""
    environment: EnvironmentSpec
    driver: Path
    limits: Limits = field(default_factory=Limits)

    def load(self, setup: Any) -> Any:
        if isinstance(self.spec, AlmSpec):
            from codec_adapters.external.worker.alm import IsolatedAlm

            return IsolatedAlm(setup, self.worker(setup))
        from codec_adapters.external.worker.adapter import IsolatedAdapter

        return IsolatedAdapter(setup, self.worker(setup))

    def pending(self) -> str | None:
        return "runs in an environment of its own, which is made now unless it is there"

    def prepare(self) -> dict[str, str]:
        """Make the environment, unless it is there.

        Returns:
            sha256 of everything that decides the output, by name.

        Raises:
            EnvironmentFailedError: the environment cannot be made.
        """
        hashes = prepare(self.environment, self.spec.name).hashes
        return {f"isolated {name}": value for name, value in {**hashes, "driver": sha256_of(self.driver)}.items()}

    def entry(self) -> Entry:
        """Return its entry in a catalogue."""
        return Entry(self.spec, self)

    def worker(self, setup: Setup | AlmSetup) -> Worker:
        """Return a worker that loads what ``setup`` says.

        Its process starts with the first request; where it cannot start, this costs clips, and the build goes on.

        Raises:
            EnvironmentFailedError: the environment cannot be made.
        """
        load = {
            "device": str(setup.device),
            "dtype": str(setup.dtype).removeprefix("torch."),
            "options": dict(setup.options),
            "checkpoint": setup.checkpoint and str(setup.checkpoint),
        }
        return Worker(self.spec.name, prepare(self.environment, self.spec.name), self.driver, load, self.limits)


class IsolatedEntry(BaseModel):
    """An isolated codec or ALM as a recipe has it: its environment, its driver and its facts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: Annotated[str, DocumentPath(is_other=lambda text: "://" in text)] | None = None
    """https address, or a local folder (relative to the recipe)."""
    commit: str | None = None
    """Of the repository, 40 hex digits; a local folder without it is used as it is."""
    python: str = "current"
    """Version of the environment's Python; ``current`` is the builder's own interpreter."""
    requirements: list[str] = []
    """Lines of a requirements file; ``-r FILE`` names a file of the repository."""
    driver: Annotated[str, DocumentPath(packaged=True)]
    """A Python file (relative to the recipe), or the name of a packaged driver. It is code, and runs."""
    options: dict[str, OptionValue] = {}
    """Passed to the driver; ``options.<variant>`` of the recipe may override them."""
    # limits of the worker, see Limits
    start_seconds: float = Field(default=Limits.start_seconds, gt=0)
    clip_seconds: float = Field(default=Limits.clip_seconds, gt=0)
    scratch_mb: int = Field(default=Limits.scratch_mb, ge=1)
    restarts: int = Field(default=Limits.restarts, ge=0)
    restarts_in_all: int = Field(default=Limits.restarts_in_all, ge=0)
    codec: CodecFacts | None = None
    """Facts of a codec; exactly one of ``codec`` and ``alm`` is given."""
    alm: AlmFacts | None = None
    """Facts of an audio language model."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.codec is None) == (self.alm is None):
            raise ValueError(
                f"give exactly one of codec, alm; found {'none of them' if self.codec is None else 'both'}"
            )
        return self

    def at(self, folder: Path) -> Self:
        """Return the entry with absolute paths; relative ones are relative to ``folder``, the recipe's."""
        driver = packaged_drivers().get(self.driver) or folder / Path(self.driver).expanduser()
        repo = self.repo
        if repo is not None and "://" not in repo:
            repo = str((folder / Path(repo).expanduser()).resolve())
        return self.model_copy(update={"driver": str(driver.resolve()), "repo": repo})

    def provider(self, name: str) -> Isolated:
        """Return the provider of the entry under ``name``; the entry's paths must be absolute, see :meth:`at`."""
        repo = self.repo if self.repo and "://" in self.repo else ""
        facts = self.codec or self.alm
        assert facts is not None
        environment = EnvironmentSpec(self.repo, self.commit, self.python, tuple(self.requirements))
        limits = Limits(**{limit.name: getattr(self, limit.name) for limit in fields(Limits)})
        return Isolated(facts.spec(name, repo, self.options), environment, Path(self.driver), limits)

    def problems(self) -> Iterator[str]:
        """Say what is wrong with the entry, whose paths must be absolute.

        Each problem is the rest of a line that begins with the place of the entry in the recipe.
        """
        environment = EnvironmentSpec(self.repo, self.commit, self.python, tuple(self.requirements))
        yield from (f".{problem}" for problem in environment.problems())
        if not Path(self.driver).is_file():
            yield f".driver: {self.driver}: no such file, and no packaged driver ({', '.join(packaged_drivers())})"
        if self.codec is not None:
            yield from (f".codec.label: {problem}" for problem in self.codec.label_problems())
        if self.alm is not None and "max_seconds" in self.options:
            yield ".options.max_seconds: belongs under alm; leave it out here"


def packaged_drivers() -> dict[str, Path]:
    """Return the paths of the drivers that come with this package, by name."""
    return {path.stem: path for path in sorted(PACKAGED_DRIVERS.glob("*.py"))}
