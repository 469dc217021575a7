"""What stays when photos are erased: who else has a file, and whose vectors may rightly be the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

_BESIDE = """SELECT o.id FROM photos o
    WHERE o.id {side} ? AND +o.wearer = (SELECT wearer FROM photos WHERE id = ?)
    AND EXISTS (SELECT 1 FROM packs k WHERE k.pair_id = ? AND k.photo_id = o.id) ORDER BY o.id {order} LIMIT 1"""
_EARLIER = _BESIDE.format(side="<", order="DESC")
_LATER = _BESIDE.format(side=">", order="ASC")


class Surviving:
    """What the catalog holds besides the photos of these ids, which are to be erased."""

    def __init__(self, connection: sqlite3.Connection, erased: Collection[int]) -> None:
        self._connection = connection
        self._erased = sorted(erased)

    def holds(self, digest: str) -> bool:
        """Whether somebody else has the photo of that sha256 in hex, too."""
        rows = self._connection.execute("SELECT id FROM photos WHERE digest = ?", (bytes.fromhex(digest),))
        return not {photo for (photo,) in rows.fetchall()} <= set(self._erased)

    def neighbours(self, pair_id: int) -> dict[int, set[int]]:
        """By erased photo, the nearest photos before and after it that stay: of its wearer, observed by the pair.

        They are enough to know every vector that was carried over between an erased photo and one that stays. An
        ingest carries vectors from one photo to the next only, so the photos that share one stand in a row, and where
        any of a row stays, one that stays is the nearest to the erased one.
        """
        earlier = self._nearest(_EARLIER, pair_id, self._erased)
        later = self._nearest(_LATER, pair_id, self._erased[::-1])
        return {photo: {one for one in (earlier[photo], later[photo]) if one is not None} for photo in self._erased}

    def _nearest(self, query: str, pair_id: int, erased: list[int]) -> dict[int, int | None]:
        found: dict[int, int | None] = {}
        for photo in erased:
            row = self._connection.execute(query, (photo, photo, pair_id)).fetchone()
            beside = None if row is None else int(row[0])
            # One that goes as well was met before: what is beside it is beside this one.
            found[photo] = beside if beside is None else found.get(beside, beside)
        return found
