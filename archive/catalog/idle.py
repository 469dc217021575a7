"""Connections that wait for the next question: to open a catalog, and to read its schema, takes 2 ms each time.

Between two questions one of them is in no transaction, so that the log of later commits can be truncated, and has no
page in memory, so that nothing of a photo stays in it that was erased.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    Identity = tuple[int, int]

MOST = 8
"""Connections that wait; as many as are asked side by side."""


class IdleConnections:
    """Connections to the catalog at one path, for a process that answers many questions. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[tuple[Identity | None, sqlite3.Connection]] = []
        self._taken: dict[int, Identity | None] = {}

    def take(self, path: Path, make: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
        """One to the file that is at the path now, outside a transaction: one that waits, or one made now."""
        identity = _identity(path)
        with self._lock:
            while self._waiting:
                kept_for, connection = self._waiting.pop()
                if kept_for == identity:
                    break
                connection.close()  # another file stands there now, as after a restore
            else:
                connection = make()
            self._taken[id(connection)] = identity
            return connection

    def give(self, connection: sqlite3.Connection) -> None:
        """Let one wait again that was taken."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute("PRAGMA shrink_memory")
        except BaseException:
            self.drop(connection)
            raise
        with self._lock:
            identity = self._taken.pop(id(connection))
            if len(self._waiting) < MOST:
                self._waiting.append((identity, connection))
                return
        connection.close()

    def drop(self, connection: sqlite3.Connection) -> None:
        """Close one that was taken, as after an error."""
        with self._lock:
            self._taken.pop(id(connection), None)
        connection.close()

    def let_go(self) -> None:
        """Close all that wait."""
        with self._lock:
            for _, connection in self._waiting:
                connection.close()
            self._waiting.clear()


def _identity(path: Path) -> Identity | None:
    """Which file stands there; None where there is none, which whoever opens it will tell."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino
