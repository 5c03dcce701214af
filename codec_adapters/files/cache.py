"""The user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Return the user's cache folder: ``$CODECFAKE_CACHE``, or ``codecfake_builder`` under the XDG cache folder."""
    own = os.environ.get("CODECFAKE_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codecfake_builder"
