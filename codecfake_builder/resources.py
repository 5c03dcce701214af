"""Recipes and manifests that travel with the package, from a wheel or from a checkout."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

MOST_NAMES = 12
"""How many names an error message lists."""


def resource_folder(kind: str) -> Path:
    """The folder ``recipes`` or ``manifests``."""
    package = Path(__file__).parent
    in_wheel = package / "_data" / kind
    return in_wheel if in_wheel.is_dir() else package.parent / kind


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean X?`` for a misspelling, else what is known; to end an error message with."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return f"known: {', '.join(names[:MOST_NAMES]) or 'none'}{more}"
