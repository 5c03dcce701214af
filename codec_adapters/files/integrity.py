"""Look at a checkpoint's files before anything is loaded: are they there, and whole, as far as their headers tell?

Cheap, so that a build can look at all of its checkpoints before its first clip; what only loading shows is left to it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

_TORCH = (".pt", ".pth", ".bin", ".ckpt", ".zip")
_MOST_HEADER = 100_000_000
"""Bytes of a safetensors header; the format's own limit."""


def damage(folder: Path, files: list[str]) -> Iterator[str]:
    """Yield what is wrong with a checkpoint's files, each in a few words that begin with the file.

    Args:
        folder: of the checkpoint.
        files: of it, by relative path.
    """
    if not files:
        yield "holds no files"
    for name in files:
        path = folder / name
        size = path.stat().st_size
        if size == 0:
            yield f"{name} is empty"
        elif path.suffix == ".safetensors":
            yield from (f"{name} {problem}" for problem in _safetensors_damage(path, size))
        elif path.suffix in _TORCH and _begins_as_zip(path) and not zipfile.is_zipfile(path):
            yield f"{name} is cut: its list of members is missing"


def _begins_as_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _safetensors_damage(path: Path, size: int) -> Iterator[str]:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _MOST_HEADER):
            yield "is cut, or no safetensors file"
            return
        header = stream.read(length)
    try:
        entries = json.loads(header)
        ends = [int(entry["data_offsets"][1]) for key, entry in entries.items() if key != "__metadata__"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, IndexError):
        yield "has a damaged header"
        return
    if 8 + length + max(ends, default=0) != size:
        yield f"is cut: {size} bytes of {8 + length + max(ends, default=0)}"
