"""Checkpoints out of a zip archive, and single files from elsewhere: downloaded once, checked, put in their places."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from codec_adapters.errors import CheckpointError
from codec_adapters.files import weights
from codec_adapters.files.pinned import NamedFile
from codec_adapters.files.weights import LockedCheckpoint


@dataclass
class Server:
    """A web server of the files in ``content``, which remembers what it was asked for."""

    url: str
    content: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append(self.path)
            found = known.content.get(self.path)
            self.send_response(200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *args: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Server(f"http://127.0.0.1:{web.server_port}")
    Thread(target=web.serve_forever, daemon=True).start()
    yield known
    web.shutdown()
    web.server_close()


def archive_of(**members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return stream.getvalue()


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, LockedCheckpoint]:
    entries: dict[str, LockedCheckpoint] = {}
    monkeypatch.setattr(weights, "lock", lambda: entries)
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path / "cache"))
    return entries


def entry(name: str, archive: str, *files: str, archive_sha256: str | None = None) -> LockedCheckpoint:
    locked = tuple(NamedFile(file=file) for file in files)
    return LockedCheckpoint(name, "none", locked, archive=archive, archive_sha256=archive_sha256)


def test_checkpoints_of_one_archive_download_it_once(server: Server, lock: dict[str, LockedCheckpoint]) -> None:
    server.content["/exp.zip"] = archive_of(exp__a__model="A", exp__b__model="B", other="C")
    url = f"{server.url}/exp.zip"
    lock["a"] = entry("a", url, "exp/a/model")
    lock["both"] = entry("both", url, "exp/a/model", "exp/b/model")
    assert (weights.fetch("a") / "exp/a/model").read_text() == "A"
    assert (weights.fetch("both") / "exp/b/model").read_text() == "B"
    assert weights.cached("both") == weights.fetch("both")
    assert server.asked == ["/exp.zip"]
    assert not (weights.fetch("a") / "other").exists()


def test_members_cannot_leave_the_folder(server: Server, lock: dict[str, LockedCheckpoint], tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../../evil", "evil")
        archive.writestr("/evil", "evil")
        archive.writestr("model", "good")
    server.content["/exp.zip"] = stream.getvalue()
    lock["a"] = entry("a", f"{server.url}/exp.zip", "exp/model")
    assert (weights.fetch("a") / "exp/model").read_text() == "good"
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [(archive_of(other="x"), "the archive holds no exp/model"), (b"no zip", "zip"), (None, "404")],
    ids=["member missing", "no archive", "not there"],
)
def test_archives_that_cannot_be_used(
    server: Server, lock: dict[str, LockedCheckpoint], content: bytes | None, reason: str
) -> None:
    if content is not None:
        server.content["/exp.zip"] = content
    lock["a"] = entry("a", f"{server.url}/exp.zip", "exp/model")
    with pytest.raises(CheckpointError, match=reason) as caught:
        weights.fetch("a")
    assert "\n" not in str(caught.value)


def test_a_download_that_was_cut_short_is_forgotten(server: Server, lock: dict[str, LockedCheckpoint]) -> None:
    whole = archive_of(exp__model="x")
    server.content["/exp.zip"] = whole[:-10]
    lock["a"] = entry("a", f"{server.url}/exp.zip", "exp/model")
    with pytest.raises(CheckpointError, match="or a part of one"):
        weights.fetch("a")
    server.content["/exp.zip"] = whole
    assert (weights.fetch("a") / "exp/model").read_text() == "x"


def test_another_archive_than_the_locked_one_is_refused(server: Server, lock: dict[str, LockedCheckpoint]) -> None:
    server.content["/exp.zip"] = archive_of(exp__model="x")
    lock["a"] = entry("a", f"{server.url}/exp.zip", "exp/model", archive_sha256="0" * 64)
    with pytest.raises(CheckpointError, match="expected 0000"):
        weights.fetch("a")
    assert weights.cached("a") is None


def test_a_file_that_changed_since_its_first_download_is_refused(
    server: Server, lock: dict[str, LockedCheckpoint]
) -> None:
    server.content["/config.json"] = b"{}"
    lock["a"] = LockedCheckpoint(
        "a", "none", (NamedFile(file="config.json"),), hub="x/y", urls={"config.json": f"{server.url}/config.json"}
    )
    folder = weights.fetch("a")
    assert (folder / "config.json").read_text() == "{}"
    (folder / "config.json").unlink()
    server.content["/config.json"] = b"{ }"
    with pytest.raises(CheckpointError, match="not used"):
        weights.fetch("a")
