"""The catalogue: everything that can be loaded, codec variants and audio language models (ALMs), as one frozen value.

A :class:`Catalogue` is made once and handed down as an argument. Recipes make their own, with what they bring along, by
:meth:`Catalogue.with_entries`; none of them changes another. The *default* catalogue holds what is built in, what
installed packages add by entry point, and what :func:`register` added in this process.

``yaml``, ``importlib.metadata`` and ``importlib.resources`` are imported when a catalogue is made: the command line
imports this module at its start.
"""

from __future__ import annotations

import difflib
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from importlib import import_module
from typing import Any

from codec_adapters.classes import LABELS, NO_LABEL, REAL, VOCODER
from codec_adapters.errors import UnknownVariantError
from codec_adapters.spec import AlmSpec, CodecSpec, Taxonomy

Factory = Callable[[Any], Any]
"""Makes an adapter from a :class:`codec_adapters.base.Setup`, or an ALM from an ``AlmSetup``."""
ENTRY_POINT_GROUP = "codec_adapters"
"""Installed packages add variants here. The entry point names a callable without arguments that calls
:func:`register` for each variant (and :func:`codec_adapters.alm.register` for each audio language model)."""


class Provider(ABC):
    """How an entry is loaded, and what beside its spec, options and checkpoint decides its output. Can be pickled."""

    @property
    def added_by(self) -> str | None:
        """The item of a recipe's ``plugins`` that added the entry, if one did."""
        return None

    @abstractmethod
    def load(self, setup: Any) -> Any:
        """Make the adapter from a :class:`~codec_adapters.base.Setup`, or the ALM from an ``AlmSetup``.

        Raises:
            CodecError: what it is made of is missing, changed or unfit.
        """

    def pending(self) -> str | None:
        """Say what :meth:`prepare` would do that takes long, in words; ``None`` where it is done already."""
        return None

    def prepare(self) -> dict[str, str]:
        """Bring everything here that loading needs, once, before worker processes ask for it.

        Returns:
            sha256 of all that decides the output beside the checkpoint, by names without machine paths.

        Raises:
            CodecError: something is missing, has changed, or cannot be had.
        """
        return {}


@dataclass(frozen=True)
class Packaged(Provider):
    """A class of this package, imported when it is loaded."""

    target: str
    """``module:Class``."""

    def load(self, setup: Any) -> Any:
        module, name = self.target.split(":")
        return getattr(import_module(module), name)(setup)


@dataclass(frozen=True)
class Registered(Provider):
    """What somebody registered in this process: any callable that takes a setup."""

    factory: Factory

    def load(self, setup: Any) -> Any:
        return self.factory(setup)


@dataclass(frozen=True)
class Entry:
    """A codec variant or an ALM: what is known of it, and how it is loaded."""

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


@dataclass(frozen=True)
class Catalogue:
    """Every codec variant and ALM that can be named, in order, and the classes that they and others belong to.

    >>> from codec_adapters.catalogue import builtin_catalogue
    >>> builtin_catalogue().codec("encodec_24khz_6kbps").family
    'encodec'
    """

    entries: tuple[Entry, ...] = ()
    """Built-in codecs in label order, other codecs by name; then built-in ALMs and other ALMs by name."""
    declared: tuple[tuple[str, int], ...] = ()
    """Classes with their labels of which there are clips, but no codec."""

    @cached_property
    def _by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def names(self) -> list[str]:
        """Every name: codec variants, then ALMs."""
        return list(self._by_name)

    def codecs(self) -> list[CodecSpec]:
        """The specs of all codec variants."""
        return [entry.spec for entry in self.entries if isinstance(entry.spec, CodecSpec)]

    def alms(self) -> list[AlmSpec]:
        """The specs of all ALMs."""
        return [entry.spec for entry in self.entries if isinstance(entry.spec, AlmSpec)]

    def entry(self, name: str) -> Entry:
        """The entry of a codec variant or an ALM.

        Raises:
            UnknownVariantError: there is neither of this name; the message names the nearest one.
        """
        if name in self._by_name:
            return self._by_name[name]
        raise unknown("codec variant", name, self.names(), "the command codecs")

    def spec(self, name: str) -> CodecSpec | AlmSpec:
        """The spec of a codec variant or an ALM; raises as :meth:`entry` does."""
        return self.entry(name).spec

    def codec(self, name: str) -> CodecSpec:
        """The spec of codec variant ``name``.

        Raises:
            UnknownVariantError: no such codec variant; the message names the nearest one.
        """
        spec = self._by_name[name].spec if name in self._by_name else None
        if isinstance(spec, CodecSpec):
            return spec
        raise unknown("codec variant", name, [known.name for known in self.codecs()], "codec_adapters.names()")

    def alm(self, name: str) -> AlmSpec:
        """The spec of ALM ``name``.

        Raises:
            UnknownVariantError: no such ALM; the message names the nearest one.
        """
        spec = self._by_name[name].spec if name in self._by_name else None
        if isinstance(spec, AlmSpec):
            return spec
        raise unknown("audio language model", name, [known.name for known in self.alms()], "codec_adapters.alm.names()")

    def is_alm(self, name: str) -> bool:
        """Whether ``name`` is an ALM."""
        return name in self._by_name and isinstance(self._by_name[name].spec, AlmSpec)

    def is_codec(self, name: str) -> bool:
        """Whether ``name`` is a codec variant."""
        return name in self._by_name and isinstance(self._by_name[name].spec, CodecSpec)

    def speaking_codec(self, name: str) -> CodecSpec:
        """The codec that makes the waveforms of variant ``name``: itself, or the one that an ALM speaks through.

        Raises:
            UnknownVariantError: there is no such variant.
        """
        return self.codec(self.alm(name).codec_variant if self.is_alm(name) else name)

    @cached_property
    def families(self) -> dict[str, int]:
        """Label by codec family, ``real`` among them."""
        return {**LABELS, **{spec.family: spec.label for spec in self.codecs()}}

    @cached_property
    def classes(self) -> dict[str, int]:
        """Label by class: declared ones, the codec families, ``real``, ``vocoder``."""
        return {**dict(self.declared), **self.families, VOCODER: NO_LABEL}

    def label(self, variant: str) -> int:
        """The label of the clips of a variant, ``real`` among them."""
        return LABELS[REAL] if variant == REAL else self.speaking_codec(variant).label

    def with_entries(self, *added: Entry) -> Catalogue:
        """Return the catalogue with further entries, each in its place; one of a name that is there replaces it.

        Raises:
            ValueError: a name that could not stand in a file name, that is built in, or that is both a codec's and an
                ALM's; or an ALM that speaks through no known codec.
        """
        found = dict(self._by_name)
        for entry in added:
            refuse_name(entry, found)
            found[entry.name] = entry
        return replace(self, entries=tuple(sorted(found.values(), key=_place)))

    def with_classes(self, declared: Mapping[str, int]) -> Catalogue:
        """Return the catalogue with further classes of which there are clips, but no codec.

        Raises:
            ValueError: a codec family has that name, with another label.
        """
        for name, label in declared.items():
            if self.families.get(name, label) != label:
                raise ValueError(f"{name}: is a codec family with label {self.families[name]}; leave it out")
        return replace(self, declared=(*self.declared, *declared.items()))


def refuse_name(entry: Entry, known: Mapping[str, Entry]) -> None:
    """Raise :class:`ValueError` where an entry cannot stand beside ``known`` ones; see ``Catalogue.with_entries``."""
    name, other = entry.name, known.get(entry.name)
    if not re.fullmatch(r"[A-Za-z0-9_.]+", name):
        raise ValueError(f"{name!r}: a variant's name has letters, digits, dots and underscores only")
    is_alm = isinstance(entry.spec, AlmSpec)
    if other is not None and is_alm and (other.builtin or isinstance(other.spec, CodecSpec)):
        raise ValueError(f"{name}: a built-in ALM or a codec variant has this name; choose another")
    if other is not None and (other.builtin or isinstance(other.spec, AlmSpec) != is_alm):
        raise ValueError(f"{name}: a built-in variant has this name; choose another")
    if isinstance(entry.spec, AlmSpec):
        codec = known.get(entry.spec.codec_variant)
        if codec is None or not isinstance(codec.spec, CodecSpec):
            raise ValueError(f"{name}: speaks through {entry.spec.codec_variant!r}, which is no codec variant")


def _place(entry: Entry) -> tuple[bool, bool, int, str]:
    """Where an entry stands in a catalogue, see :attr:`Catalogue.entries`."""
    spec = entry.spec
    return (
        isinstance(spec, AlmSpec),
        not entry.builtin,
        spec.label if isinstance(spec, CodecSpec) and entry.builtin else 0,
        spec.name,
    )


def unknown(kind: str, name: str, known: Iterable[str], where: str) -> UnknownVariantError:
    """The error for a ``name`` that is not ``known``, with the nearest one, or ``where`` all of them are listed."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"{where} lists them all"
    return UnknownVariantError(f"unknown {kind} {name!r}; {hint}")


@cache
def builtin_catalogue() -> Catalogue:
    """What comes with this package, read from ``families/variants`` and ``alm/variants``: families are code, variants
    are data. Imports neither torch nor any codec."""
    entries = [*_packaged_codecs(), *_packaged_alms()]
    return Catalogue(tuple(sorted(entries, key=_place)))


def _packaged_codecs() -> Iterator[Entry]:
    for file, document in _documents("codec_adapters.families"):
        family = file.removesuffix(".yaml")
        for name, own in document["variants"].items():
            values = {"adapter": document["adapter"], **document["family"], **own, "name": name}
            target = values.pop("adapter")  # a variant of another architecture under the same label names its own
            _refuse_unknown_keys(f"families/variants/{file}", values, CodecSpec)
            values |= {"family": family, "label": LABELS[family], "taxonomy": Taxonomy(**values["taxonomy"])}
            yield Entry(CodecSpec(**{**values, "options": dict(values.get("options") or {})}), Packaged(target))


def _packaged_alms() -> Iterator[Entry]:
    for file, document in _documents("codec_adapters.alm"):
        for name, own in document["variants"].items():
            values = {**document["shared"], **(own or {}), "name": name}
            _refuse_unknown_keys(f"alm/variants/{file}", values, AlmSpec)
            yield Entry(AlmSpec(**{**values, "prompt": tuple(values["prompt"])}), Packaged(document["model"]))


def _documents(package: str) -> Iterator[tuple[str, dict[str, Any]]]:
    from importlib.resources import files

    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where libyaml is there
    for resource in files(package).joinpath("variants").iterdir():
        if resource.name.endswith(".yaml"):
            yield resource.name, yaml.load(resource.read_text(encoding="utf-8"), Loader=loader)


def _refuse_unknown_keys(place: str, values: Mapping[str, Any], kind: type[CodecSpec] | type[AlmSpec]) -> None:
    wrong = set(values) - {field.name for field in fields(kind)}
    if wrong:
        raise ValueError(f"{place}: unknown key {', '.join(sorted(wrong))}")


class _Additions:
    """What :func:`register` is told, in the order in which it is told."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}


_session = _Additions()
"""What installed packages and this process's own code registered: the default catalogue's part that is not built in."""
_collector: ContextVar[_Additions] = ContextVar("collector", default=_session)


@contextmanager
def collecting() -> Iterator[dict[str, Entry]]:
    """Keep what :func:`register` is told within apart from the default catalogue; yields it by name."""
    additions = _Additions()
    token = _collector.set(additions)
    try:
        yield additions.entries
    finally:
        _collector.reset(token)


def register(spec: CodecSpec | AlmSpec, factory: Factory) -> None:
    """Add a variant, or an ALM, to the default catalogue, or to that of the recipe that imports the caller as a plugin.

    Args:
        spec: a codec variant's or an ALM's; its name must not be a built-in one's.
        factory: makes the adapter from a :class:`codec_adapters.base.Setup` (the ALM from an
            :class:`~codec_adapters.alm.base.AlmSetup`); usually the class itself.

    Raises:
        ValueError: the name is taken or could not stand in a file name; or an ALM's codec variant is not known.
    """
    additions, entry = _collector.get(), Entry(spec, Registered(factory))
    known = {**builtin_catalogue()._by_name, **_session.entries, **additions.entries}
    if additions is _session or isinstance(spec, CodecSpec):  # a plugin's ALM may speak through another plugin's codec
        refuse_name(entry, known)
    additions.entries[spec.name] = entry


@cache
def _load_entry_points() -> None:
    """Let installed packages register their variants, once; a package that fails costs a warning."""
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINT_GROUP):
        token = _collector.set(_session)
        try:
            point.load()()
        except Exception as error:  # noqa: BLE001 - somebody else's code: it must not take the built-in variants down with it
            warnings.warn(f"codec plugin {point.name} ({point.value}) failed to register: {error}", stacklevel=2)
        finally:
            _collector.reset(token)


def default_catalogue() -> Catalogue:
    """What is built in, what installed packages add, and what :func:`register` added. Imports no codec."""
    _load_entry_points()
    return builtin_catalogue().with_entries(*_session.entries.values())
