"""Refusing every connection that this process tries to make, and remembering each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_EVENTS = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.sendto",
    "socket.sendmsg",
)
_watching: list[list[str]] = []


class NetworkRefusedError(ConnectionRefusedError):
    """What a connection attempt meets: to the code that tries, a network that is not there."""


@contextmanager
def network_refused() -> Iterator[list[str]]:
    """Refuse connections of all threads, this machine's own addresses included; yields the attempts, in words.

    The interpreter's audit events see what patched functions would not: code that holds a reference to the original,
    or goes below the ``socket`` module. Processes that are started are not seen.
    """
    _install()
    attempts: list[str] = []
    _watching.append(attempts)
    try:
        yield attempts
    finally:
        _watching[:] = [others for others in _watching if others is not attempts]


@cache
def _install() -> None:
    sys.addaudithook(_refuse)  # cannot be taken out again; idle it costs one look at an empty list


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in _EVENTS:
        return
    target = arguments[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else arguments[0]
    if target is None or (event == "socket.connect" and isinstance(target, (str, bytes))):
        return  # an address of none, or a path: sockets between processes of this machine
    words = f"{target[0]}:{target[1]}" if isinstance(target, tuple) and len(target) > 1 else str(target)
    for attempts in _watching:
        attempts.append(words)
    raise NetworkRefusedError(f"connection to {words} refused: conformance is judged offline")
