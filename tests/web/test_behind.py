"""What a server has done in its quiet moments: the chosen pair gets its vectors, and no question waits for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import uvicorn

from archive import bootstrap, changeover, custody, parts
from archive.settings import PairChoice
from archive.web import behind, server
from archive.web.behind import Behind, Quiet
from tests.fakes import TurnedEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from archive.settings import Settings

COMMAND = (sys.executable, "-m", "tests.coloured_archive", "reembed", "--behind")
PATIENCE = 120.0


async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """An application that answers nothing."""


@pytest.fixture
def chosen(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The filled archive, for which another pair was chosen."""
    monkeypatch.setitem(parts.EMBEDDERS, "turned", TurnedEmbedder)
    bootstrap.use_pair(filled, PairChoice("colours", "turned"))
    return filled


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def at_work(settings: Settings, quiet: Quiet, quiet_seconds: float = 0.0) -> Behind:
    return Behind(settings, quiet, COMMAND, quiet_seconds=quiet_seconds, look_again_seconds=0.05)


def test_a_quiet_server_has_the_photos_embedded_until_the_chosen_pair_answers(chosen: Settings) -> None:
    with at_work(chosen, Quiet(nothing)) as working:
        wait_until(lambda: not changeover.is_waiting(chosen))
        wait_until(lambda: working._worker is None)
    with bootstrap.reading(chosen) as reader:
        answering = reader.answering()
        assert answering is not None
        assert answering[1].space == TurnedEmbedder.space
        assert reader.pending(answering[0]) == 0


def test_nothing_is_begun_while_somebody_asks_or_nothing_waits(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_options: begun.append(words))
    with at_work(chosen, Quiet(nothing), quiet_seconds=60.0):
        time.sleep(0.3)
    bootstrap.use_pair(chosen, PairChoice("colours", "colours"))
    with at_work(chosen, Quiet(nothing)):
        time.sleep(0.3)
    assert begun == []


def test_it_ends_with_the_server_whatever_it_is_at(chosen: Settings) -> None:
    with at_work(chosen, Quiet(nothing)) as working:
        wait_until(lambda: working._worker is not None)
        worker = working._worker
    assert worker is not None
    assert worker.poll() is not None
    assert changeover.is_waiting(chosen) or custody.check(chosen, changeover._Nobody(), data=False) == []


def test_a_worker_that_cannot_work_is_not_begun_again_at_once(chosen: Settings) -> None:
    failing = Behind(chosen, Quiet(nothing), (sys.executable, "-c", "raise SystemExit(3)"), quiet_seconds=0.0)
    assert failing._turn() == behind.REST_SECONDS
    assert failing._worker is None


def test_it_is_quiet_since_the_last_answer_and_not_while_one_is_made() -> None:
    seen: list[float] = []

    async def slow(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(0.05)
        seen.append(quiet.seconds)

    async def ask(kind: str) -> None:
        await quiet({"type": kind}, None, None)  # type: ignore[arg-type]  # it passes them on unread

    quiet = Quiet(slow)
    asyncio.run(ask("http"))
    assert seen == [0.0]
    time.sleep(0.02)
    assert quiet.seconds > 0
    asyncio.run(ask("lifespan"))
    assert seen[1] > 0, "that the server lives is no question"


def test_the_server_itself_does_it(chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of it: `archive serve`, with its own application and its own server, and nobody asking."""
    servers: list[uvicorn.Server] = []

    class Kept(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(uvicorn, "Server", Kept)
    monkeypatch.setattr(server, "Behind", lambda settings, quiet: Behind(settings, quiet, COMMAND, quiet_seconds=0.0))
    running = Thread(target=server.serve, args=(chosen, "127.0.0.1", 0, None, lambda _entrance: None))
    running.start()
    wait_until(lambda: not changeover.is_waiting(chosen))
    servers[0].should_exit = True
    running.join(20)
    assert not running.is_alive()
