"""Which schema a catalog has. No import of weight, so that a reader can ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.errors import ArchiveError, CatalogTooNew

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

REVISIONS = ("0001", "0002", "0003")
"""Every revision in `migrations/`, the oldest first."""

HEAD = REVISIONS[-1]
"""The revision that this code reads and writes."""


def stored_revision(connection: sqlite3.Connection, path: Path) -> str | None:
    """The revision of a catalog, or None for a file without any table.

    Raises:
        CatalogTooNew: a later version of this program wrote it.
        ArchiveError: it is some other program's database.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise ArchiveError(f"{path} is not a catalog of this program; choose another folder with --home")
    return known(connection.execute("SELECT version_num FROM alembic_version").fetchone(), path)


def known(row: tuple[str] | None, place: object) -> str:
    """The revision that the one row of alembic names.

    Raises:
        CatalogTooNew: it is none of ours.
    """
    revision = row[0] if row else None
    if revision not in REVISIONS:
        message = f"{place} was written by a newer version (schema {revision}, known {HEAD}); update this program"
        raise CatalogTooNew(message)
    return revision
