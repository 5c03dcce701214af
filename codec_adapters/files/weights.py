"""Official checkpoints: where they come from (``manifests/weights.lock``), and their hashes."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from codec_adapters.errors import CheckpointError, first_line
from codec_adapters.files.cache import cache_root
from codec_adapters.files.hashing import sha256_of
from codec_adapters.files.pinned import NamedFile


@dataclass(frozen=True)
class LockedCheckpoint:
    """One entry of ``weights.lock``: a hub repository at a revision, an https folder or zip archive, and its files."""

    name: str
    licence: str
    files: tuple[NamedFile, ...]
    hub: str | None = None
    revision: str | None = None
    url: str | None = None
    archive: str | None = None
    archive_sha256: str | None = None
    urls: Mapping[str, str] = field(default_factory=dict)
    """Addresses of files that come from somewhere else, by name."""

    @property
    def source(self) -> str:
        """Where the files come from, in words."""
        return f"hub repository {self.hub}@{self.revision}" if self.hub else str(self.archive or self.url)

    @property
    def described(self) -> str:
        """Name, source, size where it is known, and licence, in words."""
        sizes = [file.size for file in self.files]
        size = "" if None in sizes else f", {sum(size or 0 for size in sizes) / 1e6:.1f} MB"
        return f"{self.name} from {self.source}{size}, licence {self.licence}"

    def source_of(self, file: NamedFile) -> str:
        """Return where one file comes from, in words."""
        return self.urls.get(file.file, self.source)


@cache
def lock() -> Mapping[str, LockedCheckpoint]:
    """Return all entries of ``weights.lock`` by name."""
    package = Path(__file__).parent.parent
    path = package / "_data" / "weights.lock"  # where a wheel carries it
    if not path.exists():
        path = package.parent / "manifests" / "weights.lock"
    entries: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: _entry(name, dict(values)) for name, values in entries.items()}


def _entry(name: str, values: dict[str, Any]) -> LockedCheckpoint:
    known = {file: dict(facts or {}) for file, facts in values.pop("files").items()}
    urls = {file: facts.pop("url") for file, facts in known.items() if "url" in facts}
    files = tuple(NamedFile(file=file, **facts) for file, facts in known.items())
    return LockedCheckpoint(name=name, files=files, urls=urls, **values)


def locked(name: str) -> LockedCheckpoint:
    """Return the entry ``name`` of ``weights.lock``.

    Raises:
        CheckpointError: there is none.
    """
    if name not in lock():
        raise CheckpointError(f"weights.lock has no checkpoint {name!r}; give a local folder instead")
    return lock()[name]


def official_files(name: str, *patterns: str) -> list[str]:
    """Return the files of checkpoint ``name`` in ``weights.lock`` that fit one of ``patterns``, in the lock's order.

    Where the lock has none (a variant of somebody else's), the first pattern, for messages.
    """
    files = lock()[name].files if name in lock() else ()
    fitting = [file.file for file in files if any(fnmatchcase(file.file, pattern) for pattern in patterns)]
    return fitting or [patterns[0]]


def cached(name: str) -> Path | None:
    """Return the cache folder of checkpoint ``name`` when all its files are there, else ``None``. Downloads nothing."""
    folder = cache_root() / "weights" / name
    entry = lock().get(name)
    return folder if entry and all(file.path(folder).is_file() for file in entry.files) else None


def fetch(name: str) -> Path:
    """Download what is not there of checkpoint ``name``, and return its folder in the user's cache.

    Every downloaded file is checked against the sha256 of the lock, or, where the lock has none, against the one
    recorded at the first download; the folder can be used offline afterwards. A zip archive stays in the cache, so that
    checkpoints that share one download it once.

    Raises:
        CheckpointError: no such entry, no network, or a hash that differs.
    """
    folder = cache_root() / "weights" / name
    fetch_into(folder, locked(name), f"give a local folder instead (--set weights.{name}=FOLDER)")
    return folder


def fetch_into(folder: Path, entry: LockedCheckpoint, otherwise: str) -> None:
    """Download the files of ``entry`` that are not in ``folder``, each checked before it is put there.

    Args:
        otherwise: what a user without network can do, to end the message with.

    Raises:
        CheckpointError: no network, or a hash that differs.
    """
    from codec_adapters.files.download import keep_download

    for file in entry.files:
        if not file.path(folder).is_file():
            partial = _download(entry, file, folder, otherwise)
            what = f"{entry.name}: {file.file} from {entry.source_of(file)}"
            keep_download(partial, folder, file.file, file.sha256, what)


def _download(entry: LockedCheckpoint, file: NamedFile, folder: Path, otherwise: str) -> Path:
    """Download one file beside its final place; an interrupted download is resumed."""
    staging = _staging(folder)
    try:
        if url := entry.urls.get(file.file):
            return _retrieve(url, staging, file.size)
        if entry.hub:
            from huggingface_hub import hf_hub_download

            return Path(hf_hub_download(entry.hub, file.file, revision=entry.revision, local_dir=staging))
        if entry.archive:
            return _extract(_archive(entry.archive, entry.archive_sha256), file.file, staging)
        return _retrieve(f"{entry.url}/{file.file}", staging, file.size)
    except CheckpointError:
        raise
    except Exception as error:  # the hub's client raises a dozen kinds; the user needs one sentence
        reason = first_line(error)
        raise CheckpointError(
            f"{entry.name} (licence {entry.licence}): {file.file} is not in the cache ({folder}) and could not be "
            f"fetched from {entry.source_of(file)}: {reason}; {otherwise}"
        ) from error


def _staging(folder: Path) -> Path:
    staging = folder / ".downloading"
    staging.mkdir(parents=True, exist_ok=True)
    return staging


def _retrieve(url: str, staging: Path, size: int | None = None) -> Path:
    """Download ``url``, of ``size`` bytes where that is known, to a name that no other address has, so that what is
    resumed is the same file."""
    from codec_adapters.files.download import MOST_BYTES, download

    return download(url, staging / f"{_digest(url)}-{url.rsplit('/', 1)[-1]}", most=size or MOST_BYTES)


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def _archive(url: str, expected: str | None) -> Path:
    """Return the zip archive at ``url``, from the cache or downloaded into it."""
    from codec_adapters.files.download import keep_download

    folder = cache_root() / "archives" / _digest(url)
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
    """Return the sha256 of each file of a checkpoint folder, by relative path.

    Of an official checkpoint only the files that ``weights.lock`` lists count (where at least one is there), so that a
    licence text beside them changes nothing; of any other folder, all files.
    """
    entry = lock().get(name)
    official = [file.file for file in entry.files if file.path(folder).is_file()] if entry else []
    chosen = official or sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {file: sha256_of(folder / file) for file in chosen}
