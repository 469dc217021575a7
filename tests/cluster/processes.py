"""Server processes that a test session starts: each in a group of its own, all of them ended whatever happens."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_RUNNING: dict[int, subprocess.Popen[bytes]] = {}

HOST = "127.0.0.1"


class ServerFailed(Exception):  # noqa: N818  (what happened, as people say it)
    """A server ended, or did not answer in time; the end of its log is in the message."""


class Server:
    """One process, its log, and how it is killed."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}.log"
        self._command, self._folder = list(command), folder
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it says goes to its log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _RUNNING[self._process.pid] = self._process

    def kill(self) -> None:
        """End it and all that it started, at once, as a power cut would."""
        if self._process is not None:
            _end(self._process)
            _RUNNING.pop(self._process.pid, None)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until it is ready.

        Raises:
            ServerFailed: it ended, or the time was over.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process is not None and self._process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with {self._process.returncode}: {self._words()}")
            if ready():
                return
            time.sleep(0.1)
        raise ServerFailed(f"{self.name} was not ready after {seconds:.0f} s: {self._words()}")

    def _words(self) -> str:
        return self.log.read_bytes()[-2_000:].decode(errors="replace")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens on that port of loopback."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@atexit.register
def _end_all() -> None:
    for process in _RUNNING.values():
        _end(process)
