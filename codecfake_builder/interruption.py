"""Ctrl-C: a command says what is left, and ends, even where a library that is waiting for processes would not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from codecfake_builder.progress import say

EXIT_CODE = 130
"""Of a command that was interrupted: 128 and the signal's number."""
PATIENCE_SECONDS = 15.0
"""Until a command that does not come to its end after an interrupt is ended from outside."""


@contextmanager
def ends_when_interrupted() -> Iterator[None]:
    """While this holds, an interrupt raises :class:`KeyboardInterrupt` as ever, and ends the process some seconds later
    if that has not.

    Only in the main thread, and where nobody else looks after interrupts.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        timer = threading.Timer(PATIENCE_SECONDS, _end)
        timer.daemon = True
        timer.start()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def say_interrupted() -> None:
    """Tell the user what an interrupt leaves."""
    say("error: interrupted; what is finished is kept, and the same command goes on from there")


def _end() -> None:
    say_interrupted()
    os._exit(EXIT_CODE)  # worker processes end when they find their parent gone
