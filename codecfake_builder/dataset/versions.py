"""Change a finished dataset in one step: make the next version beside it, then put that in its place.

The next version of ``name`` is the hidden folder ``.name.next`` in the same parent. It shares every file that stays
(hard links; copies where the file system has none), so that a shard of the old version keeps its path and its inode,
and whoever reads the old version goes on reading. When it is complete, the two folders are exchanged (Linux:
``renameat2`` with ``RENAME_EXCHANGE``), and the old version is deleted. Killed at any moment, a run leaves the old or
the new dataset under its name; what it had made in ``.name.next`` is taken over by the next run, or deleted.

Where folders cannot be exchanged (other systems, some network file systems) they are renamed, old one first: killed
between these two renames, a run leaves the old dataset as ``.name.old`` and none under its name, and the next run of
``build`` or ``remove-codec`` puts the new one there, complete as it is.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from codecfake_builder.dataset import layout
from codecfake_builder.errors import DatasetError
from codecfake_builder.files import TEMPORARY, replacing, sync_folder

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_CANNOT_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})


def finished(dataset: Path) -> bool:
    """Return whether a folder holds a complete dataset."""
    return (dataset / layout.CHECKSUMS).is_file()


def state(dataset: Path) -> str:
    """Return a sha256 that changes whenever a dataset does: over its checksums, its marker and its recipe."""
    digest = hashlib.sha256()
    home = dataset
    if not dataset.exists() and layout.old_version(dataset).is_dir():
        home = _survivor(dataset)
    for name in (layout.CHECKSUMS, layout.FINISHED, layout.RECIPE):
        path = home / name
        digest.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
    return digest.hexdigest()


def refuse_changed(dataset: Path, before: str) -> None:
    """Refuse to go on from a dataset that another command has changed since it was read.

    Args:
        dataset: its folder, locked.
        before: its :func:`state` then.

    Raises:
        DatasetError: it was changed.
    """
    if state(dataset) != before:
        raise DatasetError(
            f"{dataset}: was changed by another command meanwhile; run this one again, and it goes on from there"
        )


@contextmanager
def locked(dataset: Path) -> Iterator[ExitStack]:
    """Lock a dataset folder, so that no other process changes it; the folder is made if it is not there.

    The lock is a file inside the folder (``flock``), and ends with the process that took it. Since the next version may
    take the dataset's name at any time, :func:`publish` locks it before it does, and a lock that turns out to be in a
    folder that lost the name is given up and taken again in the new one.

    Yields:
        The locks; :func:`publish` adds its own, so that all end together.

    Raises:
        DatasetError: another process is at work in the folder.
    """
    dataset = dataset.resolve()
    with ExitStack() as locks:
        while True:
            old = layout.old_version(dataset)
            home = old if old.is_dir() and not dataset.exists() else dataset
            lock = _lock(home, dataset, locks)
            _recover(dataset)
            if _same_file(lock.fileno(), dataset / layout.LOCK):
                break
            lock.close()
        yield locks


def prepare(dataset: Path, drop: Callable[[str], bool], salvage: Collection[str] = ()) -> Path:
    """Begin the next version of a finished dataset: a folder that shares the files that stay.

    Args:
        dataset: folder of the dataset, locked.
        drop: returns whether a file of the dataset, given by its name, is absent from the next version.
        salvage: names of files that a killed run made in the next version, which are kept in it.

    Returns:
        The folder of the next version, which is no finished dataset yet.

    Raises:
        DatasetError: the dataset cannot be replaced in one step; it is a mount point, for example.
    """
    dataset = dataset.resolve()
    _refuse_fixed(dataset)
    stage = layout.next_version(dataset)
    stage.mkdir(exist_ok=True)
    (stage / layout.CHECKSUMS).unlink(missing_ok=True)
    for left in _entries(stage):
        if not _is_folder(left) and left.relative_to(stage).as_posix() not in salvage:
            left.unlink()
    for source in _entries(dataset):
        name = source.relative_to(dataset).as_posix()
        target = stage / name
        if _is_of_one_run(name) or name in salvage:
            continue
        if _is_folder(source):
            if source.suffix and drop(name):
                continue  # in the place of a file
            target.mkdir(exist_ok=True)
            shutil.copymode(source, target)
        elif not drop(name):
            _link(source, target)
    shutil.copymode(dataset, stage)
    return stage


def publish(stage: Path, dataset: Path, locks: ExitStack) -> None:
    """Put the complete next version in the dataset's place, in one step; :func:`discard` then deletes the old one.

    Args:
        stage: folder of the next version, from :func:`prepare`, finished since.
        dataset: folder of the dataset, locked.
        locks: from :func:`locked`; the lock of the next version is added to them.
    """
    dataset = dataset.resolve()
    _lock(stage, dataset, locks)
    _drop_empty(stage / layout.DATA)
    for folder, _, _ in os.walk(stage):
        sync_folder(Path(folder))
    if not _exchange(stage, dataset):
        old = layout.old_version(dataset)
        dataset.rename(old)
        stage.rename(dataset)
        old.rename(stage)
    sync_folder(dataset.parent)


def discard(dataset: Path) -> None:
    """Delete the version that :func:`publish` replaced, or the next version that a killed run began."""
    left = layout.next_version(dataset)
    for part in (left / layout.DATA, left / layout.METADATA, left):  # its description goes last
        if part.is_dir():
            shutil.rmtree(part)


def discard_remains(dataset: Path) -> None:
    """Delete the rest of a version whose deletion was interrupted; a next version that can still be finished stays."""
    if not (layout.next_version(dataset) / layout.DATA).is_dir():
        discard(dataset)


def _lock(home: Path, dataset: Path, locks: ExitStack) -> IO[str]:
    """Lock folder ``home``, which has the name of ``dataset`` or will have it, until ``locks`` end."""
    (home / layout.STATE).mkdir(parents=True, exist_ok=True)
    lock = locks.enter_context((home / layout.LOCK).open("a"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DatasetError(f"{dataset}: another build is running in this folder; wait for it or stop it") from error
    return lock


def _same_file(descriptor: int, path: Path) -> bool:
    """Return whether a path is that of an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _recover(dataset: Path) -> None:
    """Complete a :func:`publish` that was interrupted between its renames, where folders cannot be exchanged."""
    old = layout.old_version(dataset)
    if not old.is_dir():
        return
    if not dataset.exists():
        _survivor(dataset).rename(dataset)
    if old.is_dir():
        discard(dataset)
        old.rename(layout.next_version(dataset))


def _survivor(dataset: Path) -> Path:
    """Return the version that takes the name that a :func:`publish` left to none."""
    following = layout.next_version(dataset)
    return following if finished(following) else layout.old_version(dataset)


def _refuse_fixed(dataset: Path) -> None:
    """Refuse a folder that cannot be replaced in one step."""
    parent = dataset.parent
    if dataset.stat().st_dev != parent.stat().st_dev or not os.access(parent, os.W_OK | os.X_OK):
        raise DatasetError(
            f"{dataset}: is a finished dataset that cannot be replaced in one step, since it is a mount point or "
            f"{parent} cannot be written to; move it into a folder where it can"
        )
    for part in (layout.DATA, layout.METADATA, layout.STATE):
        if (dataset / part).is_symlink():
            raise DatasetError(f"{dataset / part}: is a link, so that the dataset cannot be replaced in one step")


def _entries(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder, folders before what is in them; links to folders are not followed."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in sorted(folders) + sorted(files))


def _is_of_one_run(name: str) -> bool:
    """Return whether a file serves a single run or marks a version as finished, so that versions do not share it."""
    return name in (layout.CHECKSUMS, layout.LOCK) or TEMPORARY in name or layout.is_claim(name)


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def _link(source: Path, target: Path) -> None:
    """Make a hard link, or a copy where the file system has no hard links."""
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    try:
        target.hardlink_to(source)
    except OSError:
        with replacing(target) as temporary:
            shutil.copy2(source, temporary)


def _drop_empty(folder: Path) -> None:
    """Delete folders that hold nothing, which splits without shards leave behind."""
    for path in sorted(folder.glob("*")):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; return ``False`` where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    names = (ctypes.c_char_p(os.fsencode(first)), ctypes.c_char_p(os.fsencode(second)))
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(first))
