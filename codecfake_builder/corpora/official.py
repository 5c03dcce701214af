"""Official archives of corpora (``manifests/corpora.lock``): download, check and unpack them for ``fetch``."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from codec_adapters.builtin import builtin_catalogue
from codec_adapters.errors import DownloadError
from codec_adapters.files.cache import cache_root
from codec_adapters.files.documents import read_mapping
from codec_adapters.files.download import download, keep_download
from codecfake_builder.corpora import AnyCorpus, CorpusConfig
from codecfake_builder.corpora.archives import unpack
from codecfake_builder.errors import CorpusError
from codecfake_builder.progress import progress, say
from codecfake_builder.resources import resource_folder


@dataclass(frozen=True)
class OfficialCorpus:
    """An entry of ``corpora.lock``; sizes in bytes. Where the archive is not public, ``how`` replaces ``url``."""

    name: str
    title: str
    licence: str
    page: str
    url: str | None = None
    size: int = 0
    unpacked: int = 0
    sha256: str | None = None
    how: str | None = None
    checked: str = ""
    """Month in which the licence was looked up."""
    citation: str = ""
    """Key of its entry in ``citations.bib``."""

    def terms(self) -> str:
        """Return licence and sizes in a sentence, to be shown before the download."""
        return (
            f"{self.name}: {self.title}, licence {self.licence} ({self.page}); about {self.size / 1e9:.1f} GB to "
            f"download, {self.unpacked / 1e9:.1f} GB unpacked"
        )


@cache
def lock() -> Mapping[str, OfficialCorpus]:
    """Read the entries of ``corpora.lock``, by name."""
    entries = read_mapping(resource_folder("manifests") / "corpora.lock", "an entry per corpus")
    return {name: OfficialCorpus(name=name, **values) for name, values in entries.items()}


def fetch_corpus(name: str, to: Path | None = None) -> Path:
    """Download and unpack a corpus; return its folder.

    Args:
        name: an entry of ``corpora.lock``.
        to: where the corpus gets a folder of its name; ``corpora`` in the user's cache where it is ``None``.

    Raises:
        CorpusError: it has no public archive, the disk is too small, or the archive cannot be downloaded or unpacked.
        CheckpointError: the archive is not the official one (another sha256).
    """
    entry = lock()[name]
    parent = cache_root() / "corpora" if to is None else to
    folder = parent / name
    if folder.is_dir():
        say(f"{name}: {folder} is there already")
        return _checked(entry, folder)
    if entry.url is None:
        raise CorpusError(f"{name}: {entry.title} has no public archive ({entry.page}): {entry.how}")
    say(entry.terms())
    say(f"{name}: from {entry.url} into {folder}")
    archives = parent / ".archives"
    archive = archives / name / entry.url.rsplit("/", 1)[-1]
    if not archive.is_file():
        partial = archives / name / f"{archive.name}.part"
        _refuse_small_disk(entry, parent, partial)
        _download(entry.url, partial, entry.size)
        say(f"{name}: checking the archive")
        keep_download(partial, archive.parent, archive.name, entry.sha256, f"{name}: {entry.url}")
    try:
        unpack(archive, folder)
    except CorpusError:
        if (
            entry.sha256 is None
        ):  # whether it was the right archive is not known; the next download may have another hash
            shutil.rmtree(archive.parent)
        raise
    archive.unlink()
    return _checked(entry, folder)


def _download(url: str, path: Path, size: int) -> None:
    """Download an archive of about ``size`` bytes with progress in MB."""
    shown = 0
    with progress("downloading", size >> 20, "MB") as advance:

        def report(there: int) -> None:
            nonlocal shown
            advance((there >> 20) - shown)
            shown = there >> 20

        try:
            download(url, path, report, size + (size >> 2))  # the sizes of some are known about
        except DownloadError as error:
            raise CorpusError(str(error)) from error


def _refuse_small_disk(entry: OfficialCorpus, parent: Path, partial: Path) -> None:
    parent.mkdir(parents=True, exist_ok=True)
    there = partial.stat().st_size if partial.is_file() else 0
    needed, free = entry.size + entry.unpacked - there, shutil.disk_usage(parent).free
    if needed > free:
        raise CorpusError(
            f"{entry.name}: needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free in {parent}; choose another --to"
        )


def _checked(entry: OfficialCorpus, folder: Path) -> Path:
    """Return the folder after checking that it is in the layout of its kind."""
    config: CorpusConfig = TypeAdapter(AnyCorpus).validate_python({"kind": entry.name, "root": folder})
    count = len(config.wanted_files(builtin_catalogue()))
    say(f"{entry.name}: {count} utterances; use it with --set {shlex.quote(f'corpora.{entry.name}.root={folder}')}")
    return folder
