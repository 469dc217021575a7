"""Asking a server of the same home that runs already: its models are warm. Nothing is ever started for this."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from archive import running
from archive.progress import is_running

if TYPE_CHECKING:
    from pathlib import Path

    from archive.running import Contact
    from archive.types import Answer, Query

SECONDS = 10.0
MOST_BYTES = 64 << 20


class Served(NamedTuple):
    """An answer, and the address of the server that gave it."""

    answer: Answer
    server: str


def ask(query: Query, home: Path) -> Served | None:
    """The answer of the running server; None where none runs, or it cannot answer: then one asks the archive itself.

    The token goes only to 127.0.0.1, and only while the process that announced itself there is alive.
    """
    contact = running.find(home)
    if contact is None or not is_running(contact.pid):
        return None
    from urllib.parse import urlencode

    from archive import wire
    from archive.types import Answer

    try:
        content = _got(contact, f"/api/v1/answer?{urlencode(_parameters(query))}")
        if content is None:
            return None
        return Served(wire.unpacked(Answer, json.loads(content)), f"http://127.0.0.1:{contact.port}")
    except (OSError, ValueError, TypeError, KeyError):
        return None  # it is gone, busy or of another version; the archive itself has the answer


def _got(contact: Contact, target: str) -> bytes | None:
    """What a GET is answered with, None where it is refused.

    Without http.client, whose parser of e-mails and OpenSSL take longer to import than all else that is done here.
    """
    import socket

    host = f"127.0.0.1:{contact.port}"
    lines = (f"GET {target} HTTP/1.0", f"Host: {host}", f"Authorization: Bearer {contact.token}", "", "")
    with socket.socket() as connection:
        connection.settimeout(SECONDS)
        connection.connect(("127.0.0.1", contact.port))
        connection.sendall("\r\n".join(lines).encode("ascii"))
        with connection.makefile("rb") as response:
            head, _, content = response.read(MOST_BYTES).partition(b"\r\n\r\n")
    _, status, *_ = head.split(maxsplit=2)
    return content if status == b"200" else None


def _parameters(query: Query) -> list[tuple[str, str]]:
    given = {
        "text": query.text,
        "limit": str(query.limit),
        "after": query.after.isoformat() if query.after else "",
        "before": query.before.isoformat() if query.before else "",
        "camera": query.camera or "",
        "all": "true" if query.everything else "",
        "sort": query.sort.value,
        "explain": "true" if query.explain else "",
    }
    return [*((name, value) for name, value in given.items() if value), *(("not", words) for words in query.negatives)]
