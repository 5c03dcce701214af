"""Code that comes with data runs only where the user said so: what it is, in words, and the record of what was said.

A codec file or the recipe inside a dataset may be somebody else's. What they would run has a fingerprint (of the code
and of how it is called); those that the user allowed, or brought in by a command of their own, are kept in the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from codec_adapters.errors import DocumentError
from codec_adapters.external.backend import Backend
from codec_adapters.external.codec_file import read_codec_file
from codec_adapters.external.command import CommandBackend
from codec_adapters.external.python import PythonBackend
from codec_adapters.external.worker.entry import PACKAGED_DRIVERS, IsolatedEntry
from codec_adapters.files.cache import cache_root
from codec_adapters.files.hashing import sha256_of, sha256_once


@dataclass(frozen=True)
class Code:
    """Code that a document names."""

    what: str
    """What would run, in words."""
    fingerprint: str
    """A sha256 over the code and how it is called; it changes when either does."""

    @property
    def trusted(self) -> bool:
        """Whether the user has allowed it, or brought it in."""
        return _place(self).is_file()

    def trust(self) -> None:
        """Record that the user allows it. Where the cache cannot be written, that holds for this run only."""
        with contextlib.suppress(OSError):
            place = _place(self)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{self.what}\n", encoding="utf-8")


def plugin_code(plugin: str) -> Code:
    """Return the code of a plugin: a Python file by its absolute path, or a module."""
    path = Path(plugin)
    if not plugin.endswith(".py"):
        return Code(f"the module {plugin}", _hashed("module", plugin))
    return Code(f"the Python file {plugin}", _hashed("file", sha256_once(path) if path.is_file() else plugin))


def backend_code(backend: Backend) -> Code | None:
    """Return the code that the backend of a codec file runs; ``None`` for one that is data.

    Nothing is run for that: the hashes of a backend itself may ask a program for its version.
    """
    if not backend.runs_code:
        return None
    words = [word for step in backend.steps for word in step] if isinstance(backend, CommandBackend) else []
    files = [path for word in words if _is_file(path := backend.codec_folder / word)]
    return Code(_in_words(backend), _hashed(backend.key, backend.settings(), *map(sha256_once, files)))


def isolated_code(name: str, entry: IsolatedEntry) -> Code | None:
    """Return the code that an isolated codec or ALM runs; ``None`` where the driver comes with this package and runs in
    this environment. The entry's paths must be absolute."""
    stated = entry.model_dump(mode="json", include={"repo", "commit", "python", "requirements"}, exclude_defaults=True)
    path = Path(entry.driver)
    if path.parent == PACKAGED_DRIVERS and not stated:
        return None
    driver = sha256_of(path) if path.is_file() else entry.driver
    brought = f" with {json.dumps(stated)}" if stated else ""
    fingerprint = _hashed("isolated", driver, json.dumps(stated, sort_keys=True))
    return Code(f"the driver {entry.driver}{brought} (isolated.{name})", fingerprint)


@dataclass(frozen=True)
class Permission:
    """What decides whether the code that a recipe names may run; what the user brought in is recorded.

    Python plugins and isolated codecs of a recipe that the user wrote or chose are the user's own. A codec file counts
    as data wherever it is named, and so does the recipe inside a dataset.
    """

    where: str
    """The recipe, for messages."""
    came_with_data: bool = False
    """Whether the recipe is that of a dataset."""
    trust: bool = False
    """Whether the user allows all of it."""

    def ask(self, code: Code | None, in_codec_file: bool = False) -> None:
        """Check that code may run, before it does; ``None`` is no code.

        Raises:
            DocumentError: the user has not allowed it.
        """
        if code is None:
            return
        if (self.came_with_data or in_codec_file) and not self.trust and not code.trusted:
            raise DocumentError(
                f"{self.where}: would run {code.what}, which came with data; it was not run (--trust allows it)"
            )
        code.trust()


def codec_file_code(path: Path) -> Code | None:
    """Return the code that a codec file names; ``None`` for one that is data alone.

    Raises:
        DocumentError: the file is not valid.
    """
    return backend_code(read_codec_file(path).backend.at(Path(os.path.abspath(path)).parent))  # noqa: PTH100 - links stay


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no file can have such a name
        return False


def _in_words(backend: Backend) -> str:
    if isinstance(backend, CommandBackend):
        return f"the command {'; '.join(shlex.join(step) for step in backend.steps)}"
    assert isinstance(backend, PythonBackend)
    source = backend.codec_folder / backend.file.file if backend.file else f"module {backend.module}"
    return f"Python code: {backend.name} of {source}"


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _place(code: Code) -> Path:
    return cache_root() / "trusted" / code.fingerprint
