"""A catalog that is a PostgreSQL: its connections, errors, schema and locks.

Several machines write at once. Every write begins with the one row of `state`, which is locked until the commit: so
writes follow one another, ids ascend in the order of commits, and a run of packs that was seen whole stays whole.
A reader is one read-only transaction of level REPEATABLE READ: one state, whatever is written meanwhile.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from archive.catalog.dialect import for_postgres
from archive.catalog.driver import archive_errors
from archive.catalog.revisions import HEAD, known
from archive.catalog.scoping import SCHEMA, postgres_views
from archive.errors import ArchiveBusy, ArchiveError, CatalogDamaged, NoArchive

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import psycopg
    from psycopg.abc import Buffer
    from sqlalchemy import Connection, Engine

CONNECT_TIMEOUT_S = 30

SCHEMA_LOCK = 0x61726368_00000001
"""Held, as an advisory lock of PostgreSQL, by whoever upgrades the schema."""

SHELVING_LOCK = 0x61726368_00000002
"""Held by whoever shelves or erases."""

ERASED_TABLES = ("photos", "sources", "packs", "marks", "sessions", "texts", "exemplars", "exemplar_vectors")
"""The tables that rows of a forgotten photo were in."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """The database at a URL, as SQLAlchemy writes it; its password is in no message and no `repr`."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        return f"PostgreSQL at {self.url.rpartition('@')[2].partition('?')[0].removeprefix('postgresql://')}"

    def connect(self) -> psycopg.Connection[Any]:
        """A connection whose transactions are begun by hand."""
        import psycopg
        from psycopg.types.numeric import NumericBinaryLoader

        class WholeLoader(NumericBinaryLoader):
            """Sums of 64-bit numbers come as numeric, and every sum of the catalog is a whole number."""

            def load(self, data: Buffer) -> int:  # type: ignore[override]
                return int(super().load(data))

        address = self.url.replace("postgresql+psycopg://", "postgresql://", 1)
        connection = psycopg.connect(address, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
        connection.adapters.register_loader("numeric", WholeLoader)
        return connection

    def connect_to_read(self) -> sqlite3.Connection:
        """A connection inside a read transaction, to a catalog of the schema that this version reads."""
        connection = self.connect()
        try:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._refuse_other_schema(connection)
        except BaseException:
            connection.close()
            raise
        return as_driver(connection)

    def writing_engine(self) -> Engine:
        """SQLAlchemy over one such connection."""
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import StaticPool

        engine = create_engine(
            "postgresql+psycopg://", creator=self.connect, poolclass=StaticPool, use_native_hstore=False
        )
        event.listen(engine, "begin", _begin)
        return engine

    def bring_to_head(self, scripts: Path) -> None:
        """Create the tables, or upgrade them, in one transaction; other machines wait for it, and then find it done.

        Raises:
            CatalogTooNew: a later version wrote it.
        """
        from sqlalchemy import text

        from archive.catalog.upgrade import run_migrations

        with archive_errors(self):
            engine = self.writing_engine()
            try:
                with engine.connect() as connection:
                    if self._stored_revision(_raw(connection)) == HEAD:
                        return
                with engine.begin() as connection:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SCHEMA_LOCK})
                    if self._stored_revision(_raw(connection)) != HEAD:
                        connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
                        run_migrations(connection, HEAD, scripts)
                        schema = connection.execute(text("SELECT current_schema()")).scalar_one()
                        for view in postgres_views(schema):
                            connection.execute(text(view))
            finally:
                engine.dispose()

    def meaning(self, error: BaseException) -> ArchiveError | None:
        """The error of the archive that one of the driver amounts to; None for any other error."""
        import psycopg

        cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps what the driver raised
        return self._meant(cause) if isinstance(cause, psycopg.Error) else None

    def _meant(self, cause: psycopg.Error) -> ArchiveError:
        import psycopg

        said = " ".join(str(cause).split()) or type(cause).__name__
        state = cause.sqlstate or ""
        if state.startswith("55P03"):
            return ArchiveBusy(
                f"another machine is at work on the catalog ({self}); wait until it ends, then run again"
            )
        if state.startswith("53"):
            return ArchiveError(f"{self} has run out of room or connections ({said}); mend that, then run this again")
        if state.startswith("XX"):
            return CatalogDamaged(f"{self} is damaged ({said}); restore it with PostgreSQL's own tools")
        if state.startswith(("28", "42501", "3D")):
            return ArchiveError(f"{self} refuses this user or has no such database ({said}); check --config's metadata")
        if isinstance(cause, psycopg.OperationalError):
            return ArchiveError(
                f"{self} cannot be reached ({said}); start it or mend `metadata` in the configuration, then run this "
                "again"
            )
        return ArchiveError(f"{self}: {said}; run: archive check")

    def _refuse_other_schema(self, connection: psycopg.Connection[Any]) -> None:
        revision = self._stored_revision(connection)
        if revision is None:
            raise NoArchive(f"there is no archive in {self}; run: archive ingest FOLDER")
        if revision != HEAD:
            message = f"{self} was written by an older version (schema {revision}, needed {HEAD}); run: archive ingest"
            raise ArchiveError(message)

    def _stored_revision(self, connection: psycopg.Connection[Any]) -> str | None:
        row = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
        if not (row and row[0]):
            return None
        return known(connection.execute("SELECT version_num FROM alembic_version").fetchone(), self)


class Driver:
    """A connection to PostgreSQL that takes the catalog's statements as a connection to SQLite does."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> psycopg.Cursor[Any]:
        """Run one statement."""
        return self._connection.execute(for_postgres(sql), tuple(parameters), binary=True)

    def close(self) -> None:
        """Let go of the server; a transaction that was begun is undone."""
        self._connection.close()


def as_driver(connection: object) -> sqlite3.Connection:
    """A connection of psycopg with the part of sqlite3's shape that the catalog's functions use."""
    return cast("sqlite3.Connection", Driver(cast("psycopg.Connection[Any]", connection)))


@contextmanager
def alone(driver: sqlite3.Connection) -> Iterator[None]:
    """Be the only machine that shelves or erases; others wait. The lock ends with its connection, whatever happens."""
    driver.execute("SELECT pg_advisory_lock(?)", (SHELVING_LOCK,))
    try:
        yield
    finally:
        driver.execute("SELECT pg_advisory_unlock(?)", (SHELVING_LOCK,))


def vacuum(driver: sqlite3.Connection, *, full: bool = False) -> None:
    """Take deleted rows out of the tables' pages; `full` writes every table anew and needs room for a copy.

    Their bytes may stand in free space until that is used again, and in PostgreSQL's own log until it is recycled.
    """
    how = "VACUUM (FULL)" if full else "VACUUM"
    driver.execute(f"{how} {', '.join(ERASED_TABLES)}")


def bytes_held(driver: sqlite3.Connection) -> int:
    """What the database takes on the server's disk."""
    return int(driver.execute("SELECT pg_database_size(current_database())").fetchone()[0])


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _raw(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
