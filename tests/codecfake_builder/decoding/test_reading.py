"""Reading source files: what is no regular file is never opened, a read that hangs is left behind."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from codecfake_builder.decoding import reading
from codecfake_builder.decoding.reading import file_state, read_source_file
from codecfake_builder.rejections import RejectedError


def reason(path: Path, seconds: float = 5) -> str:
    started = time.monotonic()
    with pytest.raises(RejectedError) as caught:
        read_source_file(path, seconds)
    assert time.monotonic() - started < 3
    return str(caught.value.reason)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "folder.wav").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        for path in (tmp_path / "fifo.wav", tmp_path / "folder.wav", tmp_path / "s", Path("/dev/zero")):
            assert reason(path) == "unreadable"
    (tmp_path / "link.wav").symlink_to("fifo.wav")
    assert reason(tmp_path / "link.wav") == "unreadable"


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    (tmp_path / "dangling.wav").symlink_to("nowhere")
    (tmp_path / "circle.wav").symlink_to("circle.wav")
    for name in ("nowhere.wav", "dangling.wav", "circle.wav", "a\0b.wav", "n" * 300):
        assert reason(tmp_path / name) == "missing"


def test_a_read_that_hangs_costs_its_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    hanging = threading.Event()
    monkeypatch.setattr(reading, "_read", lambda path: hanging.wait())
    assert reason(tmp_path / "a.wav", 0.1) == "read_timeout"
    hanging.set()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.wav").open("wb") as stream:
        stream.truncate(reading.MOST_BYTES + 1)
    assert reason(tmp_path / "large.wav") == "too_long"


def test_a_file_written_anew_with_the_same_size_and_time_has_another_state(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF")
    before, times = file_state(path), path.stat()
    time.sleep(0.05)
    path.write_bytes(b"RIFX")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = file_state(path)
    assert (after.bytes, after.mtime_ns) == (before.bytes, before.mtime_ns)
    assert after != before
