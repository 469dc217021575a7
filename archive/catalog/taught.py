"""What was taught, as read from the catalog by functions over a DB-API connection; reader and writer share them.

A name is stored as it was told and found again whatever its case.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from archive.things import Exemplar, Thing
from archive.types import Box

if TYPE_CHECKING:
    import sqlite3

    from archive.types import Vectors


def things(connection: sqlite3.Connection, space: str) -> list[Thing]:
    """Every thing with its exemplars, in the order in which they came, and their vectors in that space."""
    rows = connection.execute(
        """SELECT t.id, t.name, e.id, e.photo_id, e.left, e.top, e.right, e.bottom, v.vector
           FROM things t LEFT JOIN exemplars e ON e.thing_id = t.id
           LEFT JOIN exemplar_vectors v ON v.exemplar_id = e.id AND v.space = ?
           ORDER BY t.id, e.id""",
        (space,),
    )
    found = []
    for (_, name), group in groupby(rows, key=lambda row: row[:2]):
        exemplars = [
            Exemplar(exemplar_id, photo_id, Box(*edges), _vector(vector))
            for _, _, exemplar_id, photo_id, *edges, vector in group
            if exemplar_id is not None  # its last picture went with its photo
        ]
        found.append(Thing(name, tuple(exemplars)))
    return found


def thing_id(connection: sqlite3.Connection, name: str, wearer: int) -> int | None:
    """The id of a wearer's thing of that name, whatever its case."""
    wanted = name.casefold()
    rows = connection.execute("SELECT id, name FROM things WHERE wearer = ? ORDER BY id", (wearer,))
    return next((int(number) for number, known in rows if known.casefold() == wanted), None)


def exemplar_ids(connection: sqlite3.Connection, thing: int) -> list[int]:
    """The ids of a thing's exemplars, in the order in which they came."""
    rows = connection.execute("SELECT id FROM exemplars WHERE thing_id = ? ORDER BY id", (thing,))
    return [int(row[0]) for row in rows]


def exemplar_count(connection: sqlite3.Connection, thing: int) -> int:
    """How many exemplars a thing has."""
    return len(exemplar_ids(connection, thing))


def picture(connection: sqlite3.Connection, exemplar_id: int) -> bytes:
    """The JPEG of an exemplar."""
    row = connection.execute("SELECT picture FROM exemplars WHERE id = ?", (exemplar_id,)).fetchone()
    return bytes(row[0])


def pictures_of_photo(connection: sqlite3.Connection, photo_id: int) -> list[bytes]:
    """The JPEGs of the exemplars that were taken from a photo."""
    rows = connection.execute("SELECT picture FROM exemplars WHERE photo_id = ? ORDER BY id", (photo_id,))
    return [bytes(row[0]) for row in rows]


def without_vector(connection: sqlite3.Connection, space: str) -> list[tuple[int, bytes, Box]]:
    """The exemplars that a space has not seen: id, JPEG, and the box in it."""
    rows = connection.execute(
        """SELECT e.id, e.picture, e.left, e.top, e.right, e.bottom FROM exemplars e
           WHERE NOT EXISTS (SELECT 1 FROM exemplar_vectors v WHERE v.exemplar_id = e.id AND v.space = ?)
           ORDER BY e.id""",
        (space,),
    )
    return [(int(number), jpeg, Box(*edges)) for number, jpeg, *edges in rows]


def _vector(stored: bytes | None) -> Vectors | None:
    return None if stored is None else np.frombuffer(stored, "<f4").astype(np.float32)[np.newaxis]
