"""Sessions of the wearable in the catalog: what is known of their clocks, and where photos stand in them.

The functions that write run inside the transaction that their caller has begun.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, update

from archive.catalog import values
from archive.catalog.engine import new_row
from archive.catalog.rows import AnchorRow, PhotoRow, SessionRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Insert
    from sqlalchemy.sql.dml import ReturningInsert

    from archive.sessions import Session, SessionPlace
    from archive.types import CaptureTime

_TIME = update(PhotoRow).where(PhotoRow.id == bindparam("photo_id"))


def upsert_session(connection: Connection, session: Session) -> int:
    """Add a session, or change what is known of it; its id. Anchors are added, none is taken away."""
    row = {
        "device": session.key.device,
        "number": session.key.number,
        "nonce": session.key.nonce,
        "sleep": session.sleep,
        "last_mono_ms": session.last_mono_ms,
        "begun_after_ms": session.begun_after_ms,
        "begun_before_ms": session.begun_before_ms,
    }
    dialect = connection.dialect.name
    session_id = int(connection.execute(_session(dialect), row).scalar_one())
    anchors = [anchor._asdict() | {"session_id": session_id} for anchor in session.anchors]
    if anchors:
        connection.execute(_anchor(dialect), anchors)
    return session_id


def update_times(connection: Connection, times: Mapping[int, CaptureTime]) -> None:
    """Give photos, by id, other capture times; their distance from UTC stays."""
    rows = [{"photo_id": photo_id, **_time_columns(capture)} for photo_id, capture in times.items()]
    if rows:
        connection.execute(_TIME, rows)


def place_photo(
    connection: Connection, photo_id: int, place: SessionPlace, capture: CaptureTime, condition: str | None
) -> None:
    """Say where a photo stands that was taken in before anybody knew."""
    row = {**place._asdict(), "condition": condition, "captured_offset_minutes": capture.offset_minutes}
    connection.execute(_TIME, {"photo_id": photo_id, **row, **_time_columns(capture)})


@cache
def _session(dialect: str) -> ReturningInsert[Any]:
    new = new_row(dialect, SessionRow)
    changed = ("sleep", "last_mono_ms", "begun_after_ms", "begun_before_ms")
    return new.on_conflict_do_update(
        index_elements=["device", "number", "nonce"], set_={name: new.excluded[name] for name in changed}
    ).returning(SessionRow.id)


@cache
def _anchor(dialect: str) -> Insert:
    new = new_row(dialect, AnchorRow)
    changed = {name: new.excluded[name] for name in ("utc_ms", "error_ms")}
    return new.on_conflict_do_update(index_elements=["session_id", "source", "mono_ms"], set_=changed)


def _time_columns(capture: CaptureTime) -> dict[str, int | str | None]:
    return {
        "captured_at_us": None if capture.at is None else values.microseconds(capture.at),
        "captured_at_source": capture.source.value,
        "captured_error_ms": capture.error_ms,
    }
