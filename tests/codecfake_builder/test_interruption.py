"""An interrupted command ends, whatever it is waiting for."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from codecfake_builder import interruption

HANGING = """
import threading, time
from codecfake_builder import interruption
interruption.PATIENCE_SECONDS = 1.0
try:
    with interruption.ends_when_interrupted():
        print("ready", flush=True)
        try:
            time.sleep(60)
        finally:
            {waiting}
except KeyboardInterrupt:
    print("came through", flush=True)
"""


@pytest.mark.parametrize(
    ("waiting", "code", "words"),
    [("threading.Event().wait(60)", 130, "error: interrupted; what is finished is kept"), ("pass", 0, "came through")],
)
def test_an_interrupt_ends_a_process_that_hangs(waiting: str, code: int, words: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING.format(waiting=waiting)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert (process.returncode, words in printed) == (code, True), printed
    assert time.monotonic() - started < 20


def test_the_handler_is_put_back_and_others_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruption.ends_when_interrupted():
        assert signal.getsignal(signal.SIGINT) is not before or before is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is before
    found: list[object] = []

    def elsewhere() -> None:
        with interruption.ends_when_interrupted():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [before]
