"""How far a running ingest is, in a small file that other processes read: nothing rests on it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

NAME = "ingest.json"
EVERY = 0.5
"""Seconds between two writes."""


class Watcher(Protocol):
    """Is told how a run goes."""

    def begin(self, files: int) -> None:
        """The run has found so many files."""

    def step(self) -> None:
        """One more file is done."""


class Progress(NamedTuple):
    """Files that are done, of those that were found so far; `began` is in epoch seconds."""

    done: int
    total: int
    began: float


class Told:
    """A watcher that writes what it is told to the archive's home, and passes it on to another.

    Use it in a `with` block: the file is gone when the run ends. A disk that is full does not end a run for this.
    """

    def __init__(self, home: Path, watcher: Watcher) -> None:
        self._path = home / NAME
        self._watcher = watcher
        self._began = time()
        self._done = self._total = 0
        self._written = -EVERY

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a file that stays is known to be old by its process, which is gone
            self._path.unlink(missing_ok=True)

    def begin(self, files: int) -> None:
        """The run has found so many files more."""
        self._total += files
        self._watcher.begin(files)
        self._write()

    def step(self) -> None:
        """One more file is done."""
        self._done += 1
        self._watcher.step()
        if monotonic() - self._written >= EVERY:
            self._write()

    def _write(self) -> None:
        self._written = monotonic()
        now = {"pid": os.getpid(), "done": self._done, "total": self._total, "began": self._began}
        beside = self._path.with_suffix(".new")
        try:
            beside.touch(mode=0o600)
            beside.write_text(json.dumps(now), encoding="ascii")
            beside.replace(self._path)
        except OSError:
            # Full or read-only: the run itself finds that out, and says so, where it matters.
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def read(home: Path) -> Progress | None:
    """The ingest that is running; None where none is, or the one that wrote the file was killed."""
    try:
        found: dict[str, Any] = json.loads((home / NAME).read_bytes())
        progress = Progress(int(found["done"]), int(found["total"]), float(found["began"]))
        alive = is_running(int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return progress if alive else None


def is_running(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
