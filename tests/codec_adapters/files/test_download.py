"""Downloads: resumed, tried again, never glued together from two versions, never led from https to http."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from codec_adapters.errors import CheckpointError, DownloadError
from codec_adapters.files import download as downloading
from codec_adapters.files import weights
from codec_adapters.files.download import download
from codec_adapters.files.pinned import NamedFile
from tests.kit.file_server import FileServer, serving_a_file


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving_a_file("x") as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(downloading, "_BLOCK", 1000)


def test_a_broken_connection_is_taken_up_where_it_broke(server: FileServer, tmp_path: Path) -> None:
    server.content = bytes(range(256)) * 5000
    server.break_after = [300_000, 0, 400_000]
    assert download(server.url, tmp_path / "x").read_bytes() == server.content
    assert server.asked == [None, "bytes=300000-", "bytes=300000-", "bytes=700000-"]


def test_what_came_stays_for_the_next_call(server: FileServer, tmp_path: Path) -> None:
    server.content = b"0123456789" * 1000
    server.break_after = [4000] + [0] * downloading.TRIES
    with pytest.raises(DownloadError, match=r"broke off 5 times .* run the same command again") as caught:
        download(server.url, tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "x").stat().st_size == 4000
    assert download(server.url, tmp_path / "x").read_bytes() == server.content
    assert server.asked[-1] == "bytes=4000-"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_another_file_on_the_server_is_not_glued_to_the_old_one(server: FileServer, tmp_path: Path) -> None:
    server.content = b"a" * 10_000
    server.break_after = [4000] + [0] * downloading.TRIES
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "x")
    server.content, server.etag = b"b" * 9_000, '"2"'
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


def test_a_weak_tag_gives_way_to_the_date(server: FileServer, tmp_path: Path) -> None:
    server.content, server.etag, server.modified = b"a" * 10_000, 'W/"1"', "Mon, 01 Jun 2026 00:00:00 GMT"
    server.break_after = [4000]
    assert download(server.url, tmp_path / "x").read_bytes() == server.content
    assert server.asked == [None, "bytes=4000-"]
    (tmp_path / "x").write_bytes(b"c" * 5000)
    (tmp_path / "x.version").write_text("Sun, 31 May 2026 00:00:00 GMT")
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


def test_a_weak_tag_alone_fetches_anew(server: FileServer, tmp_path: Path) -> None:
    server.content, server.etag = b"a" * 10_000, 'W/"1"'
    server.break_after = [4000] + [0] * downloading.TRIES
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "x")
    server.content = b"b" * 9_000
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


def test_https_never_leads_to_http(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_servers_that_know_no_ranges_start_anew(server: FileServer, tmp_path: Path) -> None:
    server.content, server.ranges = b"a" * 10_000, False
    server.break_after = [4000]
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


def test_a_download_that_was_whole_already(server: FileServer, tmp_path: Path) -> None:
    server.content = b"a" * 100
    (tmp_path / "x").write_bytes(server.content)
    assert download(server.url, tmp_path / "x").read_bytes() == server.content
    (tmp_path / "x").write_bytes(b"c" * 300)
    assert download(server.url, tmp_path / "x").read_bytes() == server.content


@pytest.mark.slow
@pytest.mark.parametrize(("statuses", "fails"), [([503, 429], False), ([404], True), ([403], True)])
def test_answers_that_may_pass_and_such_that_do_not(
    server: FileServer, tmp_path: Path, statuses: list[int], fails: bool
) -> None:
    server.content, server.status = b"a", list(statuses)
    if fails:
        with pytest.raises(DownloadError, match=f"answers {statuses[0]}"):
            download(server.url, tmp_path / "x")
    else:
        assert download(server.url, tmp_path / "x").read_bytes() == b"a"


def test_weights_are_taken_up_where_they_broke_off(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODECFAKE_CACHE", str(tmp_path))
    entry = weights.LockedCheckpoint("demo", "MIT", (NamedFile(file="x"),), url=server.url.removesuffix("/x"))
    monkeypatch.setattr(weights, "lock", lambda: {"demo": entry})
    server.content = b"0123456789" * 1000
    server.break_after = [4000] + [0] * downloading.TRIES
    with pytest.raises(CheckpointError, match=r"could not be fetched .* broke off 5 times") as caught:
        weights.fetch("demo")
    assert "\n" not in str(caught.value)
    assert (weights.fetch("demo") / "x").read_bytes() == server.content
    assert server.asked[-1] == "bytes=4000-"


@pytest.mark.parametrize("chunked", [False, True])
def test_no_more_is_taken_than_the_file_may_have(chunked: bool, server: FileServer, tmp_path: Path) -> None:
    server.content, server.chunked = b"x" * 300_000, chunked
    with pytest.raises(DownloadError, match=r"more than the (100000 bytes )?(100000 )?that it may have"):
        download(server.url, tmp_path / "x", most=100_000)
    assert not (tmp_path / "x").exists()
    assert download(server.url, tmp_path / "x", most=300_000).stat().st_size == 300_000


def test_a_packed_answer_is_not_taken(server: FileServer, tmp_path: Path) -> None:
    server.content, server.headers = gzip.compress(bytes(1 << 24)), {"Content-Encoding": "gzip"}
    with pytest.raises(DownloadError, match=r"sends it packed \(gzip\)"):
        download(server.url, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_server_that_hardly_sends_anything_is_given_up(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "SECONDS_OF_SILENCE", 0.2)
    monkeypatch.setattr(downloading, "TRIES", 2)
    server.content, server.pause = b"x" * 100_000, 0.02
    with pytest.raises(DownloadError, match=r"broke off 2 times \(only \d+ bytes came in"):
        download(server.url, tmp_path / "x")


@pytest.mark.parametrize(
    "target", ["http://example.org/x", "ftp://example.org/x", "file:///etc/passwd", "//example.org/x"]
)
def test_every_address_on_the_way_is_https(target: str, server: FileServer, tmp_path: Path) -> None:
    server.location = target
    with pytest.raises(DownloadError, match="which is not https; not followed"):
        download(server.url, tmp_path / "x")
    if not target.startswith("//"):
        with pytest.raises(DownloadError, match=f"{target}: is not https; not followed"):
            download(target, tmp_path / "x")
