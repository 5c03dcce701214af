"""Registering codec variants and ALMs that are not built in, and the default catalogue, which holds them.

The *default* catalogue holds what is built in, what installed packages add by entry point, and what :func:`register`
added in this process. What a plugin of a recipe registers goes into the catalogue of that recipe alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from codec_adapters.builtin import builtin_catalogue
from codec_adapters.catalogue import Catalogue, refuse_name
from codec_adapters.entry import Entry, Factory, Registered
from codec_adapters.spec import AlmSpec, CodecSpec

ENTRY_POINT_GROUP = "codec_adapters"
"""Installed packages add variants here. The entry point names a callable without arguments that calls
:func:`register` for each variant (and :func:`codec_adapters.alm.register` for each audio language model)."""


class _Registrations:
    """Entries in the order in which they were registered, by name."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}


_session = _Registrations()
"""What installed packages and this process's own code registered: the part of the default catalogue that is not built
in."""
_collector: ContextVar[_Registrations] = ContextVar("collector", default=_session)
"""Where :func:`register` puts entries now."""


@contextmanager
def collecting() -> Iterator[dict[str, Entry]]:
    """Collect what is registered in this context, in place of adding it to the default catalogue.

    Yields:
        the entries by name; filled as they are registered.
    """
    registered = _Registrations()
    token = _collector.set(registered)
    try:
        yield registered.entries
    finally:
        _collector.reset(token)


def register(spec: CodecSpec | AlmSpec, factory: Factory) -> None:
    """Add a codec variant or an ALM to the default catalogue; in a plugin of a recipe, to that recipe's catalogue.

    Args:
        spec: of a codec variant or an ALM; its name must not be a built-in one.
        factory: makes the adapter from a :class:`codec_adapters.base.Setup` (the ALM from an
            :class:`~codec_adapters.alm.base.AlmSetup`); usually the class itself.

    Raises:
        ValueError: the name is taken or cannot be part of a file name; or an ALM's codec variant is not known.

    >>> import dataclasses, codec_adapters
    >>> from codec_adapters.families.snac import SnacAdapter
    >>> mine = dataclasses.replace(codec_adapters.spec("snac_24khz"), name="my_snac_24khz")
    >>> codec_adapters.register(mine, SnacAdapter)  # a class of this package; yours would be an Adapter of your own
    >>> codec_adapters.spec("my_snac_24khz").family
    'snac'
    """
    registered, entry = _collector.get(), Entry(spec, Registered(factory))
    builtin = {known.name: known for known in builtin_catalogue().entries}
    known = {**builtin, **_session.entries, **registered.entries}
    if registered is _session or isinstance(spec, CodecSpec):  # a plugin's ALM may speak through another plugin's codec
        refuse_name(entry, known)
    registered.entries[spec.name] = entry


@cache
def _load_entry_points() -> None:
    """Let installed packages register their variants, once; a package that fails costs a warning."""
    from importlib.metadata import entry_points  # slow to import, and the command line imports this module at its start

    for point in entry_points(group=ENTRY_POINT_GROUP):
        token = _collector.set(_session)
        try:
            point.load()()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - code of another package: the built-in variants must work all the same
            warnings.warn(f"codec plugin {point.name} ({point.value}) failed to register: {error}", stacklevel=2)
        finally:
            _collector.reset(token)


def default_catalogue() -> Catalogue:
    """Return what is built in, what installed packages add, and what :func:`register` added. Imports no codec.

    >>> from codec_adapters import default_catalogue
    >>> "snac_24khz" in default_catalogue()
    True
    """
    _load_entry_points()
    return builtin_catalogue().with_entries(*_session.entries.values())
