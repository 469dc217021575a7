"""Connections to SQLite: which library, and with which settings. Reading and writing side both come through here."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from archive.errors import ArchiveBusy, ArchiveError, CatalogDamaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from archive.catalog.postgres import Postgres

    Place: TypeAlias = Path | Postgres

BUSY_TIMEOUT_MS = 30_000

PAGE_SIZE = 2_048
"""Bytes of a page. A pack fills whole pages but for its beginning, which shares one with others: the larger a page, the
more of it stays empty, and the more is written for a row of a few bytes; the smaller, the more reads a pack takes."""

# SQLite's own defaults differ between builds (secure_delete above all), so nothing is left to them.
EVERY_CONNECTION = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA mmap_size = 0",
    "PRAGMA temp_store = MEMORY",
)
WRITING_CONNECTION = (
    f"PRAGMA page_size = {PAGE_SIZE}",  # counts before the first table, and in a VACUUM outside WAL, so it stands first
    "PRAGMA journal_mode = WAL",
    "PRAGMA wal_autocheckpoint = 8192",  # 16 MB
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
)


@cache
def sqlite_module() -> ModuleType:
    """A DB-API module whose SQLite does not have the WAL-reset bug: Python's own, else pysqlite3.

    Raises:
        ArchiveError: neither will do.
    """
    found = []
    for name in ("sqlite3", "pysqlite3"):
        try:
            module = import_module(name)
        except ImportError:
            continue
        if is_safe(module.sqlite_version_info):
            return module
        found.append(f"{name} has SQLite {module.sqlite_version}")
    message = (
        f"this SQLite can lose committed photos ({', '.join(found) or 'none was found'}); "
        "run: pip install 'pysqlite3>=0.6.1', or use a Python with SQLite 3.51.3 or newer"
    )
    raise ArchiveError(message)


def is_safe(version: Sequence[int]) -> bool:
    """Whether a SQLite version is free of the WAL-reset bug: fixed in 3.51.3, and in 3.50.7 and 3.44.6 of old lines."""
    release = tuple(version[:3])
    return release >= (3, 51, 3) or (3, 50, 7) <= release < (3, 51) or (3, 44, 6) <= release < (3, 45)


def connect_to_write(
    path: Path, *, foreign_keys: bool = True, patience_ms: int = BUSY_TIMEOUT_MS
) -> sqlite3.Connection:
    """A connection for the one writer; the file must exist, an empty one will do. Transactions are begun by hand."""
    patience = f"PRAGMA busy_timeout = {patience_ms}"
    keys = "PRAGMA foreign_keys = ON" if foreign_keys else "PRAGMA foreign_keys = OFF"
    return _connect(path, "mode=rw", (*EVERY_CONNECTION, patience, *WRITING_CONNECTION, keys))


def connect_to_read(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """A connection that cannot write. It works on a read-only disk too.

    With `any_thread` it may pass from one thread to another, which must not use it at the same time.
    """
    statements = (*EVERY_CONNECTION, "SELECT count(*) FROM sqlite_master")
    try:
        return _connect(path, "mode=ro", statements, any_thread=any_thread)
    except sqlite_module().OperationalError as error:
        if not _is_at_rest(path, error):
            raise
    # SQLite cannot make its -wal and -shm files here, and neither can a writer: the file cannot change.
    return _connect(path, "mode=ro&immutable=1", EVERY_CONNECTION, any_thread=any_thread)


@contextmanager
def archive_errors(place: Place) -> Iterator[None]:
    """Say what the errors of SQLite, or of PostgreSQL, mean for the catalog at `place`, and what to do about them."""
    try:
        yield
    except Exception as error:
        if (meant := meaning(error, place)) is None:
            raise
        raise meant from error


def meaning(error: BaseException, place: Place) -> ArchiveError | None:
    """The error of the archive that a DB-API error amounts to; None for an error that is no database's."""
    if not isinstance(place, Path):
        return place.meaning(error)
    return archive_error(error, place) if isinstance(error, sqlite_module().Error) else None


def archive_error(error: BaseException, path: Path) -> ArchiveError:
    """The error of the archive that a DB-API error of SQLite amounts to."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ArchiveBusy(f"another process holds {path}; wait until it ends, then run this again")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return CatalogDamaged(f"{path} is damaged ({error}); run: archive check")
    if name.startswith("SQLITE_FULL"):
        return ArchiveError(f"the disk of {path} is full; free some space, then run this again")
    if name.startswith("SQLITE_READONLY") and path.with_name(f"{path.name}-journal").exists():
        return ArchiveError(f"{path} was left by a writer that was cut off; run: archive ingest, which recovers it")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return ArchiveError(f"{path} cannot be opened ({error}); check who owns it and whether the disk is read-only")
    return ArchiveError(f"{path}: {error}; run: archive check")


def _connect(path: Path, options: str, statements: Sequence[str], *, any_thread: bool = False) -> sqlite3.Connection:
    # as_uri escapes the characters that mean something in a URI: % ? #
    uri = f"{path.absolute().as_uri()}?{options}"
    connection: sqlite3.Connection = sqlite_module().connect(
        uri, uri=True, isolation_level=None, check_same_thread=not any_thread
    )
    try:
        for statement in statements:
            connection.execute(statement).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _is_at_rest(path: Path, error: sqlite3.OperationalError) -> bool:
    if not error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return False
    log = path.with_name(f"{path.name}-wal")
    return not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
