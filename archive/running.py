"""Where a running server of the archive is reached, in a file that only the archive's owner can read."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "server.json"


class Contact(NamedTuple):
    """A server on this machine: its process, its port on 127.0.0.1, and the token that it wants."""

    pid: int
    port: int
    token: str


@contextmanager
def announced(home: Path, contact: Contact) -> Iterator[None]:
    """Let other processes of the same user find the server while the block runs."""
    path = home / NAME
    beside = home / f"{NAME}.{contact.pid}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(contact._asdict(), file)
    beside.replace(path)
    try:
        yield
    finally:
        if find(home) == contact:  # a later server may have taken its place
            path.unlink(missing_ok=True)


def find(home: Path) -> Contact | None:
    """The server that was announced last; whether it still runs is found out by asking it."""
    try:
        return Contact(**json.loads((home / NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
