"""Show progress on standard error: a bar on a terminal; elsewhere a plain line at intervals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from codecfake_builder.text_files import escaped

PLAIN_LINE_SECONDS = 15.0
"""Least time between two plain lines."""

Advance = Callable[[int], None]
"""Takes the number of units that were done since the last call."""


def say(text: str) -> None:
    """Print a line on standard error; standard output is for results (see :func:`tell`)."""
    print(_on_terminals(text), file=sys.stderr, flush=True)


def tell(text: str = "") -> None:
    """Print lines of a result on standard output, with control characters in them shown as escapes."""
    print(_on_terminals(text))


def _on_terminals(text: str) -> str:
    """Return text in which ids, paths and messages of whatever origin cannot steer a terminal."""
    return "\n".join(escaped(line) for line in text.split("\n"))


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Advance]:
    """Show how many of ``total`` units of work are done; the caller reports each step to the yielded function.

    Args:
        title: what is being done.
        total: number of units; where it is 0, no bar is shown.
        unit: what is counted, in the plural: ``shards``.
    """
    if total and sys.stderr.isatty():
        with _bar(title, total, unit) as advance:
            yield advance
    else:
        yield _plain(title, total, unit)


@contextmanager
def _bar(title: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=total)
        yield lambda count: bars.advance(task, count)


def _plain(title: str, total: int, unit: str) -> Advance:
    started = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= PLAIN_LINE_SECONDS or (done == total and now - started >= PLAIN_LINE_SECONDS):
            last = now
            say(f"{title}: {done} of {total} {unit} after {now - started:.0f} s")

    return advance
