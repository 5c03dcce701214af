"""Recipes and manifests that travel with the package, from a wheel or from a checkout."""

from __future__ import annotations

from pathlib import Path


def resource_folder(kind: str) -> Path:
    """Return the folder ``recipes`` or ``manifests``."""
    package = Path(__file__).parent
    in_wheel = package / "_data" / kind
    return in_wheel if in_wheel.is_dir() else package.parent / kind
