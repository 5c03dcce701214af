"""Write and read ``checksums.sha256``: the sha256 of every file of a dataset, in the form ``sha256sum -c`` reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from codec_adapters.files.hashing import sha256_of
from codecfake_builder.dataset import layout
from codecfake_builder.errors import DatasetError
from codecfake_builder.files import TEMPORARY, sha256_text, write_text

_LINE = re.compile(r"(?P<escaped>\\?)(?P<sha256>[0-9a-f]{64})  (?P<file>\S.*)", re.DOTALL)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
"""What ``sha256sum`` writes for these characters of a name; the line then starts with a backslash."""


def dataset_files(dataset: Path) -> Iterator[str]:
    """Yield the names of the files that belong to a dataset: all but the checksums, the state and hidden files; but the
    one that keeps the state out of uploads does."""
    for path in sorted(dataset.rglob("*")):
        name = path.relative_to(dataset).as_posix()
        hidden = name != layout.NOT_UPLOADED and any(part.startswith(".") for part in Path(name).parts)
        if path.is_file() and name != layout.CHECKSUMS and not hidden and TEMPORARY not in name:
            yield name


def checksums_text(hashes: Mapping[str, str]) -> str:
    """Return the text of ``checksums.sha256``."""
    return "".join(f"{_line(name, sha256)}\n" for name, sha256 in sorted(hashes.items()))


def _line(name: str, sha256: str) -> str:
    written = "".join(_ESCAPES.get(character, character) for character in name)
    return f"{'' if written == name else chr(92)}{sha256}  {written}"


def hash_files(dataset: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Return the sha256 of every file of a dataset by name.

    Args:
        dataset: its folder.
        known: sha256 by name of files that were hashed already, and are not read again.
    """
    return {name: known.get(name) or sha256_of(dataset / name) for name in dataset_files(dataset)}


def write_checksums(dataset: Path, hashes: Mapping[str, str]) -> None:
    """Write ``checksums.sha256``, which makes the dataset a finished one."""
    write_text(dataset / layout.CHECKSUMS, checksums_text(hashes))


def read_checksums(dataset: Path) -> dict[str, str]:
    """Read ``checksums.sha256``: sha256 by file name.

    Raises:
        DatasetError: the file is absent, or a line of it has another form or names a file outside the folder.
    """
    path = dataset / layout.CHECKSUMS
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; {dataset} is not a finished dataset (run build again to finish it)")
    hashes: dict[str, str] = {}
    lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        name = _unescaped(match["file"]) if match and match["escaped"] else match["file"] if match else ""
        if not match or "\0" in name or line.endswith("\r") or Path(name).is_absolute() or ".." in Path(name).parts:
            raise DatasetError(f"{path}: line {number}: expected '<sha256>  <file>', found {line[:80]!r}")
        if name in hashes:
            raise DatasetError(f"{path}: line {number}: {name[:80]!r} stands there twice")
        hashes[name] = match["sha256"]
    return hashes


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), text)


def root_hash(hashes: dict[str, str]) -> str:
    """Return the root hash, which identifies a dataset: sha256 over the lines of ``checksums.sha256``.

    The card's line is left out, since the card states the root hash.
    """
    lines = [f"{sha256}  {name}" for name, sha256 in sorted(hashes.items()) if name != layout.CARD]
    return sha256_text(*lines)
