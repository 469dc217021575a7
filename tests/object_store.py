"""A real S3 server in a process of its own, and a line to it that can be disturbed."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from archive.object_store import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 60

_NUMBER = count(1)


@contextmanager
def running() -> Iterator[int | None]:
    """The port of an S3 server while the block runs; None where none is installed."""
    program = shutil.which("moto_server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"moto_server did not come up on port {port}")
            time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()


class Line:
    """A proxy before the server. The next `failing` requests are answered 503, the next `cut` ones broken off."""

    def __init__(self, port: int) -> None:
        self.failing = 0
        self.cut = 0
        self.requests = 0
        self.md5 = ""
        """What the last upload said its bytes were."""
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                line.requests += 1
                if self.command == "PUT":
                    line.md5 = self.headers.get("Content-MD5", "")
                length = int(self.headers.get("content-length", 0))
                if line.cut and length:
                    line.cut -= 1
                    _send_half(port, self.requestline, self.headers.items(), self.rfile.read(length // 2))
                    self.close_connection = True
                    return
                body = self.rfile.read(length)
                if line.failing:
                    line.failing -= 1
                    self._answer(503, [], b"")
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
                upstream.request(self.command, self.path, body, dict(self.headers.items()))
                answer = upstream.getresponse()
                kept = [pair for pair in answer.getheaders() if pair[0].lower() not in HOP_BY_HOP]
                self._answer(answer.status, kept, answer.read())
                upstream.close()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815  (the names that http.server calls)

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                if not any(name.lower() == "content-length" for name, _ in headers):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Take the line down."""
        self._server.shutdown()
        self._server.server_close()


HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


def _send_half(port: int, request: str, headers: list[tuple[str, str]], body: bytes) -> None:
    """Half of a request, as a client sends it that dies."""
    told = "".join(f"{name}: {value}\r\n" for name, value in headers)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{request}\r\n{told}\r\n".encode() + body)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def line() -> Iterator[Line]:
    """The way to an S3 server."""
    pytest.importorskip("s3fs", reason="s3fs is not installed; it comes with archive[cluster]")
    with running() as port:
        if port is None:
            pytest.skip("no S3 server is installed; it comes with archive[cluster-test]")
        line = Line(port)
        yield line
        line.close()


@pytest.fixture
def url(line: Line, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix in a bucket of that server, named and opened as its own tools would."""
    for name, value in {
        "AWS_ENDPOINT_URL": line.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("archive.object_store.TRIES", 3)
    line.failing = line.cut = 0
    bucket = f"bucket-{next(_NUMBER)}"
    Bucket(f"s3://{bucket}")._files.mkdir(bucket)
    return f"s3://{bucket}/of/one"
