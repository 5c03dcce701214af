"""Official corpora: resumed downloads, checked archives, and unpacking that nothing can escape from."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from codec_adapters.errors import CheckpointError, DownloadError
from codec_adapters.files import download as downloading
from codec_adapters.files.download import download
from codecfake_builder.corpora import official
from codecfake_builder.corpora.archives import unpack
from codecfake_builder.corpora.official import OfficialCorpus, fetch_corpus
from codecfake_builder.errors import CorpusError
from tests.kit.synthetic import make_vctk


@dataclass
class Server:
    """A web server of one file, which breaks off after as many bytes per answer as it is told."""

    url: str = ""
    content: bytes = b""
    etag: str = '"1"'
    modified: str = ""
    """``Last-Modified``, which counts where the tag is weak."""
    break_after: list[int] = field(default_factory=list)
    """Bytes per answer, one entry used up by each; then whole answers."""
    ranges: bool = True
    status: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            known.asked.append(wanted)
            if known.status:
                self._head(known.status.pop(0), 0)
                return
            start = int(re.findall(r"\d+", wanted)[0]) if wanted and known.ranges else 0
            version = known.modified if known.etag.startswith("W/") else known.etag
            if wanted and self.headers.get("If-Range", version) != version:
                start = 0
            total = len(known.content)
            if start >= total:
                self._head(416, 0, f"bytes */{total}")
                return
            self._head(206 if start else 200, total - start, f"bytes {start}-{total - 1}/{total}" if start else None)
            body = known.content[start:]
            if known.break_after:
                body = body[: known.break_after.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

        def _head(self, status: int, length: int, content_range: str | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.send_header("ETag", known.etag)
            if known.modified:
                self.send_header("Last-Modified", known.modified)
            if content_range:
                self.send_header("Content-Range", content_range)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Server(f"http://127.0.0.1:{web.server_port}/VCTK-Corpus-0.92.zip")
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield known
    web.shutdown()
    web.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(downloading, "_BLOCK", 1000)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small VCTK as a zip archive."""
    root = make_vctk(tmp_path_factory.mktemp("vctk"), ("p225",), 2)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as members:
        for path in sorted(root.rglob("*")):
            members.write(path, path.relative_to(root).as_posix())
    return stream.getvalue()


@pytest.fixture
def vctk_entry(server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, OfficialCorpus]:
    server.content = archive
    sha256 = hashlib.sha256(archive).hexdigest()
    entries = {"vctk": OfficialCorpus("vctk", "VCTK", "CC BY 4.0", "page", server.url, len(archive), 1, sha256)}
    monkeypatch.setattr(official, "lock", lambda: entries)
    return entries


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.content = bytes(range(256)) * 5000
    server.break_after = [300_000, 0, 400_000]
    assert download(server.url, tmp_path / "x").read_bytes() == server.content
    assert server.asked == [None, "bytes=300000-", "bytes=300000-", "bytes=700000-"]


def test_what_came_stays_for_the_next_call(server: Server, tmp_path: Path) -> None:
    server.content = b"0123456789" * 1000
    server.break_after = [4000] + [0] * downloading.TRIES
    with pytest.raises(DownloadError, match=r"broke off 5 times .* run the same command again") as caught:
        download(server.url, tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "x").stat().st_size == 4000
    assert download(server.url, tmp_path / "x").read_bytes() == server.content
    assert server.asked[-1] == "bytes=4000-"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_another_file_on_the_server_is_not_glued_to_the_old_one(server: Server, tmp_path: Path) -> None:
    server.content = b"a" * 10_000
    server.break_after = [4000] + [0] * downloading.TRIES
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "x")
    server.content, server.etag = b"b" * 9_000, '"2"'
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


def test_a_weak_tag_gives_way_to_the_date(server: Server, tmp_path: Path) -> None:
    server.content, server.etag, server.modified = b"a" * 10_000, 'W/"1"', "Mon, 01 Jun 2026 00:00:00 GMT"
    server.break_after = [4000]
    assert download(server.url, tmp_path / "x").read_bytes() == server.content
    assert server.asked == [None, "bytes=4000-"]
    (tmp_path / "x").write_bytes(b"c" * 5000)
    (tmp_path / "x.version").write_text("Sun, 31 May 2026 00:00:00 GMT")
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


def test_a_weak_tag_alone_fetches_anew(server: Server, tmp_path: Path) -> None:
    server.content, server.etag = b"a" * 10_000, 'W/"1"'
    server.break_after = [4000] + [0] * downloading.TRIES
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "x")
    server.content = b"b" * 9_000
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


def test_https_never_leads_to_http(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def redirect(adapter: HTTPAdapter, request: requests.PreparedRequest, **_: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.url, answer.raw, answer.request = 302, str(request.url), io.BytesIO(), request
        answer.headers["Location"] = server.url
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", redirect)
    with pytest.raises(DownloadError, match=f"https://example.org/x: leads on to {server.url}, which is not https"):
        download("https://example.org/x", tmp_path / "x")
    assert not server.asked


def test_an_address_that_does_not_answer_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:1/x: cannot be reached \(") as caught:
        download("http://127.0.0.1:1/x", tmp_path / "x")
    assert "\n" not in str(caught.value)


def test_servers_that_know_no_ranges_start_anew(server: Server, tmp_path: Path) -> None:
    server.content, server.ranges = b"a" * 10_000, False
    server.break_after = [4000]
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


def test_a_download_that_was_whole_already(server: Server, tmp_path: Path) -> None:
    server.content = b"a" * 100
    (tmp_path / "x").write_bytes(server.content)
    assert download(server.url, tmp_path / "x").read_bytes() == server.content
    (tmp_path / "x").write_bytes(b"c" * 300)
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


@pytest.mark.parametrize(("statuses", "fails"), [([503, 429], False), ([404], True), ([403], True)])
def test_answers_that_may_pass_and_such_that_do_not(
    server: Server, tmp_path: Path, statuses: list[int], fails: bool
) -> None:
    server.content, server.status = b"a", list(statuses)
    if fails:
        with pytest.raises(DownloadError, match=f"answers {statuses[0]}"):
            download(server.url, tmp_path / "x")
    else:
        assert download(server.url, tmp_path / "x").read_bytes() == b"a"


def test_a_corpus_is_fetched_checked_and_unpacked(
    server: Server, vctk_entry: dict[str, OfficialCorpus], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server.break_after = [1000]
    folder = fetch_corpus("vctk", tmp_path)
    assert folder == tmp_path / "vctk"
    assert (folder / "wav48_silence_trimmed" / "p225" / "p225_001_mic1.flac").is_file()
    said = capfd.readouterr().err.splitlines()
    assert "licence CC BY 4.0 (page); about 0.0 GB to download" in said[0]
    assert f"2 utterances; use it with --set corpora.vctk.root={folder}" in said[-1]
    assert not list(tmp_path.rglob("*.zip"))
    asked = len(server.asked)
    assert fetch_corpus("vctk", tmp_path) == folder
    assert len(server.asked) == asked


def test_another_archive_than_the_official_one_is_refused(
    server: Server, vctk_entry: dict[str, OfficialCorpus], tmp_path: Path
) -> None:
    server.content = server.content[:-1] + b"x"
    with pytest.raises(CheckpointError, match=r"has sha256 .*, expected .*; not used"):
        fetch_corpus("vctk", tmp_path)
    assert not (tmp_path / "vctk").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_without_a_known_hash_the_first_one_counts(
    server: Server, vctk_entry: dict[str, OfficialCorpus], tmp_path: Path
) -> None:
    entry = vctk_entry["vctk"]
    vctk_entry["vctk"] = OfficialCorpus("vctk", entry.title, entry.licence, entry.page, entry.url, entry.size, 1)
    whole = server.content
    server.content = b"<html>busy</html>"
    with pytest.raises(CorpusError, match="damaged, or no archive"):
        fetch_corpus("vctk", tmp_path)
    server.content = whole
    folder = fetch_corpus("vctk", tmp_path)
    folder.rename(tmp_path / "old")
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as members:
        members.writestr("wav48/p225/p225_001.wav", "x")
    server.content = stream.getvalue()
    with pytest.raises(CheckpointError, match="not used"):
        fetch_corpus("vctk", tmp_path)


def test_corpora_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"NCSSD has no public archive .*ask on that page"):
        fetch_corpus("ncssd", tmp_path)
    huge = OfficialCorpus("vctk", "VCTK", "CC BY 4.0", "page", "https://127.0.0.1:1/x.zip", 10**18, 10**18)
    monkeypatch.setattr(official, "lock", lambda: {"vctk": huge})
    with pytest.raises(CorpusError, match=r"needs 2000000000\.0 GB"):
        fetch_corpus("vctk", tmp_path)


def test_every_entry_of_the_lock_is_complete() -> None:
    for entry in official.lock().values():
        assert entry.licence
        assert entry.page.startswith("https://")
        assert (entry.url or "https://").startswith("https://")
        assert bool(entry.url) != bool(entry.how)
        assert not entry.url or entry.size > 10**9 < entry.unpacked
        assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)


def tar_of(kind: str, name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        good = tarfile.TarInfo("good/file")
        good.size = 4
        archive.addfile(good, io.BytesIO(b"good"))
        item = tarfile.TarInfo(name)
        item.type = {"file": tarfile.REGTYPE, "symlink": tarfile.SYMTYPE, "link": tarfile.LNKTYPE}.get(
            kind, tarfile.FIFOTYPE
        )
        item.linkname = "/etc/passwd" if kind == "symlink" else "good/file"
        archive.addfile(item, io.BytesIO(b""))
    return stream.getvalue()


def zip_of(kind: str, name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("good/file", "good")
        item = zipfile.ZipInfo(name)
        item.external_attr = (0o120777 if kind == "symlink" else 0o100644) << 16
        archive.writestr(item, "/etc/passwd")
    return stream.getvalue()


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("file", "../evil", "leads out"),
        ("file", "/evil", "leads out"),
        ("file", "a/../../evil", "leads out"),
        ("file", "..\\evil", "leads out"),
        ("file", "C:/evil", "leads out"),
        ("symlink", "evil", "is a link"),
    ],
)
def test_malicious_archives_leave_nothing(tmp_path: Path, make: object, kind: str, name: str, words: str) -> None:
    archive = tmp_path / "in" / "archive"
    archive.parent.mkdir()
    archive.write_bytes(make(kind, name))  # type: ignore[operator]
    with pytest.raises(CorpusError, match=words):
        unpack(archive, tmp_path / "in" / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "archive"]


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_links_and_devices_in_tar_archives(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.tgz").write_bytes(tar_of(kind, "evil"))
    with pytest.raises(CorpusError, match=r"is a (link|device), which is not unpacked"):
        unpack(tmp_path / "a.tgz", tmp_path / "out")


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_good_and_damaged_archives(tmp_path: Path, make: object) -> None:
    data: bytes = make("file", "b/c")  # type: ignore[operator]
    (tmp_path / "a").write_bytes(data)
    unpack(tmp_path / "a", tmp_path / "out")
    assert (tmp_path / "out" / "good" / "file").read_text() == "good"
    assert (tmp_path / "out" / "b" / "c").is_file()
    (tmp_path / "a").write_bytes(data[: len(data) // 2])
    with pytest.raises(CorpusError, match="damaged, or no archive"):
        unpack(tmp_path / "a", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from codecfake_builder.corpora import archives

    monkeypatch.setattr(archives, "KEEP_FREE", 1 << 60)
    (tmp_path / "a").write_bytes(zip_of("file", "x"))
    with pytest.raises(CorpusError, match="no room"):
        unpack(tmp_path / "a", tmp_path / "out")
