"""`archive serve` as a process, and the shell beside it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from http.client import HTTPConnection
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import uvicorn

from archive import remote, running
from archive.types import Query
from archive.web import server
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.settings import Settings
    from archive.web.server import Entrance
    from tests.commands import Commands


@pytest.fixture
def entrance(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entrance]:
    """A server of the filled archive, in a thread of this process."""
    servers: list[uvicorn.Server] = []

    class Kept(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(uvicorn, "Server", Kept)
    found: list[Entrance] = []
    thread = Thread(target=server.serve, args=(filled, "127.0.0.1", 0, None, found.append))
    thread.start()
    while not (servers and servers[0].started):
        thread.join(0.02)
        assert thread.is_alive() or servers
    yield found[0]
    servers[0].should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_the_address_holds_the_token_where_no_server_sees_it(entrance: Entrance) -> None:
    assert re.fullmatch(rf"http://127\.0\.0\.1:{entrance.port}/enter#[\w-]{{32}}", entrance.url)


def test_the_announcement_is_for_the_owner_alone_and_goes_with_the_server(entrance: Entrance, filled: Settings) -> None:
    path = filled.home / running.NAME
    assert path.stat().st_mode & 0o777 == 0o600
    contact = running.find(filled.home)
    assert contact is not None
    assert (contact.port, contact.token) == (entrance.port, entrance.token)


@pytest.mark.usefixtures("entrance")
@pytest.mark.parametrize("words", [["red"], ["red", "--limit", 1], ["purple"], ["red", "--after", "2026-11-20T08:40Z"]])
def test_a_query_asks_the_running_server_and_prints_the_same(
    archive: Commands, filled: Settings, words: list[str]
) -> None:
    warm, warm_object = archive("query", *words), archive("query", *words, "--json").object
    (filled.home / running.NAME).unlink()
    alone, alone_object = archive("query", *words), archive("query", *words, "--json").object
    assert (warm.code, warm.out) == (alone.code, alone.out)
    assert warm_object.pop("server").startswith("http://127.0.0.1:")
    for one in (warm_object, alone_object):
        del one["took_ms"]
    assert warm_object == alone_object


@pytest.mark.usefixtures("entrance")
def test_a_query_that_a_server_answers_needs_no_numpy(filled: Settings) -> None:
    code = f"""
import sys
from archive.cli import run
run(["query", "red", "--json", "--home", {str(filled.home)!r}])
print(sorted({{"numpy", "http.client", "ssl"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    answer, loaded = done.stdout.splitlines()
    assert "server" in json.loads(answer)
    assert loaded == "[]"


@pytest.mark.usefixtures("entrance")
def test_what_the_server_refuses_is_answered_without_it(archive: Commands) -> None:
    assert "server" not in archive("query", "red", "--limit", 501, "--json").object


def test_a_server_that_is_gone_or_deaf_costs_no_answer(archive: Commands, filled: Settings) -> None:
    for pid, port in ((2**22 + 1, 9), (1, 9)):
        (filled.home / running.NAME).write_text(json.dumps({"pid": pid, "port": port, "token": "x"}))
        assert "server" not in archive("query", "red", "--json").object
    (filled.home / running.NAME).write_text("half a fi")
    assert archive("query", "red").code == 0


def test_another_archives_server_is_not_asked(entrance: Entrance, filled: Settings) -> None:
    assert remote.ask(Query("red"), filled.home.parent) is None
    assert entrance.port


def test_a_raw_request_that_makes_no_sense_ends_nothing(entrance: Entrance) -> None:
    for request in (b"GET /\r\n\r\n", b"\x00" * 64, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"G" * 70_000):
        connection = HTTPConnection("127.0.0.1", entrance.port, timeout=10)
        connection.connect()
        connection.sock.sendall(request)
        assert b" 200 " not in connection.sock.recv(200)
        connection.close()
    connection = HTTPConnection("127.0.0.1", entrance.port, timeout=10)
    connection.request("GET", "/api/v1/photos", headers={"Authorization": f"Bearer {entrance.token}"})
    assert connection.getresponse().status == 200
    connection.close()


def test_a_port_that_is_taken_is_said_with_what_to_do(archive: Commands, entrance: Entrance) -> None:
    done = archive("serve", "--port", entrance.port)
    assert done.code == 3
    assert "--port" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::"])
def test_others_are_let_in_only_with_a_password(
    archive: Commands, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARCHIVE_PASSWORD", raising=False)
    done = archive("serve", "--address", address, "--port", 0)
    assert done.code == 2
    assert "ARCHIVE_PASSWORD" in done.err


def test_an_address_that_is_a_name_is_refused(archive: Commands) -> None:
    assert archive("serve", "--address", "localhost.example").code == 2
