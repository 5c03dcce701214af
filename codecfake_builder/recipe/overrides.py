"""``--set a.b=value``: overrides of fields of a YAML document."""

from __future__ import annotations

from typing import Any

import yaml

from codecfake_builder.errors import RecipeError


def apply_override(document: dict[str, Any], override: str) -> None:
    """Set the field ``a.b`` of a YAML document to the value of an override ``a.b=value``, which is YAML too.

    Raises:
        RecipeError: no such form, or ``a`` is a value.
    """
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise RecipeError(f"--set {override}: expected KEY=VALUE with dots in KEY, e.g. corpora.vctk.root=/data/VCTK")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"--set {override}: the value is not valid YAML") from error
    *parents, last = key.split(".")
    target = document
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise RecipeError(f"--set {override}: {parent} is a value, not a group of settings")
    target[last] = value
