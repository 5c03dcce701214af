"""Spread the measuring of clips over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import joblib

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def spread(work: Callable[[_Item], _Made], items: Iterable[_Item], workers: int) -> Iterator[_Made]:
    """Yield what ``work`` makes of each item, in their order; with one worker, in this process.

    Args:
        work: a function that other processes can import.
        items: taken as they are needed, a few ahead.
        workers: processes.
    """
    if workers == 1:
        yield from map(work, items)
    else:
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator", pre_dispatch=4 * workers, batch_size=1)
        yield from parallel(joblib.delayed(work)(item) for item in items)
