"""What is read of the wearable's sessions, as functions over a DB-API connection; like `archive.catalog.queries`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.sessions import Anchor, AnchorSource, Session, SessionKey

if TYPE_CHECKING:
    import sqlite3


def sessions(connection: sqlite3.Connection) -> dict[int, Session]:
    """Every session of the wearable by id, in the order in which they were met."""
    anchors: dict[int, list[Anchor]] = {}
    rows = connection.execute("SELECT session_id, mono_ms, utc_ms, error_ms, source FROM anchors ORDER BY mono_ms")
    for session_id, mono_ms, utc_ms, error_ms, source in rows:
        anchors.setdefault(session_id, []).append(Anchor(mono_ms, utc_ms, error_ms, AnchorSource(source)))
    rows = connection.execute(
        """SELECT id, device, number, nonce, sleep, last_mono_ms, begun_after_ms, begun_before_ms
           FROM sessions ORDER BY id"""
    )
    return {
        session_id: Session(
            SessionKey(device, number, nonce), sleep, last_mono_ms, tuple(anchors.get(session_id, ())), after, before
        )
        for session_id, device, number, nonce, sleep, last_mono_ms, after, before in rows
    }


def session_photos(connection: sqlite3.Connection, session_id: int) -> dict[int, int | None]:
    """The session's clock at the shutter of each of its photos, by photo id."""
    return dict(connection.execute("SELECT id, mono_ms FROM photos WHERE session_id = ?", (session_id,)))


def session_numbers(connection: sqlite3.Connection, key: SessionKey, wearer: int | None = None) -> set[int]:
    """The numbers of a session's photos that are in; with `wearer`, of his alone."""
    rows = connection.execute(
        """SELECT p.number FROM sessions s JOIN photos p ON p.session_id = s.id
           WHERE s.device = ? AND s.number = ? AND s.nonce = ? AND p.wearer = coalesce(CAST(? AS BIGINT), p.wearer)""",
        (*key, wearer),
    )
    return {number for (number,) in rows}


def is_placed(connection: sqlite3.Connection, photo_id: int) -> bool:
    """Whether it is known where in its session a photo stands."""
    row = connection.execute("SELECT session_id FROM photos WHERE id = ?", (photo_id,)).fetchone()
    return row is not None and row[0] is not None
