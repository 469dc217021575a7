"""SQLAlchemy over our own connections: the writing side's way in."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from archive.catalog.driver import connect_to_write, sqlite_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine
    from sqlalchemy.dialects.sqlite import Insert

    from archive.catalog.driver import Place
    from archive.catalog.rows import Row


def engine_of(place: Place) -> Engine:
    """An engine for the catalog at `place`, a file or a PostgreSQL."""
    return writing_engine(place) if isinstance(place, Path) else place.writing_engine()


def writing_engine(path: Path, *, foreign_keys: bool = True) -> Engine:
    """An engine with one connection, whose every transaction takes the write lock at its start.

    The driver would begin transactions late and leave DDL outside them; a transaction that began as a reader could
    not become a writer without failing. So the driver begins none, and each is begun here.
    """
    engine = create_engine(
        "sqlite+pysqlite://",
        module=sqlite_module(),
        creator=lambda: connect_to_write(path, foreign_keys=foreign_keys),
        poolclass=StaticPool,
    )
    event.listen(engine, "begin", _begin_immediate)
    return engine


def new_row(dialect: str, row: type[Row]) -> Insert:
    """An insert that can say what is to happen where the row is there already: both dialects can, each by its own."""
    insert: Callable[[type[Row]], Insert] = import_module(f"sqlalchemy.dialects.{dialect}").insert
    return insert(row)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
