"""What a server has done while nobody asks it for anything: the photos are embedded with the pair that was chosen.

It is done by a process beside the server, of low priority, that makes one turn of a few seconds whenever it is told
to. So a question never waits for more than the turn that has begun, and that leaves it the processors; what the
process loads is gone with it. It ends with the server, however that ends: its commands come by a pipe.
"""

from __future__ import annotations

import subprocess
import sys
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from archive import changeover
from archive.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from starlette.types import ASGIApp, Receive, Scope, Send

    from archive.settings import Settings

COMMAND = (sys.executable, "-m", "archive", "reembed", "--behind")

QUIET_SECONDS = 10.0
"""So long after the last question the next turn begins."""

LOOK_AGAIN_SECONDS = 2.0
REST_SECONDS = 600.0
"""Pause where the pair cannot be loaded, or cannot answer because too many originals cannot be read."""


class Quiet:
    """An application, and how long nobody has asked it for anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = Lock()
        self._answering = 0
        self._last = monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or the life of the server itself, which nobody waits for."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self._note(1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._note(-1)

    @property
    def seconds(self) -> float:
        """Since the last request was answered; 0 while one is."""
        with self._lock:
            return 0.0 if self._answering else monotonic() - self._last

    def _note(self, more: int) -> None:
        with self._lock:
            self._answering += more
            self._last = monotonic()


class Behind:
    """Re-embedding in the quiet moments of a server. Use it in a `with` block."""

    def __init__(
        self,
        settings: Settings,
        quiet: Quiet,
        command: Sequence[str] = COMMAND,
        *,
        quiet_seconds: float = QUIET_SECONDS,
        look_again_seconds: float = LOOK_AGAIN_SECONDS,
    ) -> None:
        self._settings = settings
        self._quiet = quiet
        self._command = [*command, "--home", str(settings.home)]
        self._quiet_seconds = quiet_seconds
        self._look_again_seconds = look_again_seconds
        self._ended = Event()
        self._worker: subprocess.Popen[str] | None = None
        self._thread = Thread(target=self._run, name="behind", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        worker = self._worker
        if worker is not None:
            worker.terminate()  # what a turn has not added yet is seconds of work, and is done again
        self._thread.join()

    def _run(self) -> None:
        pause = self._look_again_seconds
        while not self._ended.wait(pause):
            if self._quiet.seconds >= self._quiet_seconds:
                pause = self._turn()
        self._let_go()

    def _turn(self) -> float:
        """One turn, if there is anything to do; how long to rest after it."""
        if self._worker is None:
            if not _is_waiting(self._settings):
                return self._look_again_seconds
            self._worker = subprocess.Popen(  # noqa: S603  (our own interpreter, our own module)
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        answer = _ask(self._worker)
        if answer in {"more", "busy"}:
            return 0.0 if answer == "more" else self._look_again_seconds
        self._let_go()
        # Done, or the pair cannot be loaded. Another one may have been chosen meanwhile; it is looked for again.
        return REST_SECONDS if _is_waiting(self._settings) else self._look_again_seconds

    def _let_go(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None


def _ask(worker: subprocess.Popen[str]) -> str:
    """Tell a worker to make a turn; what it says then, or nothing if it has ended."""
    if worker.stdin is None or worker.stdout is None:
        return ""
    try:
        worker.stdin.write("\n")
        worker.stdin.flush()
        return worker.stdout.readline().strip()
    except BrokenPipeError:
        return ""


def _is_waiting(settings: Settings) -> bool:
    try:
        return changeover.is_waiting(settings)
    except ArchiveError:
        return False  # damaged, or of another version: whoever asks a question is told so
