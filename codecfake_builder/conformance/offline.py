"""Refusal of every connection that this process tries to make, with a record of each."""

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
    """Raised in the code that tries to connect, as if there were no network."""


@contextmanager
def network_refused() -> Iterator[list[str]]:
    """Refuse connections of all threads, also to this machine itself, and yield the list of attempts, in words.

    The interpreter's audit events (PEP 578) also see code that patched functions would miss: it may hold a reference to
    the original, or go below the ``socket`` module. Processes that this one starts are not seen.
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
    sys.addaudithook(_refuse)  # hooks cannot be removed; an idle one only looks at an empty list


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in _EVENTS:
        return
    target = arguments[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else arguments[0]
    if target is None or (event == "socket.connect" and isinstance(target, (str, bytes))):
        return  # no address, or a path: sockets between processes of this machine
    words = f"{target[0]}:{target[1]}" if isinstance(target, tuple) and len(target) > 1 else str(target)
    for attempts in _watching:
        attempts.append(words)
    raise NetworkRefusedError(f"connection to {words} refused: conformance is judged offline")
