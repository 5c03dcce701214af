"""One tree holds every exception of both packages, and one docstring prints it."""

from __future__ import annotations

import importlib
import pkgutil
import re

import codec_adapters
import codecfake_builder
from codec_adapters.errors import CodecfakeError
from codecfake_builder import errors

OUTSIDE = {"NetworkRefusedError"}
"""Raised into somebody else's code, which expects what a machine without network raises."""


def exceptions() -> dict[str, type[BaseException]]:
    """Every public exception class that a module of ours defines."""
    found: dict[str, type[BaseException]] = {}
    for package in (codec_adapters, codecfake_builder):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".worker.drivers" in module.name or ".worker.kit" in module.name or module.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == module.name:
                    found[name] = value  # noqa: PERF403 - a comprehension would hide the conditions
    return {name: value for name, value in found.items() if not name.startswith("_")}


def test_every_exception_is_in_the_tree_and_in_its_docstring() -> None:
    found = exceptions()
    strays = {name for name, kind in found.items() if not issubclass(kind, CodecfakeError)}
    assert strays == OUTSIDE
    printed = re.findall(r"\b[A-Z]\w+(?:Error|Verdict)\b", errors.__doc__ or "")
    assert sorted(printed) == sorted(found.keys() - OUTSIDE)


def test_exit_codes() -> None:
    assert {kind.exit_code for kind in exceptions().values() if issubclass(kind, CodecfakeError)} == {1, 2}
    assert [name for name, kind in exceptions().items() if getattr(kind, "exit_code", 2) == 1] == ["CheckFailedError"]
