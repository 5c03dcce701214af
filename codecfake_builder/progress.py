"""Progress on standard error: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PLAIN_LINE_SECONDS = 15.0

Advance = Callable[[int], None]


def say(text: str) -> None:
    """One line of talk on standard error; results go to standard output."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Advance]:
    """Show that ``total`` units of work are going on; the caller reports each step with the yielded function."""
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
