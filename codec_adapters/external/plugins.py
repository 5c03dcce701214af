"""Plugins of a recipe: Python code that registers codec variants and ALMs, and codec files, which add one codec each.

What a plugin adds goes into the catalogue of the recipe that names it, and into no other.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from codec_adapters.catalogue import Catalogue
from codec_adapters.entry import Entry, Provider
from codec_adapters.errors import CheckpointError, DocumentError
from codec_adapters.external.codec_file import SUFFIXES, ExternalCodec, codec_file_entry
from codec_adapters.external.trust import Permission, backend_code, plugin_code
from codec_adapters.files.hashing import sha256_once
from codec_adapters.files.python_files import import_file
from codec_adapters.registration import collecting


@dataclass(frozen=True)
class PluginCode(Provider):
    """Loader of what a plugin's code registered under a name; in another process it imports the plugin first."""

    plugin: str
    """A module's name, or the absolute path of a ``.py`` file."""
    name: str
    sha256: str | None
    """Of the file: clips are made again when their codec's code changes. ``None`` for a module."""

    @property
    def added_by(self) -> str | None:
        return self.plugin

    def load(self, setup: Any) -> Any:
        if self.sha256 is not None and sha256_once(Path(self.plugin)) != self.sha256:
            raise CheckpointError(f"{self.plugin}: has changed since the recipe was read; run the command again")
        return _registered_by(self.plugin, self.sha256)[self.name].provider.load(setup)

    def prepare(self) -> dict[str, str]:
        return {} if self.sha256 is None else {f"plugin {Path(self.plugin).name}": self.sha256}


def anchored(plugin: str, folder: Path) -> str:
    """Return a plugin as :func:`with_plugins` takes it: a file by its absolute path, a module by its name.

    Args:
        plugin: as a recipe has it.
        folder: the recipe's folder, which relative paths are relative to.
    """
    return str((folder / plugin).resolve()) if plugin.endswith((".py", *SUFFIXES)) else plugin


def with_plugins(catalogue: Catalogue, plugins: list[str], permission: Permission | None = None) -> Catalogue:
    """Return the catalogue with what plugins add.

    Args:
        plugins: as :func:`anchored` gives them.
        permission: is asked before any of their code runs; ``None`` for plugins that the caller vouches for.

    Raises:
        DocumentError: a plugin is missing or fails to import; a codec file is not valid, or a file that it names has
            changed; or two plugins add entries of one name.
    """
    added: dict[str, str] = {}
    for plugin in dict.fromkeys(plugins):
        for entry in _entries(plugin, permission or Permission("plugins", trust=True)):
            if (other := added.setdefault(entry.name, plugin)) != plugin:
                raise DocumentError(f"plugins: {plugin} and {other} both add {entry.name}; rename one of them")
            try:
                catalogue = catalogue.with_entries(entry)
            except ValueError as error:
                raise DocumentError(f"plugins: {plugin}: {error}") from error
    return catalogue


def _entries(plugin: str, permission: Permission) -> list[Entry]:
    """Return the entries that a plugin adds."""
    if plugin.endswith(SUFFIXES):
        entry = codec_file_entry(Path(plugin), plugin)
        assert isinstance(entry.provider, ExternalCodec)
        permission.ask(backend_code(entry.provider.backend), in_codec_file=True)
        return [entry]
    permission.ask(plugin_code(plugin))
    try:
        sha256 = sha256_once(Path(plugin)) if plugin.endswith(".py") else None
        registered = _registered_by(plugin, sha256)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's own code may raise anything
        raise DocumentError(f"plugins: {plugin}: cannot be loaded ({type(error).__name__}: {error})") from error
    return [Entry(entry.spec, PluginCode(plugin, name, sha256)) for name, entry in registered.items()]


@cache
def _registered_by(plugin: str, sha256: str | None) -> Mapping[str, Entry]:
    """Return what a plugin's code registers, by name; imported once per process, and again when the file changes."""
    with collecting() as entries:
        if sha256 is None:
            importlib.import_module(plugin)
        else:
            import_file(Path(plugin), f"plugin {plugin} {sha256}")
    return entries
