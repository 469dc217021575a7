"""The cache of text vectors: a query that was asked before needs no text tower."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from archive.catalog.driver import archive_errors, connect_to_write, sqlite_module
from archive.catalog.lock import writer_lock
from archive.catalog.revisions import HEAD, stored_revision
from archive.errors import ArchiveBusy

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from archive.types import Vectors

TEXTS_KEPT = 1_000


def remember_text(path: Path, home: Path, space: str, text: str, vector: Vectors) -> bool:
    """Keep the vector (1, dim) of a text for the next time it is asked; whether it was kept.

    A query neither waits for an ingest nor fails on a disk that is full or read-only: then nothing is kept.
    """
    with archive_errors(path):
        try:
            # A catalog that was copied here is not in WAL mode yet, and the query's own view keeps it from that.
            with writer_lock(home), closing(connect_to_write(path, patience_ms=0)) as connection:
                return _remember(connection, path, space, text, vector)
        except (ArchiveBusy, OSError, sqlite_module().OperationalError):
            return False  # busy, read-only or full; closing the connection undid what was begun


def _remember(connection: sqlite3.Connection, path: Path, space: str, text: str, vector: Vectors) -> bool:
    if stored_revision(connection, path) != HEAD:
        return False
    connection.execute("BEGIN IMMEDIATE")
    (generation,) = connection.execute(
        "UPDATE state SET generation = generation + 1, nonce = ? RETURNING generation", (os.urandom(16),)
    ).fetchone()
    connection.execute(
        "INSERT OR REPLACE INTO texts (space, text, vector, generation) VALUES (?, ?, ?, ?)",
        (space, text, vector.astype("<f4").tobytes(), generation),
    )
    connection.execute(
        "DELETE FROM texts WHERE rowid NOT IN (SELECT rowid FROM texts ORDER BY generation DESC LIMIT ?)",
        (TEXTS_KEPT,),
    )
    connection.execute("COMMIT")
    return True
