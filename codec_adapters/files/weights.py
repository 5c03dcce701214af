"""Official checkpoints: where they come from (``manifests/weights.lock``), the user's cache, and their hashes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from codec_adapters.errors import CheckpointError

HASHES_FILE = "hashes.json"
"""Beside cached files: the sha256 that each had when it was first downloaded."""


@dataclass(frozen=True)
class LockedFile:
    """A file of a checkpoint; ``size`` (bytes) and ``sha256`` are ``None`` where the lock does not know them.

    ``url`` is the file's own address where it does not come from the checkpoint's source.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class LockedCheckpoint:
    """One entry of ``weights.lock``: a hub repository at a revision, an https folder or zip archive, and its files."""

    name: str
    licence: str
    files: tuple[LockedFile, ...]
    hub: str | None = None
    revision: str | None = None
    url: str | None = None
    archive: str | None = None
    archive_sha256: str | None = None

    @property
    def source(self) -> str:
        """Where the files come from, in words."""
        return f"hub repository {self.hub}@{self.revision}" if self.hub else str(self.archive or self.url)


@cache
def lock() -> Mapping[str, LockedCheckpoint]:
    """All entries of ``weights.lock`` by name."""
    package = Path(__file__).parent.parent
    path = package / "_data" / "weights.lock"  # where a wheel carries it
    if not path.exists():
        path = package.parent / "manifests" / "weights.lock"
    entries: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: _entry(name, dict(values)) for name, values in entries.items()}


def _entry(name: str, values: dict[str, Any]) -> LockedCheckpoint:
    files = tuple(LockedFile(file, **(known or {})) for file, known in values.pop("files").items())
    return LockedCheckpoint(name=name, files=files, **values)


def cache_root() -> Path:
    """The user's cache folder: ``$CODECFAKE_CACHE``, or ``codecfake_builder`` under the XDG cache folder."""
    own = os.environ.get("CODECFAKE_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codecfake_builder"


def locked(name: str) -> LockedCheckpoint:
    """The entry ``name`` of ``weights.lock``; :class:`CheckpointError` where there is none."""
    if name not in lock():
        raise CheckpointError(f"weights.lock has no checkpoint {name!r}; give a local folder instead")
    return lock()[name]


def official_files(name: str, *patterns: str) -> list[str]:
    """The files of checkpoint ``name`` in ``weights.lock`` that fit one of ``patterns``, in the lock's order.

    Where the lock has none (a variant of somebody else's), the first pattern, for messages.
    """
    files = lock()[name].files if name in lock() else ()
    fitting = [file.name for file in files if any(fnmatchcase(file.name, pattern) for pattern in patterns)]
    return fitting or [patterns[0]]


def cached(name: str) -> Path | None:
    """The cache folder of checkpoint ``name`` when all its files are there, else ``None``. Downloads nothing."""
    folder = cache_root() / "weights" / name
    entry = lock().get(name)
    return folder if entry and all((folder / file.name).is_file() for file in entry.files) else None


def fetch(name: str) -> Path:
    """The folder of checkpoint ``name`` in the user's cache, downloading what is not there.

    Every downloaded file is checked against the sha256 of the lock, or, where the lock has none, against the one
    recorded at the first download; the folder can be used offline afterwards. A zip archive stays in the cache, so that
    checkpoints that share one download it once.

    Raises:
        CheckpointError: no such entry, no network, or a hash that differs.
    """
    folder = cache_root() / "weights" / name
    fetch_into(folder, locked(name), f"give a local folder instead (checkpoint=FOLDER, or --set weights.{name}=FOLDER)")
    return folder


def fetch_into(folder: Path, entry: LockedCheckpoint, otherwise: str) -> None:
    """Download the files of ``entry`` that are not in ``folder``, each checked before it is put there.

    Args:
        otherwise: what a user without network can do, to end the message with.

    Raises:
        CheckpointError: no network, or a hash that differs.
    """
    for file in entry.files:
        if not (folder / file.name).is_file():
            partial = _download(entry, file, folder, otherwise)
            keep_download(
                partial, folder, file.name, file.sha256, f"{entry.name}: {file.name} from {file.url or entry.source}"
            )


def keep_download(partial: Path, folder: Path, name: str, expected: str | None, what: str) -> Path:
    """Move a complete download to its place, unless its hash is wrong, and record the hash.

    Args:
        partial: the downloaded file; it is deleted where its hash is wrong.
        folder: where it goes under ``name``; hashes of earlier downloads are recorded there.
        expected: sha256, or ``None`` for the recorded one, if there is one.
        what: the download in words, for the error.

    Raises:
        CheckpointError: the hash differs from the expected or recorded one.
    """
    hashes = _recorded_hashes(folder)
    found = sha256_of(partial)
    expected = expected or hashes.get(name)
    if expected and found != expected:
        partial.unlink()
        raise CheckpointError(f"{what} has sha256 {found}, expected {expected}; not used")
    hashes[name] = found
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    (folder / HASHES_FILE).write_text(json.dumps(hashes, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return target


def _recorded_hashes(folder: Path) -> dict[str, str]:
    path = folder / HASHES_FILE
    if not path.is_file():
        return {}
    hashes: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return hashes


def _download(entry: LockedCheckpoint, file: LockedFile, folder: Path, otherwise: str) -> Path:
    """Download one file beside its final place; the hub client resumes an interrupted download."""
    staging = _staging(folder)
    try:
        if file.url:
            return _retrieve(file.url, staging)
        if entry.hub:
            from huggingface_hub import hf_hub_download

            return Path(hf_hub_download(entry.hub, file.name, revision=entry.revision, local_dir=staging))
        if entry.archive:
            return _extract(_archive(entry.archive, entry.archive_sha256), file.name, staging)
        return _retrieve(f"{entry.url}/{file.name}", staging)
    except CheckpointError:
        raise
    except Exception as error:  # the clients raise a dozen kinds; the user needs one sentence
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{entry.name}: {file.name} is not in the cache ({folder}) and could not be fetched from "
            f"{file.url or entry.source}: {reason}; {otherwise}"
        ) from error


def _staging(folder: Path) -> Path:
    staging = folder / ".downloading"
    staging.mkdir(parents=True, exist_ok=True)
    return staging


def _retrieve(url: str, staging: Path) -> Path:
    import pooch

    return Path(pooch.retrieve(url, known_hash=None, fname=url.rsplit("/", 1)[-1], path=staging))


def _archive(url: str, expected: str | None) -> Path:
    """The zip archive at ``url``, from the cache or downloaded into it."""
    folder = cache_root() / "archives" / hashlib.sha256(url.encode()).hexdigest()[:16]
    name = url.rsplit("/", 1)[-1]
    if (folder / name).is_file():
        return folder / name
    partial = _retrieve(url, _staging(folder))
    if not zipfile.is_zipfile(partial):  # before its hash is recorded, so that the next download may differ
        partial.unlink()
        raise zipfile.BadZipFile(f"{url} gave no zip archive, or a part of one")
    return keep_download(partial, folder, name, expected, f"archive {url}")


def _extract(archive: Path, name: str, staging: Path) -> Path:
    """Copy the member ``name``, or what is left of that path where the archive has no top folder, to ``staging``.

    Only this one member is read, and its path in the archive decides nothing about where it is written.
    """
    with zipfile.ZipFile(archive) as members:
        fitting = [member for member in members.namelist() if f"/{name}".endswith(f"/{member}")]
        if not fitting:
            raise FileNotFoundError(f"the archive holds no {name}")
        target = staging / Path(name).name
        with members.open(max(fitting, key=len)) as source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream)
    return target


def checkpoint_hashes(name: str, folder: Path) -> dict[str, str]:
    """sha256 of each file of a checkpoint folder, by relative path.

    Of an official checkpoint only the files that ``weights.lock`` lists count (where at least one is there), so that a
    licence text beside them changes nothing; of any other folder, all files.
    """
    entry = lock().get(name)
    official = [file.name for file in entry.files if (folder / file.name).is_file()] if entry else []
    chosen = official or sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {file: sha256_of(folder / file) for file in chosen}


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
