"""The two instruments of the suite that look at the process, not at the waveform."""

from __future__ import annotations

import _socket
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from codecfake_builder.conformance.memory import growth_per_call, peak_memory
from codecfake_builder.conformance.offline import NetworkRefusedError, network_refused

MEBIBYTE = 2**20


def test_every_way_to_a_network_is_refused_and_remembered() -> None:
    original = socket.socket.connect
    with network_refused() as attempts:
        ways: list[Callable[[], Any]] = [
            lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
            lambda: original(socket.socket(), ("192.0.2.1", 81)),
            lambda: _socket.getaddrinfo("example.org", 443),
            lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
            lambda: socket.create_connection(("localhost", 9), timeout=1),
        ]
        for number, attempt in enumerate(ways, start=1):
            with pytest.raises(NetworkRefusedError, match="refused"):
                attempt()
            assert len(attempts) == number
    assert attempts[1:4] == ["192.0.2.1:81", "example.org", "192.0.2.1:53"]


def test_attempts_of_other_threads_and_only_within() -> None:
    def attempt() -> None:
        with socket.socket() as connection:
            connection.settimeout(1)
            assert connection.connect_ex(("127.0.0.1", 9)) != 0

    with network_refused() as outer:
        with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="refused"):
            pool.submit(attempt).result()
        with network_refused() as inner:
            pass
    attempt()
    assert (len(outer), inner) == (1, [])


def test_this_machines_own_pipes_and_processes_are_left_alone(tmp_path: object) -> None:
    path = f"{tmp_path}/s"
    with network_refused() as attempts, socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert attempts == []


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda: torch.ones(1000), lambda: np.ones(1000), lambda: bytearray(2000)])
def test_what_stays_after_each_call_is_seen(make: object) -> None:
    kept: list[object] = []
    assert growth_per_call(lambda: kept.append(make()), 4).leaks  # type: ignore[operator]


def test_what_comes_and_goes_or_comes_once_is_no_leak() -> None:
    cache: dict[int, torch.Tensor] = {}

    def work() -> None:
        cache.setdefault(1, torch.ones(MEBIBYTE))
        torch.ones(MEBIBYTE).cumsum(0)

    growth = growth_per_call(work, 4)
    assert not growth.leaks, growth


def test_a_peak_is_seen_after_it_is_over() -> None:
    with peak_memory(torch.device("cpu")) as peak:
        for _ in range(10):
            torch.ones(16 * MEBIBYTE).add_(1)
    assert peak.highest - peak.before > 32 * MEBIBYTE
