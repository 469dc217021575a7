"""Erasing photos from the catalog, and recognising what was forgotten.

A row of another table that belongs to a photo must say so by a foreign key ON DELETE CASCADE: then it goes with the
photo here, and a test holds every table to that.

What is forgotten is remembered by a mark alone: the photo's digest under a key of this archive (HMAC-SHA-256,
RFC 2104). The list of marks, without the key, tells nobody whether a picture that he has was among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, exists, insert, select

from archive.catalog.engine import new_row
from archive.catalog.queries import mark
from archive.catalog.rows import ErasureRow, ForgottenRow, PhotoRow, SessionRow, TextRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from sqlalchemy import Connection

_PHOTO = delete(PhotoRow).where(PhotoRow.id == bindparam("old"))
_KNOWN = select(PhotoRow.digest, PhotoRow.wearer, PhotoRow.session_id).where(PhotoRow.id == bindparam("old"))
_IS_LEFT = exists().where(PhotoRow.session_id == SessionRow.id)
_SESSION = delete(SessionRow).where(SessionRow.id == bindparam("old"), ~_IS_LEFT)
_ERASURE = insert(ErasureRow)
_REMEMBERED = delete(ForgottenRow).where(ForgottenRow.mark == bindparam("old"))


def erase_photos(connection: Connection, driver: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Delete photos with all that belongs to them, mark them forgotten, and note that their files are to go.

    A session of the wearable goes with the last of its photos. The texts that were asked for go too: what
    somebody looked for can say as much as a picture.
    """
    rows = [row for photo in ids for row in connection.execute(_KNOWN, {"old": photo})]
    if not rows:
        return
    connection.execute(_ERASURE, [{"digest": digest} for digest, _, _ in rows])
    forgotten = new_row(connection.dialect.name, ForgottenRow).on_conflict_do_nothing()
    connection.execute(forgotten, [{"mark": mark(driver, digest.hex(), wearer)} for digest, wearer, _ in rows])
    sessions = {session for _, _, session in rows if session is not None}
    connection.execute(_PHOTO, [{"old": photo} for photo in ids])
    if sessions:
        connection.execute(_SESSION, [{"old": number} for number in sessions])
    connection.execute(delete(TextRow))


def note_files_erased(connection: Connection) -> None:
    """Leave nothing of the erased photos but that SQLite's log still holds what they were."""
    connection.execute(delete(ErasureRow))
    connection.execute(_ERASURE, {"digest": None})


def note_log_emptied(connection: Connection) -> None:
    """Nothing is left to be done."""
    connection.execute(delete(ErasureRow))


def unmark(connection: Connection, driver: sqlite3.Connection, digest: str, wearer: int) -> None:
    """A photo that a wearer forgot was taken in again, because he asked for it.

    What was forgotten while it was nobody's yet goes by the mark of nobody.
    """
    connection.execute(_REMEMBERED, [{"old": mark(driver, digest, whose)} for whose in (wearer, 0)])
