"""Recipes and manifests that travel with the package, from a wheel or from a checkout."""

from __future__ import annotations

import difflib
from pathlib import Path


def resource_folder(kind: str) -> Path:
    """The folder ``recipes`` or ``manifests``."""
    package = Path(__file__).parent
    in_wheel = package / "_data" / kind
    return in_wheel if in_wheel.is_dir() else package.parent / kind


def nearest(word: str, known: list[str]) -> str:
    """`` did you mean X?`` for a misspelling, else the list of what is known; to end an error message with."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
