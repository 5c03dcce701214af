"""A web server that breaks off, changes its file and answers with errors as a test tells it to."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
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
    """Answers to give instead, one entry used up by each."""
    headers: dict[str, str] = field(default_factory=dict)
    """More headers, of every answer."""
    chunked: bool = False
    """Whether the body comes in chunks, with no length before."""
    pause: float = 0.0
    """Seconds between two bytes of the body."""
    location: str = ""
    """Where every request is sent on to."""
    asked: list[str | None] = field(default_factory=list)
    """``Range`` of each request."""


@contextmanager
def serving_a_file(name: str) -> Iterator[FileServer]:
    """Serve a file under ``name``; its content is set by the test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            known.asked.append(wanted)
            if known.status:
                self._head(known.status.pop(0), 0)
                return
            if known.location:
                self.send_response(302)
                self.send_header("Location", known.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
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
            self._send(body)

        def _send(self, body: bytes) -> None:
            with contextlib.suppress(OSError):  # whoever has enough closes the connection
                if known.chunked:
                    for place in range(0, len(body), 1 << 16):
                        part = body[place : place + (1 << 16)]
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                    self.wfile.write(b"0\r\n\r\n")
                elif known.pause:
                    for byte in body:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(known.pause)
                else:
                    self.wfile.write(body)

        def _head(self, status: int, length: int, content_range: str | None = None) -> None:
            self.send_response(status)
            if known.chunked and length:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(length))
            for name, value in known.headers.items():
                self.send_header(name, value)
            self.send_header("ETag", known.etag)
            if known.modified:
                self.send_header("Last-Modified", known.modified)
            if content_range:
                self.send_header("Content-Range", content_range)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = FileServer(f"http://127.0.0.1:{web.server_port}/{name}")
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield known
    finally:
        web.shutdown()
        web.server_close()
