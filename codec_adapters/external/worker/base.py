"""What a codec and an ALM in isolation have in common: environment, driver, limits, and the worker made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from codec_adapters.alm.spec import AlmSpec
from codec_adapters.external.worker.environment import EnvironmentSpec, prepare
from codec_adapters.external.worker.worker import Limits, Worker
from codec_adapters.files.weights import sha256_of
from codec_adapters.spec import CodecSpec

if TYPE_CHECKING:
    from codec_adapters.alm.base import AlmSetup
    from codec_adapters.base import Setup


@dataclass(frozen=True)
class Isolated(ABC):
    """Everything needed to run a codec or an ALM in isolation."""

    spec: CodecSpec | AlmSpec
    """What its author says of it; its options are handed to the driver."""
    environment: EnvironmentSpec
    driver: Path
    limits: Limits = field(default_factory=Limits)

    @abstractmethod
    def register(self) -> None:
        """Make it known under its spec's name."""

    def prepare(self) -> dict[str, str]:
        """Make the environment, unless it is there; sha256 of all that decides the output.

        Raises:
            EnvironmentFailedError: the environment cannot be made.
        """
        hashes = prepare(self.environment, self.spec.name).hashes
        return {f"isolated {name}": value for name, value in {**hashes, "driver": sha256_of(self.driver)}.items()}

    def worker(self, setup: Setup | AlmSetup) -> Worker:
        """A worker that will load what ``setup`` says; its process starts with the first request, so that one which
        cannot start costs clips and no more.

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
