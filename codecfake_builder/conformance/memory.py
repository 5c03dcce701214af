"""Memory of this process and of those it started: its peak during work, and its growth with repeated work."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psutil
import torch

SAMPLING_SECONDS = 0.005
BLOCKS = 4
"""Memory must grow in every one of so many blocks of calls to count: a cache stops growing once it is full."""
LEAST_GROWTH = 1 << 10
"""Bytes per call that count as a leak. Codecs without one stay under half of it in their worst block, mostly at 0."""
LEAST_RESIDENT_GROWTH = 16 << 10
"""The same where only the operating system tells a process's size, which includes freed memory that it keeps."""


class _AllocatorStatistics(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    )


@dataclass(frozen=True)
class Growth:
    """Bytes by which memory grows per call: the least of all blocks, so that a single step does not count."""

    allocated: float
    """Of this process and its devices, as the allocators tell: without freed memory."""
    elsewhere: float
    """Of processes that it started, and its own where its allocator tells nothing."""

    @property
    def leaks(self) -> bool:
        """Whether every block of calls has made memory grow."""
        return self.allocated >= LEAST_GROWTH or self.elsewhere >= LEAST_RESIDENT_GROWTH

    def __str__(self) -> str:
        return f"{(self.allocated + self.elsewhere) / 1024:.1f} KiB stay after each call"


@dataclass
class Peak:
    """Memory before and at its highest during work, bytes."""

    before: int
    highest: int


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure memory while the body runs: the device's on CUDA, else that of this process and those it started."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        peak = Peak(torch.cuda.memory_allocated(device), 0)
        yield peak
        peak.highest = torch.cuda.max_memory_allocated(device)
        return
    done = threading.Event()
    _give_back_free_memory()
    first = resident_bytes()
    peak = Peak(first, first)

    def watch() -> None:
        while not done.wait(SAMPLING_SECONDS):
            peak.highest = max(peak.highest, resident_bytes())

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.highest = max(peak.highest, resident_bytes())


def growth_per_call(call: Callable[[], object], calls: int) -> Growth:
    """Measure by how much memory grows with repeated calls.

    Args:
        call: the work; it should have run a few times before.
        calls: number in each of the :data:`BLOCKS`.

    >>> growth_per_call(lambda: sum(range(1000)), calls=2).leaks
    False
    """
    gc.collect()
    gc.freeze()  # spares the garbage collector older objects at every mark
    try:
        marks = [_mark()]
        for _ in range(BLOCKS):
            for _ in range(calls):
                call()
            marks.append(_mark())
    finally:
        gc.unfreeze()
    steps = [[(after - before) / calls for before, after in zip(*pair, strict=True)] for pair in pairwise(marks)]
    allocated, elsewhere = (max(0.0, min(column)) for column in zip(*steps, strict=True))
    return Growth(allocated, elsewhere)


def _mark() -> tuple[int, int]:
    """Return the bytes in use now: of this process and its devices, and elsewhere (see :class:`Growth`)."""
    gc.collect()
    device = sum(torch.cuda.memory_allocated(number) for number in range(torch.cuda.device_count()))
    own = _allocated_bytes()
    if own is None:
        return device, resident_bytes()
    return device + own, resident_bytes() - int(psutil.Process().memory_info().rss)


def _libc_function(name: str) -> Any:
    """Return a function of glibc, or ``None`` on other systems."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _allocated_bytes() -> int | None:
    """Return what this process has allocated and not freed, tensors and arrays included; ``None`` without glibc."""
    tell = _libc_function("mallinfo2")
    if tell is None:
        return None
    tell.restype = _AllocatorStatistics
    statistics = tell()
    return int(statistics.uordblks + statistics.hblkhd)


def _give_back_free_memory() -> None:
    """Return freed memory to the system; glibc keeps it otherwise, and a new peak would fit into it unseen."""
    trim = _libc_function("malloc_trim")
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Return the resident memory of this process and of those it started, bytes."""
    own = psutil.Process()
    total = own.memory_info().rss
    for child in own.children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.Error:  # the process has ended meanwhile
            continue
    return int(total)
