"""Code that a recipe names: modules that register further codec variants."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from codec_adapters.weights import sha256_of
from codecfake_builder.errors import RecipeError
from codecfake_builder.files import sha256_text


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
    for plugin in resolved:
        try:
            _import(plugin)
        except Exception as error:
            raise RecipeError(f"plugins: {plugin}: cannot be loaded ({type(error).__name__}: {error})") from error
    return resolved


def plugin_hashes(plugins: list[str]) -> dict[str, str]:
    """sha256 of every plugin that is a file, so that clips are made again when their codec's code changes."""
    return {f"plugin {Path(plugin).name}": sha256_of(Path(plugin)) for plugin in plugins if plugin.endswith(".py")}


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
