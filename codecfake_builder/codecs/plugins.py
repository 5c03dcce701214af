"""What a recipe names beside itself: modules that register further codec variants, and codec files that add one."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import codec_adapters
from codec_adapters import alm
from codec_adapters.external import AddedCodec
from codec_adapters.files.python_files import import_file
from codec_adapters.files.weights import sha256_of
from codecfake_builder.codecs.codec_file import SUFFIXES, load_codec_file
from codecfake_builder.errors import RecipeError

_registering: dict[str, set[str]] = {}
"""What each loaded plugin registered when it was imported: names of codec variants and ALMs."""


def load_plugins(plugins: list[str], folder: Path) -> list[str]:
    """Import each module once, so that it calls ``codec_adapters.register``; register each codec file's codec.

    Args:
        plugins: importable module names, or ``.py`` files and codec files (relative to ``folder``, the recipe's).

    Returns:
        The plugins with absolute file paths, to be loaded again in worker processes.

    Raises:
        RecipeError: a plugin is not there or fails to import; a codec file is not valid, or what it names has changed.
    """
    files = (".py", *SUFFIXES)
    resolved = [str((folder / plugin).resolve()) if plugin.endswith(files) else plugin for plugin in plugins]
    codec_adapters.names()  # so that what installed packages register is not taken for a plugin's
    adding: dict[str, str] = {}
    for plugin in resolved:
        if plugin.endswith(SUFFIXES):
            codec = load_codec_file(Path(plugin))
            if (other := adding.setdefault(codec.spec.name, plugin)) != plugin:
                raise RecipeError(f"plugins: {plugin} and {other} both add {codec.spec.name}; rename one of them")
            codec.register()
            new = {codec.spec.name}
        else:
            before = _registered()
            try:
                _import(plugin)
            except Exception as error:  # the user's own code may raise anything
                raise RecipeError(f"plugins: {plugin}: cannot be loaded ({type(error).__name__}: {error})") from error
            new = {name for name, spec in _registered().items() if before.get(name) is not spec}
        _registering.setdefault(plugin, set()).update(new)
    return resolved


def added_codecs(plugins: list[str]) -> dict[str, AddedCodec]:
    """The codecs of the codec files among ``plugins`` (absolute paths), by the variant's name."""
    files = [load_codec_file(Path(plugin)) for plugin in plugins if plugin.endswith(SUFFIXES)]
    return {codec.spec.name: codec for codec in files}


def plugin_hashes(plugins: list[str], variant: str) -> dict[str, str]:
    """sha256 of the Python files that register ``variant``, so that its clips are made again when its code changes, and
    those of other plugins' variants are not.

    What a codec file's codec is made of, :meth:`codec_adapters.external.AddedCodec.hashes` tells.
    """
    own = [plugin for plugin in plugins if plugin in plugins_of(variant) and plugin.endswith(".py")]
    return {f"plugin {Path(plugin).name}": sha256_of(Path(plugin)) for plugin in own}


def plugins_of(variant: str) -> tuple[str, ...]:
    """The plugins, as :func:`load_plugins` gave them, that registered a codec variant or an ALM."""
    return tuple(plugin for plugin, names in _registering.items() if variant in names)


def _registered() -> dict[str, object]:
    return {**codec_adapters.registered(), **alm.registered()}


def _import(plugin: str) -> None:
    if not plugin.endswith(".py"):
        importlib.import_module(plugin)
        return
    import_file(Path(plugin), f"plugin {plugin}")
