"""Asking a server of the same home that runs already: its models are warm. Nothing is ever started for this."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from archive import running
from archive.progress import is_running

if TYPE_CHECKING:
    from pathlib import Path

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
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlencode

    from archive import wire
    from archive.types import Answer

    connection = HTTPConnection("127.0.0.1", contact.port, timeout=SECONDS)
    try:
        connection.request(
            "GET",
            f"/api/v1/answer?{urlencode(_parameters(query))}",
            headers={"Authorization": f"Bearer {contact.token}"},
        )
        response = connection.getresponse()
        content = response.read(MOST_BYTES)
        if response.status != 200:
            return None
        return Served(wire.unpacked(Answer, json.loads(content)), f"http://127.0.0.1:{contact.port}")
    except (OSError, HTTPException, ValueError, TypeError, KeyError):
        return None  # it is gone, busy or of another version; the archive itself has the answer
    finally:
        connection.close()


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
