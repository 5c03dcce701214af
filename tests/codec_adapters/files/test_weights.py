"""Fetching official weights: hashes recorded and enforced, offline use, safe names."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import codec_adapters
from codec_adapters.builtin import builtin_catalogue
from codec_adapters.files import weights
from codec_adapters.files.pinned import NamedFile
from codec_adapters.files.weights import LockedCheckpoint


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A local server of a folder."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}", folder
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def locked(server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock with one entry ``demo`` of two files, one with a known hash; returns the served folder."""
    url, folder = server
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path / "cache"))
    (folder / "a.bin").write_bytes(b"first")
    (folder / "b.bin").write_bytes(b"second")
    known = NamedFile(file="a.bin", sha256=hashlib.sha256(b"first").hexdigest())
    entry = LockedCheckpoint("demo", "MIT", (known, NamedFile(file="b.bin")), url=url)
    monkeypatch.setattr(weights, "lock", lambda: {"demo": entry})
    return folder


def test_fetched_once_and_then_used_offline(locked: Path) -> None:
    assert weights.cached("demo") is None
    folder = weights.fetch("demo")
    assert (folder / "a.bin").read_bytes() == b"first"
    assert weights.cached("demo") == folder
    (locked / "a.bin").unlink()
    assert weights.fetch("demo") == folder


def test_a_known_hash_is_enforced(locked: Path) -> None:
    (locked / "a.bin").write_bytes(b"tampered")
    with pytest.raises(codec_adapters.CheckpointError, match=r"a\.bin.*expected"):
        weights.fetch("demo")
    assert weights.cached("demo") is None


def test_a_hash_recorded_at_first_download_is_enforced_later(locked: Path) -> None:
    folder = weights.fetch("demo")
    (folder / "b.bin").unlink()
    (locked / "b.bin").write_bytes(b"changed upstream")
    with pytest.raises(codec_adapters.CheckpointError, match=r"b\.bin.*expected"):
        weights.fetch("demo")


def test_no_network_is_one_clear_line(locked: Path) -> None:
    (locked / "b.bin").unlink()
    with pytest.raises(
        codec_adapters.CheckpointError, match=r"could not be fetched.*--set weights\.demo=FOLDER"
    ) as error:
        weights.fetch("demo")
    assert "\n" not in str(error.value)


def test_every_variants_checkpoint_is_locked() -> None:
    for name in (spec.name for spec in builtin_catalogue().codecs()):
        checkpoint = codec_adapters.spec(name).checkpoint
        assert checkpoint in weights.lock(), name
        assert weights.lock()[checkpoint].licence


def test_lyras_hashes_are_those_of_the_official_files(shared: Path) -> None:
    hashes = weights.checkpoint_hashes("lyra_v2", shared / "weights" / "lyra_v2")
    assert hashes == {file.file: file.sha256 for file in weights.lock()["lyra_v2"].files}
