"""Large downloads that survive a broken connection: what has come stays, and the next try asks for the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import requests

from codecfake_builder.errors import CorpusError
from codecfake_builder.files import write_text
from codecfake_builder.progress import progress, say

TRIES = 5
"""Tries in a row that bring nothing, before giving up."""
PAUSE_SECONDS = 2.0
"""After a try that failed; doubled with each further one."""
SECONDS_OF_SILENCE = 60
_BLOCK = 1 << 16
"""Bytes that a broken connection may cost, though they came."""
_PASSING = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}


def download(url: str, path: Path) -> Path:
    """Fetch ``url`` into ``path``, going on with what an earlier, interrupted call left there.

    Raises:
        CorpusError: the server refuses, sends a part only, or cannot be reached; what has come stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = _size(path)
        try:
            _transfer(url, path)
            return path
        except (*_PASSING, _TryAgainError) as error:
            failures = 1 if _size(path) > before else failures + 1
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            if failures >= TRIES:
                raise CorpusError(
                    f"{url}: broke off {TRIES} times ({reason}); {_size(path) / 1e6:.0f} MB are kept in {path}: run "
                    "the same command again to go on"
                ) from error
            say(f"{url}: broke off after {_size(path) / 1e6:.0f} MB; going on")
            time.sleep(PAUSE_SECONDS * 2 ** (failures - 1))


class _TryAgainError(Exception):
    """The server has a trouble that may pass."""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _transfer(url: str, path: Path) -> None:
    """One try: ask for what is missing, and append it; a server that sends everything anew is taken at its word."""
    there, version = _size(path), path.with_name(f"{path.name}.version")
    headers = {"Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
        if version.is_file():
            headers["If-Range"] = version.read_text(encoding="utf-8")
    with requests.get(url, headers=headers, stream=True, timeout=SECONDS_OF_SILENCE) as answer:
        if url.startswith("https:") and not answer.url.startswith("https:"):
            raise CorpusError(f"{url}: leads on to {answer.url}, which is not https; not followed")
        if answer.status_code == 416 and _total(answer) == there:
            return  # all of it had come already
        if answer.status_code in (200, 416):
            there = 0
        if answer.status_code in _PASSING_STATUS:
            raise _TryAgainError(f"the server answers {answer.status_code} {answer.reason}")
        if answer.status_code == 416:
            path.unlink()
            raise _TryAgainError("the server has another file now")
        if answer.status_code not in (200, 206):
            raise CorpusError(f"{url}: the server answers {answer.status_code} {answer.reason}")
        if tag := answer.headers.get("ETag", ""):
            write_text(version, tag)
        total = _total(answer)
        with path.open("ab" if there else "wb") as stream, progress("downloading", total >> 20, "MB") as advance:
            advance(there >> 20)
            _append(answer, stream.write, advance)
    if total and _size(path) < total:
        raise _TryAgainError(f"{_size(path)} of {total} bytes came")
    version.unlink(missing_ok=True)


def _append(answer: requests.Response, write: Callable[[bytes], object], advance: Callable[[int], None]) -> None:
    came = 0
    for block in answer.iter_content(_BLOCK):
        write(block)
        advance(((came + len(block)) >> 20) - (came >> 20))
        came += len(block)


def _total(answer: requests.Response) -> int:
    """Size of the whole file as the server states it; 0 where it does not."""
    stated = answer.headers.get("Content-Range", "").rpartition("/")[2] or answer.headers.get("Content-Length", "")
    if answer.status_code == 206 and not answer.headers.get("Content-Range"):
        return 0
    return int(stated) if stated.isdigit() else 0
