"""A real HTTP server on this machine that serves one file, as well or as badly as a test asks."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Source:
    """What is served and how. `sent` counts the body's bytes of each answer, `ranges` what was asked for."""

    content: bytes
    url: str = ""
    etag: str | None = '"one"'
    knows_ranges: bool = True
    says_length: bool = True
    announced: int | None = None
    status: int = 200
    location: str = ""
    cut_after: int | None = None
    hold_after: int | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        self.ranges.append(request.headers["Range"])
        self.sent.append(0)
        if self.location:
            request.send_response(302)
            request.send_header("Location", self.location)
            self._end(request, 0)
        elif self.status != 200:
            request.send_response(self.status)
            self._end(request, 0)
        else:
            self._send(request, self._begin(request))

    def _begin(self, request: BaseHTTPRequestHandler) -> int:
        asked = request.headers["Range"]
        same = request.headers["If-Range"] in {None, self.etag}
        if not (asked and self.knows_ranges and same):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, request: BaseHTTPRequestHandler, begin: int) -> None:
        whole = len(self.content)
        if begin >= whole > 0:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{whole}")
            self._end(request, 0)
            return
        request.send_response(206 if begin else 200)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{whole - 1}/{whole}")
        if self.etag:
            request.send_header("ETag", self.etag)
        self._end(request, (self.announced or whole) - begin if self.says_length else None)
        with contextlib.suppress(ConnectionError):  # the other side may hang up: that is what some tests are about
            self._send_body(request, begin)

    def _send_body(self, request: BaseHTTPRequestHandler, begin: int) -> None:
        for start in range(begin, len(self.content), 1000):
            if self.cut_after is not None and self.sent[-1] >= self.cut_after:
                return
            if self.hold_after is not None and self.sent[-1] >= self.hold_after:
                self.held.set()
                self.go_on.wait(10)
            piece = self.content[start : start + 1000]
            request.wfile.write(piece)
            self.sent[-1] += len(piece)

    @staticmethod
    def _end(request: BaseHTTPRequestHandler, length: int | None) -> None:
        if length is not None:
            request.send_header("Content-Length", str(length))
        request.send_header("Connection", "close")
        request.end_headers()


@contextlib.contextmanager
def serving(content: bytes, name: str = "small.safetensors") -> Iterator[Source]:
    """A source that listens on the loopback until the block ends."""
    source = Source(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            source.answer(self)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    source.url = f"http://127.0.0.1:{server.server_port}/{name}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield source
    finally:
        source.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
