"""Code that a recipe names: modules that register further codec variants."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import codec_adapters
from codec_adapters import alm
from codec_adapters.weights import sha256_of
from codecfake_builder.errors import RecipeError
from codecfake_builder.files import sha256_text

_registering: dict[str, set[str]] = {}
"""What each loaded plugin registered when it was imported: names of codec variants and ALMs."""


def load_plugins(plugins: list[str], folder: Path) -> list[str]:
    """Import each plugin once; it calls ``codec_adapters.register`` for its variants.

    Args:
        plugins: importable module names, or ``.py`` files (relative to ``folder``, the recipe's).

    Returns:
        The plugins with absolute file paths, to be loaded again in worker processes.

    Raises:
        RecipeError: a plugin is not there or fails to import.
    """
    resolved = [str((folder / plugin).resolve()) if plugin.endswith(".py") else plugin for plugin in plugins]
    codec_adapters.names()  # so that what installed packages register is not taken for a plugin's
    for plugin in resolved:
        before = _registered()
        try:
            _import(plugin)
        except Exception as error:
            raise RecipeError(f"plugins: {plugin}: cannot be loaded ({type(error).__name__}: {error})") from error
        new = {name for name, spec in _registered().items() if before.get(name) is not spec}
        _registering.setdefault(plugin, set()).update(new)
    return resolved


def plugin_hashes(plugins: list[str], variant: str) -> dict[str, str]:
    """sha256 of those of the plugins that register ``variant`` and are files, so that its clips are made again when
    its code changes, and those of other plugins' variants are not."""
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
    name = f"codecfake_plugin_{sha256_text(plugin)[:16]}"
    if name in sys.modules:
        return
    specification = importlib.util.spec_from_file_location(name, plugin)
    if specification is None or specification.loader is None:
        raise ImportError("no such Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
