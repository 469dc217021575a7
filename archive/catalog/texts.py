"""The cache of text vectors: a query that was asked before needs no text tower."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from archive.catalog.driver import archive_errors, connect_to_write, sqlite_module
from archive.catalog.lock import writer_lock
from archive.catalog.revisions import HEAD, stored_revision
from archive.errors import ArchiveBusy

if TYPE_CHECKING:
    import sqlite3

    from archive.catalog.driver import Place
    from archive.catalog.postgres import Postgres
    from archive.types import Vectors

TEXTS_KEPT = 1_000


def remember_text(place: Place, home: Path, space: str, text: str, vector: Vectors) -> bool:
    """Keep the vector (1, dim) of a text for the next time it is asked; whether it was kept.

    A query neither waits for an ingest nor fails on a disk that is full or read-only: then nothing is kept.
    """
    if not isinstance(place, Path):
        return _remember_in_postgres(place, space, text, vector)
    with archive_errors(place):
        try:
            # A catalog that was copied here is not in WAL mode yet, and the query's own view keeps it from that.
            with writer_lock(home), closing(connect_to_write(place, patience_ms=0)) as connection:
                if stored_revision(connection, place) != HEAD:
                    return False
                connection.execute("BEGIN IMMEDIATE")
                _remember(connection, space, text, vector)
                return True
        except (ArchiveBusy, OSError, sqlite_module().OperationalError):
            return False  # busy, read-only or full; closing the connection undid what was begun


def _remember_in_postgres(place: Postgres, space: str, text: str, vector: Vectors) -> bool:
    from psycopg import InternalError, OperationalError

    from archive.catalog.postgres import as_driver

    with archive_errors(place):
        try:
            with closing(as_driver(place.connect())) as connection:
                connection.execute("SET lock_timeout = '50ms'")
                connection.execute("BEGIN")
                _remember(connection, space, text, vector)
                return True
        except (OperationalError, InternalError):
            return False  # another machine is writing, or the server may not; closing undid what was begun


def _remember(connection: sqlite3.Connection, space: str, text: str, vector: Vectors) -> None:
    (generation,) = connection.execute(
        "UPDATE state SET generation = generation + 1, nonce = ? RETURNING generation", (os.urandom(16),)
    ).fetchone()
    connection.execute(
        """INSERT INTO texts (space, text, vector, generation) VALUES (?, ?, ?, ?)
           ON CONFLICT (space, text) DO UPDATE SET vector = excluded.vector, generation = excluded.generation""",
        (space, text, vector.astype("<f4").tobytes(), generation),
    )
    connection.execute(
        """DELETE FROM texts WHERE generation <
           (SELECT min(generation) FROM (SELECT generation FROM texts ORDER BY generation DESC LIMIT ?) newest)""",
        (TEXTS_KEPT,),
    )
    connection.execute("COMMIT")
