"""Memory of this process and those that it started, and whether repeated work makes it grow."""

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
"""Growth must show in every one of so many blocks of calls: a cache that fills stops."""
LEAST_GROWTH = 1 << 10
"""Bytes per call; healthy codecs stay under half of it in their worst block, and at 0 in most."""
LEAST_RESIDENT_GROWTH = 16 << 10
"""The same where only the operating system says how much a process has: free memory that it keeps counts there."""


class _AllocatorFigures(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    )


@dataclass(frozen=True)
class Growth:
    """Bytes that one call leaves behind: the least over all blocks, so that a single step does not count."""

    allocated: float
    """Of this process and its device; as the allocator tells, without memory that is free again."""
    elsewhere: float
    """Of processes that it started; and its own, where its allocator tells nothing."""

    @property
    def leaks(self) -> bool:
        """Whether calls on equal input leave something behind, every time."""
        return self.allocated >= LEAST_GROWTH or self.elsewhere >= LEAST_RESIDENT_GROWTH

    def __str__(self) -> str:
        return f"{(self.allocated + self.elsewhere) / 1024:.1f} KiB stay after each call"


@dataclass
class Peak:
    """Highest and first memory of a stretch of work, bytes."""

    before: int
    highest: int


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Watch memory while the body runs: the device's on CUDA, else that of this process and those that it started."""
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
    """What repeated equal calls leave behind.

    Args:
        call: the work; it should have run a few times before.
        calls: in each of the blocks.
    """
    gc.collect()
    gc.freeze()  # what is there already need not be looked through for garbage at every mark
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
    gc.collect()
    device = sum(torch.cuda.memory_allocated(number) for number in range(torch.cuda.device_count()))
    own = _allocated_bytes()
    if own is None:
        return device, resident_bytes()
    return device + own, resident_bytes() - int(psutil.Process().memory_info().rss)


def _libc_function(name: str) -> Any:
    """A function of glibc, or ``None`` on other systems."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _allocated_bytes() -> int | None:
    """What this process has allocated and not freed, tensors and arrays included, where the C library tells."""
    tell = _libc_function("mallinfo2")
    if tell is None:
        return None
    tell.restype = _AllocatorFigures
    figures = tell()
    return int(figures.uordblks + figures.hblkhd)


def _give_back_free_memory() -> None:
    """glibc keeps what is freed for later; without this, a peak would vanish in what came before."""
    trim = _libc_function("malloc_trim")
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Resident memory of this process and of those that it started."""
    own = psutil.Process()
    total = own.memory_info().rss
    for child in own.children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.Error:  # it has ended meanwhile
            continue
    return int(total)
