"""Unpack downloaded archives safely: no member can name, reach or link to anything outside the target folder."""

from __future__ import annotations

import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from codecfake_builder.errors import CorpusError
from codecfake_builder.files import TEMPORARY, sync_folder
from codecfake_builder.progress import progress

KEEP_FREE = 1 << 30
"""Bytes of free disk space that unpacking does not use."""


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    kind: str
    """``file``, ``folder``, or in words what else it is."""
    extract: Callable[[Path], object]
    """Unpacks it below a folder."""


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip or tar archive into the new folder ``target``, which appears whole or not at all.

    Raises:
        CorpusError: the file is damaged or no archive, a member's name is absolute or leads out of the folder, a member
            is a link or a device, or the disk is too small. Nothing is kept then.
    """
    unfinished = target.with_name(f"{target.name}{TEMPORARY}unpacking")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    room = shutil.disk_usage(unfinished).free - KEEP_FREE
    try:
        with ExitStack() as stack, progress(f"unpacking {archive.name}", archive.stat().st_size >> 20, "MB") as advance:
            done = position = 0
            for member, read in _members(archive, stack):
                done += member.size
                if done > room:
                    raise CorpusError(f"{archive}: the disk has no room for it ({room / 1e9:.1f} GB); nothing was kept")
                _refuse_unsafe(archive, member)
                member.extract(unfinished)
                advance((read >> 20) - position)
                position = read >> 20
        unfinished.replace(target)
        sync_folder(target.parent)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise CorpusError(f"{archive}: damaged, or no archive ({str(error) or type(error).__name__})") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _members(archive: Path, stack: ExitStack) -> Iterator[tuple[_Member, int]]:
    """Yield every member, with the number of bytes of the archive that the members before it take."""
    if zipfile.is_zipfile(archive):
        members = stack.enter_context(zipfile.ZipFile(archive))
        read = 0
        for entry in members.infolist():
            yield _Member(entry.filename, entry.file_size, _zip_kind(entry), partial(members.extract, entry)), read
            read += entry.compress_size
        return
    stream = stack.enter_context(archive.open("rb"))
    tar = stack.enter_context(tarfile.open(fileobj=stream, mode="r:*"))  # noqa: SIM115 - the stack closes it
    for item in tar:
        extract = partial(tar.extract, item, set_attrs=False, filter="data")
        yield _Member(item.name, item.size, _tar_kind(item), extract), stream.tell()


def _tar_kind(item: tarfile.TarInfo) -> str:
    if item.issym() or item.islnk():
        return "a link"
    return "file" if item.isreg() else "folder" if item.isdir() else "a device"


def _zip_kind(entry: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link"
    return "folder" if entry.is_dir() else "file"


def _refuse_unsafe(archive: Path, member: _Member) -> None:
    """Refuse what the archive modules would make harmless, or follow within the folder: such an archive is no corpus.

    ``tarfile``'s data filter and ``zipfile`` strip a leading ``/`` (and ``zipfile`` each ``..``), and the filter lets
    links pass that stay within.
    """
    path = PurePosixPath(member.name)
    if (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in member.name
        or "\0" in member.name
        or re.match("[A-Za-z]:", member.name)
    ):
        raise CorpusError(f"{archive}: member {member.name!r} leads out of the folder; nothing was kept")
    if member.kind not in ("file", "folder"):
        raise CorpusError(
            f"{archive}: member {member.name!r} is {member.kind}, which is not unpacked; nothing was kept"
        )
