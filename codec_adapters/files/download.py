"""The one downloader for https addresses: resumed, tried again, checked. Files of the hub come through its own client.

Connecting and answers that may pass (503 and the like) are tried again by urllib3's ``Retry``. Taking up a broken
transfer is done here, since no library at hand resumes safely: huggingface_hub's ``http_get`` asks for a range without
``If-Range``, so that a file which was replaced on the server meanwhile is glued to the old part, and pooch and fsspec
start anew.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from codec_adapters.errors import CheckpointError, DownloadError, first_line
from codec_adapters.files.hashing import sha256_of

TRIES = 5
"""Tries in a row that bring nothing, before giving up."""
PAUSE_SECONDS = 2.0
"""After a try that failed; doubled with each further one."""
SECONDS_OF_SILENCE = 60
"""How long nothing may come, and the time in which :data:`LEAST_PROGRESS` has to."""
LEAST_PROGRESS = 1 << 14
"""Bytes; a server that sends one now and then would hold a download for ever."""
MOST_BYTES = 1 << 36
"""Of a file whose size is not known before."""
HASHES_FILE = "hashes.json"
"""Beside downloaded files: the sha256 that each had when it was first downloaded."""
_BLOCK = 1 << 16
"""Bytes that a broken connection may cost, though they came."""
_BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)

Report = Callable[[int], None]
"""Takes the number of bytes of the file that are there."""


def download(url: str, path: Path, report: Report = lambda there: None, most: int = MOST_BYTES) -> Path:
    """Fetch ``url`` into ``path``, going on with what an earlier, interrupted call left there.

    What the server says of the file's version (``ETag`` or ``Last-Modified``) lies beside an unfinished file, so that
    another version is fetched anew; a server that says nothing of it is trusted to have the same file still. Every
    address on the way is https (but for a server on this very machine).

    Args:
        report: is called with the number of bytes that are there, after each block.
        most: bytes that are taken at most.

    Raises:
        DownloadError: the server refuses, sends a part only, more than ``most``, something packed, or hardly anything,
            or it cannot be reached; what has come of the right file stays.
    """
    _refuse_open(url, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = _size(path)
        try:
            with _session(patient=before > 0) as session:
                _transfer(session, url, path, report, most)
            return path
        except _BrokenOffError as error:
            failures = 1 if _size(path) - before >= LEAST_PROGRESS else failures + 1
            if failures >= TRIES:
                raise _gave_up(url, path, str(error)) from error
            logging.getLogger(__name__).warning("%s: broke off after %.0f MB; going on", url, _size(path) / 1e6)
            time.sleep(PAUSE_SECONDS * 2 ** (failures - 1))


class _BrokenOffError(Exception):
    """A transfer that had begun ended before its end."""


def _session(patient: bool) -> requests.Session:
    """A session that tries again to connect, and after answers that may pass.

    An address of which nothing has come yet may not exist: where ``patient`` is not set, connecting is tried twice.
    """
    retry = Retry(
        TRIES - 1,
        connect=None if patient else 1,
        status_forcelist=_PASSING_STATUS,
        allowed_methods=["GET"],
        backoff_factor=PAUSE_SECONDS,
        raise_on_status=False,
        respect_retry_after_header=False,  # which may ask for hours
    )
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    session.hooks["response"].append(_refuse_downgrade)
    return session


def _refuse_downgrade(answer: requests.Response, **_: object) -> None:
    """Stop before a redirect to something else than https is followed."""
    target = urljoin(answer.url, answer.headers.get("Location", ""))
    if answer.is_redirect and answer.url.startswith("https:") and not target.startswith("https:"):
        raise DownloadError(f"{answer.url}: leads on to {target}, which is not https; not followed")
    if answer.is_redirect:
        _refuse_open(target, f"{answer.url}: leads on to ")


def _refuse_open(url: str, before: str) -> None:
    """Refuse an address that is not https, unless it is this machine's own."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        raise DownloadError(f"{before}{url}{', which' if before else ':'} is not https; not followed")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _gave_up(url: str, path: Path, reason: str) -> DownloadError:
    there = _size(path)
    kept = f"; {there / 1e6:.0f} MB are kept in {path}: run the same command again to go on" if there else ""
    return DownloadError(f"{url}: broke off {TRIES} times ({reason}){kept}")


def _reason(error: Exception) -> str:
    return first_line(error)[:200]


def _transfer(session: requests.Session, url: str, path: Path, report: Report, most: int) -> None:
    """Ask for what is missing, and append it; a server that sends everything anew is taken at its word."""
    there, version = _size(path), path.with_name(f"{path.name}.version")
    headers = {"Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
        if version.is_file():
            headers["If-Range"] = version.read_text(encoding="utf-8")
    try:
        answer = session.get(url, headers=headers, stream=True, timeout=SECONDS_OF_SILENCE)
    except _BROKEN as error:
        if there:
            raise _gave_up(url, path, _reason(error)) from error
        raise DownloadError(f"{url}: cannot be reached ({_reason(error)})") from error
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {_reason(error)}") from error
    with answer:
        total = _total(answer)
        if answer.status_code == 416 and total == there:
            return  # all of it had come already
        if answer.status_code == 416:
            path.unlink()
            raise _BrokenOffError("the server has another file now")
        if answer.status_code in _PASSING_STATUS:
            raise _gave_up(url, path, f"the server answers {answer.status_code} {answer.reason}")
        if answer.status_code not in (200, 206):
            raise DownloadError(f"{url}: the server answers {answer.status_code} {answer.reason}")
        if (packing := answer.headers.get("Content-Encoding", "identity").lower()) not in ("", "identity"):
            raise DownloadError(f"{url}: the server sends it packed ({packing}), which was not asked for; not taken")
        if total > most:
            raise DownloadError(f"{url}: has {total} bytes, more than the {most} that it may have; not taken")
        _append(answer, path, there if answer.status_code == 206 else 0, report, most)
    if total and _size(path) < total:
        raise _BrokenOffError(f"{_size(path)} of {total} bytes came")
    version.unlink(missing_ok=True)


def _append(answer: requests.Response, path: Path, there: int, report: Report, most: int) -> None:
    """Write the answer's body after the first ``there`` bytes of the file."""
    since, before = time.monotonic(), there
    with path.open("ab" if there else "wb") as stream:
        _note_version(answer, path.with_name(f"{path.name}.version"))
        report(there)
        try:
            while block := answer.raw.read1(_BLOCK, decode_content=False):
                stream.write(block)
                there += len(block)
                report(there)
                if there > most:
                    break
                if (now := time.monotonic()) - since > SECONDS_OF_SILENCE:
                    if there - before < LEAST_PROGRESS:
                        raise _BrokenOffError(f"only {there - before} bytes came in {now - since:.0f} s")
                    since, before = now, there
        except (*_BROKEN, HTTPError, OSError) as error:
            raise _BrokenOffError(_reason(error)) from error
    if there > most:
        path.unlink()
        raise DownloadError(f"{answer.url}: sends more than the {most} bytes that it may have; not kept")


def _note_version(answer: requests.Response, path: Path) -> None:
    """Write what tells this version of the file from others, if the server says anything of it.

    A weak tag comes last: no server resumes by it (RFC 9110, 13.1.5), it sends the whole file.
    """
    tag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
    if version := (modified or tag) if tag.startswith("W/") else (tag or modified):
        path.write_text(version, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _total(answer: requests.Response) -> int:
    """Size of the whole file in bytes as the server states it; 0 where it does not."""
    stated = answer.headers.get("Content-Range", "").rpartition("/")[2] or answer.headers.get("Content-Length", "")
    if answer.status_code == 206 and not answer.headers.get("Content-Range"):
        return 0
    return int(stated) if stated.isdigit() else 0


def keep_download(partial: Path, folder: Path, name: str, expected: str | None, what: str) -> Path:
    """Move a complete download to its place, unless its hash is wrong, and record the hash; return the place.

    Args:
        partial: the downloaded file; it is deleted where its hash is wrong.
        folder: where it goes under ``name``; hashes of earlier downloads are recorded there.
        expected: sha256, or ``None`` for the recorded one, if there is one.
        what: the download in words, for the error.

    Raises:
        CheckpointError: the hash differs from the expected or recorded one.
    """
    hashes = _recorded_hashes(folder)
    found = sha256_of(partial)
    expected = expected or hashes.get(name)
    if expected and found != expected:
        partial.unlink()
        raise CheckpointError(f"{what} has sha256 {found}, expected {expected}; not used")
    hashes[name] = found
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    (folder / HASHES_FILE).write_text(json.dumps(hashes, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return target


def _recorded_hashes(folder: Path) -> dict[str, str]:
    path = folder / HASHES_FILE
    if not path.is_file():
        return {}
    hashes: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return hashes
