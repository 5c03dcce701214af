"""Changing a finished dataset in one step: the next version grows beside it, then takes its place.

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
    """Whether a folder holds a complete dataset."""
    return (dataset / layout.CHECKSUMS).is_file()


@contextmanager
def locked(dataset: Path) -> Iterator[ExitStack]:
    """Keep others from changing a dataset folder, which is made if it is not there; the lock goes with its process.

    The lock is a file inside of the folder. It is held in the folder that has the dataset's name: :func:`publish` locks
    the next version's too before it takes that name, and whoever waited for a version that is gone looks again.

    Yields:
        What :func:`publish` keeps its own lock in.

    Raises:
        DatasetError: another process is at work in the folder.
    """
    dataset = dataset.resolve()
    with ExitStack() as held:
        while True:
            old = layout.old_version(dataset)
            home = old if old.is_dir() and not dataset.exists() else dataset
            lock = _lock(home, dataset, held)
            _recover(dataset)
            if _same_file(lock.fileno(), dataset / layout.LOCK):
                break
            lock.close()
        yield held


def prepare(dataset: Path, leave: Callable[[str], bool], salvage: Collection[str] = ()) -> Path:
    """Begin the next version of a finished dataset: a folder that shares the files that stay.

    Args:
        dataset: under its lock.
        leave: whether a file (its path within the dataset) does not stay.
        salvage: files of a next version that a killed run left, which are taken over.

    Returns:
        The folder, which is no finished dataset yet.

    Raises:
        DatasetError: the dataset cannot be replaced in one step, since it is a mount point, say.
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
        if _own_business(name) or name in salvage:
            continue
        if _is_folder(source):
            target.mkdir(exist_ok=True)
            shutil.copymode(source, target)
        elif not leave(name):
            _link(source, target)
    shutil.copymode(dataset, stage)
    return stage


def publish(stage: Path, dataset: Path, held: ExitStack) -> None:
    """Let a complete next version take the dataset's place, in one step; :func:`discard` then deletes the old one.

    Args:
        stage: what :func:`prepare` returned, finished now.
        dataset: under its lock.
        held: of :func:`locked`; the new version stays locked as long.
    """
    dataset = dataset.resolve()
    _lock(stage, dataset, held)
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
    """Delete the version that :func:`publish` replaced, or what a killed run left of a next one."""
    left = layout.next_version(dataset)
    for part in (left / layout.DATA, left / layout.METADATA, left):  # what tells of the version lasts longest
        if part.is_dir():
            shutil.rmtree(part)


def discard_remains(dataset: Path) -> None:
    """Delete what is left of a version whose deletion had begun; a next version that may still be finished stays."""
    if not (layout.next_version(dataset) / layout.DATA).is_dir():
        discard(dataset)


def _lock(home: Path, dataset: Path, held: ExitStack) -> IO[str]:
    (home / layout.STATE).mkdir(parents=True, exist_ok=True)
    lock = held.enter_context((home / layout.LOCK).open("a"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DatasetError(f"{dataset}: another build is running in this folder; wait for it or stop it") from error
    return lock


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _recover(dataset: Path) -> None:
    """End what was cut off where folders cannot be exchanged."""
    old = layout.old_version(dataset)
    if not old.is_dir():
        return
    if not dataset.exists():
        (layout.next_version(dataset) if finished(layout.next_version(dataset)) else old).rename(dataset)
    if old.is_dir():
        discard(dataset)
        old.rename(layout.next_version(dataset))


def _refuse_fixed(dataset: Path) -> None:
    """Refuse a folder that nothing can take the place of."""
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
    """Everything below a folder, folders before what is in them; links to folders as what they are."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in sorted(folders) + sorted(files))


def _own_business(name: str) -> bool:
    """Whether a file belongs to one run, or says that a version is finished."""
    return name in (layout.CHECKSUMS, layout.LOCK) or TEMPORARY in name or layout.is_claim(name)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _link(source: Path, target: Path) -> None:
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
    """Exchange two folders in one step; ``False`` where that cannot be done here."""
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
