"""Walking through the photos in the order of time, a page at a time, as functions over a DB-API connection.

A page begins after a place, never at a number: the millionth photo costs as little as the first.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from archive.catalog import values

if TYPE_CHECKING:
    import sqlite3
    from datetime import date, datetime
    from typing import Self

    from archive.types import Photo

QUARTER_US = 15 * 60 * 1_000_000

_PLACE = re.compile(r"(-?\d{1,18}|unknown)\.(\d{1,15})", re.ASCII)


class Place(NamedTuple):
    """Where a photo stands in the order of time; photos of unknown time (None) stand after the oldest."""

    captured_at_us: int | None
    id: int

    @classmethod
    def of(cls, photo: Photo) -> Self:
        """The place of a photo."""
        taken = photo.captured_at
        return cls(None if taken is None else values.microseconds(taken), photo.id)

    @classmethod
    def before(cls, moment: datetime) -> Self:
        """The place from which photos taken before that moment follow."""
        return cls(values.microseconds(moment), 0)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The place that `str` wrote; None where the text is no place."""
        found = _PLACE.fullmatch(text)
        if found is None:
            return None
        return cls(None if found[1] == "unknown" else int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{'unknown' if self.captured_at_us is None else self.captured_at_us}.{self.id}"


def earlier(connection: sqlite3.Connection, place: Place | None, limit: int) -> list[Photo]:
    """The photos that stand after a place going back in time, the newest first; None begins at the newest."""
    if place is not None and place.captured_at_us is None:
        return _page(connection, "captured_at_us IS NULL AND id < ?", "id DESC", (place.id,), limit)
    if place is None:
        timed = _page(connection, "captured_at_us IS NOT NULL", "captured_at_us DESC, id DESC", (), limit)
    else:
        timed = _page(connection, "(captured_at_us, id) < (?, ?)", "captured_at_us DESC, id DESC", place, limit)
    return timed + _page(connection, "captured_at_us IS NULL", "id DESC", (), limit - len(timed))


def later(connection: sqlite3.Connection, place: Place, limit: int) -> list[Photo]:
    """The photos that stand before a place going forward in time, the nearest first."""
    if place.captured_at_us is not None:
        return _page(connection, "(captured_at_us, id) > (?, ?)", "captured_at_us, id", place, limit)
    untimed = _page(connection, "captured_at_us IS NULL AND id > ?", "id", (place.id,), limit)
    return untimed + _page(connection, "captured_at_us IS NOT NULL", "captured_at_us, id", (), limit - len(untimed))


def days(connection: sqlite3.Connection, after: datetime, before: datetime) -> dict[date, int]:
    """How many photos were taken on each day of this machine's calendar, from `after` (inclusive) to `before`."""
    # By quarters of an hour, which every offset from UTC is a multiple of: only this machine knows its calendar.
    first = values.microseconds(after) // QUARTER_US * QUARTER_US
    rows = connection.execute(
        """SELECT (captured_at_us - ?) / ? AS quarter, count(*) FROM photos
           WHERE captured_at_us >= ? AND captured_at_us < ? GROUP BY quarter ORDER BY quarter""",
        (first, QUARTER_US, values.microseconds(after), values.microseconds(before)),
    )
    days: Counter[date] = Counter()
    for quarter, count in rows:
        days[values.utc(first + quarter * QUARTER_US).astimezone().date()] += count
    return dict(days)


def cameras(connection: sqlite3.Connection, limit: int) -> list[str]:
    """The names of the cameras, in their order."""
    # A skip over the index from one name to the next: as fast for a million photos as for ten.
    rows = connection.execute(
        """WITH RECURSIVE named(camera) AS (
               SELECT min(camera) FROM photos
               UNION ALL
               SELECT (SELECT min(camera) FROM photos WHERE camera > named.camera) FROM named
               WHERE named.camera IS NOT NULL)
           SELECT camera FROM named WHERE camera IS NOT NULL LIMIT ?""",
        (limit,),
    )
    return [camera for (camera,) in rows]


def _page(
    connection: sqlite3.Connection, where: str, order: str, parameters: tuple[object, ...], limit: int
) -> list[Photo]:
    rows = connection.execute(
        f"""SELECT id, digest, (SELECT name FROM sources WHERE photo_id = p.id ORDER BY id LIMIT 1), suffix,
                   captured_at_us, captured_at_source, camera, width, height, captured_error_ms
            FROM photos p WHERE {where} ORDER BY {order} LIMIT ?""",  # noqa: S608  (both are written above)
        (*parameters, limit),
    )
    return [values.photo(columns) for columns in rows]
