"""Writing what is taught: the part of the catalog that holds things of a wearer's own and their pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from sqlalchemy import delete

from archive.catalog import taught
from archive.catalog.inserts import insert_exemplar, insert_exemplar_vector, insert_thing
from archive.catalog.rows import ExemplarRow, ThingRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from archive.things import NewExemplar
    from archive.types import Box, Vectors


class Lessons(ABC):
    """What the catalog's writer knows of teaching; see `archive.catalog.writer.Catalog`."""

    wearer: int
    _connection: Connection

    @property
    @abstractmethod
    def _driver(self) -> sqlite3.Connection: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[int]: ...

    def teach(self, name: str, new: Sequence[NewExemplar]) -> int:
        """Add pictures of a thing, which is new if no thing has that name; how many it has now."""
        with self._write():
            thing_id = taught.thing_id(self._driver, name, self.wearer)
            if thing_id is None:
                thing_id = insert_thing(self._connection, name, self.wearer)
            for exemplar in new:
                exemplar_id = insert_exemplar(self._connection, thing_id, exemplar)
                insert_exemplar_vector(self._connection, exemplar_id, exemplar.space, exemplar.vector)
        return taught.exemplar_count(self._driver, thing_id)

    def unteach(self, name: str, number: int | None = None) -> bool:
        """Forget a thing, or its picture of that number, counted from 1; False if there is no such.

        With its last picture a thing goes too.
        """
        thing_id = taught.thing_id(self._driver, name, self.wearer)
        if thing_id is None:
            return False
        ids = taught.exemplar_ids(self._driver, thing_id)
        if number is not None and not 1 <= number <= len(ids):
            return False
        with self._write():
            if number is None or len(ids) == 1:
                self._connection.execute(delete(ThingRow).where(ThingRow.id == thing_id))
            else:
                self._connection.execute(delete(ExemplarRow).where(ExemplarRow.id == ids[number - 1]))
        return True

    def exemplars_without_vector(self, space: str) -> list[tuple[int, bytes, Box]]:
        """The exemplars that this space has not seen: id, JPEG, and the box in it."""
        return taught.without_vector(self._driver, space)

    def exemplars_of(self, photo_id: int) -> list[bytes]:
        """The JPEGs of the exemplars that were taken from a photo."""
        return taught.pictures_of_photo(self._driver, photo_id)

    def add_exemplar_vector(self, exemplar_id: int, space: str, vector: Vectors) -> None:
        """Add what a space makes of a stored exemplar."""
        with self._write():
            insert_exemplar_vector(self._connection, exemplar_id, space, vector)
