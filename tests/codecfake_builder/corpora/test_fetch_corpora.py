"""Official corpora: downloads that go on, checked archives, and unpacking that nothing can escape from."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from codec_adapters.errors import CheckpointError
from codec_adapters.files import download as downloading
from codecfake_builder.corpora import official
from codecfake_builder.corpora.archives import unpack
from codecfake_builder.corpora.official import OfficialCorpus, fetch_corpus
from codecfake_builder.errors import CorpusError
from tests.kit.file_server import FileServer, serving_a_file
from tests.kit.synthetic import make_vctk


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(downloading, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(downloading, "_BLOCK", 1000)
    with serving_a_file("VCTK-Corpus-0.92.zip") as server:
        yield server


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
def vctk_entry(server: FileServer, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, OfficialCorpus]:
    server.content = archive
    sha256 = hashlib.sha256(archive).hexdigest()
    entries = {"vctk": OfficialCorpus("vctk", "VCTK", "CC BY 4.0", "page", server.url, len(archive), 1, sha256)}
    monkeypatch.setattr(official, "lock", lambda: entries)
    return entries


def test_a_corpus_is_fetched_checked_and_unpacked(
    server: FileServer, vctk_entry: dict[str, OfficialCorpus], tmp_path: Path, capfd: pytest.CaptureFixture[str]
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
    server: FileServer, vctk_entry: dict[str, OfficialCorpus], tmp_path: Path
) -> None:
    server.content = server.content[:-1] + b"x"
    with pytest.raises(CheckpointError, match=r"has sha256 .*, expected .*; not used"):
        fetch_corpus("vctk", tmp_path)
    assert not (tmp_path / "vctk").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_without_a_known_hash_the_first_one_counts(
    server: FileServer, vctk_entry: dict[str, OfficialCorpus], tmp_path: Path
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
