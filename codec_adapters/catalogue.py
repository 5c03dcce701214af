"""The catalogue: everything that can be loaded, codec variants and audio language models (ALMs), as one frozen value.

A :class:`Catalogue` is made once and passed on as an argument. ``builtin.py`` makes the one of this package, and
``registration.py`` the *default* one. A recipe makes its own from these, with its own codecs and ALMs
(:meth:`Catalogue.with_entries`); it changes no other catalogue.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from codec_adapters.classes import LABELS, NO_LABEL, REAL, VOCODER
from codec_adapters.entry import Entry
from codec_adapters.errors import UnknownVariantError
from codec_adapters.spec import AlmSpec, CodecSpec

LEAST_ALIKE = 0.75
"""Of the first words of two names, from which one may have been meant for the other."""


@dataclass(frozen=True)
class Catalogue:
    """Every codec variant and ALM that can be named, in order, and the classes with their labels.

    >>> from codec_adapters import default_catalogue
    >>> catalogue = default_catalogue()
    >>> catalogue.codec("encodec_24khz_6kbps").bitrate  # bits per second
    6000
    >>> catalogue.label("encodec_24khz_6kbps"), catalogue.label("real")
    (4, 0)
    >>> larger = catalogue.with_classes({"griffinlim": 12})  # the catalogue itself stays as it is
    >>> larger.classes["griffinlim"], "griffinlim" in catalogue.classes
    (12, False)
    """

    entries: tuple[Entry, ...] = ()
    """Built-in codecs in label order, other codecs by name; then built-in ALMs and other ALMs by name."""
    declared: tuple[tuple[str, int], ...] = ()
    """Classes of which there are clips, but no codec, each with its label."""

    @cached_property
    def _by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def names(self) -> list[str]:
        """List every name: codec variants, then ALMs."""
        return list(self._by_name)

    def codecs(self) -> list[CodecSpec]:
        """List the specs of all codec variants."""
        return [entry.spec for entry in self.entries if isinstance(entry.spec, CodecSpec)]

    def alms(self) -> list[AlmSpec]:
        """List the specs of all ALMs."""
        return [entry.spec for entry in self.entries if isinstance(entry.spec, AlmSpec)]

    def entry(self, name: str) -> Entry:
        """Return the entry of a codec variant or an ALM.

        Raises:
            UnknownVariantError: there is neither of this name; the message names the nearest one.
        """
        if name in self._by_name:
            return self._by_name[name]
        raise unknown("codec variant", name, self.names(), "the command codecs")

    def spec(self, name: str) -> CodecSpec | AlmSpec:
        """Return the spec of a codec variant or an ALM; raises as :meth:`entry` does."""
        return self.entry(name).spec

    def codec(self, name: str) -> CodecSpec:
        """Return the spec of codec variant ``name``.

        Raises:
            UnknownVariantError: no such codec variant; the message names the nearest one.
        """
        spec = self._by_name[name].spec if name in self._by_name else None
        if isinstance(spec, CodecSpec):
            return spec
        raise unknown("codec variant", name, [known.name for known in self.codecs()], "the command codecs")

    def alm(self, name: str) -> AlmSpec:
        """Return the spec of ALM ``name``.

        Raises:
            UnknownVariantError: no such ALM; the message names the nearest one.
        """
        spec = self._by_name[name].spec if name in self._by_name else None
        if isinstance(spec, AlmSpec):
            return spec
        raise unknown("audio language model", name, [known.name for known in self.alms()], "the command alms")

    def is_alm(self, name: str) -> bool:
        """Tell whether ``name`` is an ALM."""
        return name in self._by_name and isinstance(self._by_name[name].spec, AlmSpec)

    def is_codec(self, name: str) -> bool:
        """Tell whether ``name`` is a codec variant."""
        return name in self._by_name and isinstance(self._by_name[name].spec, CodecSpec)

    def speaking_codec(self, name: str) -> CodecSpec:
        """Return the spec of the codec that makes the waveforms of ``name``: that variant, or the codec of an ALM.

        Raises:
            UnknownVariantError: there is no such codec variant and no such ALM.
        """
        return self.codec(self.alm(name).codec_variant if self.is_alm(name) else name)

    @cached_property
    def families(self) -> dict[str, int]:
        """Label by codec family, ``real`` among them."""
        return {**LABELS, **{spec.family: spec.label for spec in self.codecs()}}

    @cached_property
    def classes(self) -> dict[str, int]:
        """Label by class: the declared ones, the codec families, ``real`` and ``vocoder``."""
        return {**dict(self.declared), **self.families, VOCODER: NO_LABEL}

    def label(self, variant: str) -> int:
        """Return the label of the clips of a variant or an ALM; of real speech for ``real``."""
        return LABELS[REAL] if variant == REAL else self.speaking_codec(variant).label

    def with_entries(self, *entries: Entry) -> Catalogue:
        """Return the catalogue with further entries, in its order; an entry replaces another one of the same name.

        Raises:
            ValueError: a name cannot be part of a file name, is built in, or is that of a codec and of an ALM; or an
                ALM speaks through a codec that is not known.
        """
        found = dict(self._by_name)
        for entry in entries:
            refuse_name(entry, found)
            found[entry.name] = entry
        return replace(self, entries=tuple(sorted(found.values(), key=sorting_key)))

    def with_classes(self, declared: Mapping[str, int]) -> Catalogue:
        """Return the catalogue with further classes, by their labels, of which there are clips, but no codec.

        Raises:
            ValueError: a codec family has that name, with another label.
        """
        for name, label in declared.items():
            if self.families.get(name, label) != label:
                raise ValueError(f"{name}: is a codec family with label {self.families[name]}; leave it out")
        return replace(self, declared=(*self.declared, *declared.items()))


def refuse_name(entry: Entry, known: Mapping[str, Entry]) -> None:
    """Raise :class:`ValueError` for an entry that cannot be added to ``known`` ones; see ``Catalogue.with_entries``."""
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


def sorting_key(entry: Entry) -> tuple[bool, bool, int, str]:
    """Return the sorting key of an entry; the order is that of :attr:`Catalogue.entries`."""
    spec = entry.spec
    return (
        isinstance(spec, AlmSpec),
        not entry.builtin,
        spec.label if isinstance(spec, CodecSpec) and entry.builtin else 0,
        spec.name,
    )


def unknown(kind: str, name: str, known: Iterable[str], where: str) -> UnknownVariantError:
    """Return the error for a ``name`` that is not ``known``; it names the nearest one, or ``where`` all are listed.

    Rates make names of different codecs alike (``foo_24khz``, ``snac_24khz``), so that first their first words must be.
    """
    from codec_adapters.files.documents import MOST_NAMES  # here, since it loads libraries that --help does without

    alike = [other for other in known if _alike(_first_word(name), _first_word(other)) >= LEAST_ALIKE]
    near = difflib.get_close_matches(name, alike, n=1) or difflib.get_close_matches(name.lower(), alike, n=1)
    if near:
        hint = f"did you mean {near[0]}?"
    elif alike and len(alike) <= MOST_NAMES:
        hint = f"did you mean one of {', '.join(alike)}?"
    else:
        hint = f"{where} lists them all"
    return UnknownVariantError(f"unknown {kind} {name!r}; {hint}")


def _first_word(name: str) -> str:
    """Return the letters that a name begins with: those of its family, mostly."""
    return "".join(itertools.takewhile(str.isalpha, name.lower()))


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
