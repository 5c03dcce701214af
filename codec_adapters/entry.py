"""Entries of a catalogue: codec variants and audio language models (ALMs), each with what loads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from codec_adapters.spec import AlmSpec, CodecSpec

Factory = Callable[[Any], Any]
"""Makes an adapter from a :class:`codec_adapters.base.Setup`, or an ALM from an ``AlmSetup``."""


class Provider(ABC):
    """Loader of an entry; it also tells what decides the output beside spec, options and checkpoint. Can be pickled."""

    @property
    def added_by(self) -> str | None:
        """The item of a recipe's ``plugins`` that added the entry; ``None`` where none did."""
        return None

    @abstractmethod
    def load(self, setup: Any) -> Any:
        """Make the adapter from a :class:`~codec_adapters.base.Setup`, or the ALM from an ``AlmSetup``.

        Raises:
            CodecError: a file that it needs is missing, has changed, or is not valid.
        """

    def pending(self) -> str | None:
        """Describe what :meth:`prepare` would do that takes long; ``None`` where nothing is left to do."""
        return None

    def prepare(self) -> dict[str, str]:
        """Fetch, make and check everything that loading needs; called once, before worker processes load the entry.

        Returns:
            sha256 of everything that decides the output beside the checkpoint, by names without machine paths.

        Raises:
            CodecError: something is missing, has changed, or cannot be fetched or made.
        """
        return {}


@dataclass(frozen=True)
class Packaged(Provider):
    """Loader of a class of this package, which is imported then."""

    target: str
    """``module:Class``."""

    def load(self, setup: Any) -> Any:
        module, name = self.target.split(":")
        return getattr(import_module(module), name)(setup)


@dataclass(frozen=True)
class Registered(Provider):
    """Loader of what was registered in this process: any callable that takes a setup."""

    factory: Factory

    def load(self, setup: Any) -> Any:
        return self.factory(setup)


@dataclass(frozen=True)
class Entry:
    """A codec variant or an ALM of a catalogue: its spec, and its provider, which loads it."""

    spec: CodecSpec | AlmSpec
    provider: Provider

    @property
    def name(self) -> str:
        """The name that recipes and :func:`codec_adapters.load` call it by."""
        return self.spec.name

    @property
    def builtin(self) -> bool:
        """Whether it comes with this package."""
        return isinstance(self.provider, Packaged)
