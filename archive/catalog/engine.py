"""SQLAlchemy over our own connections: the writing side's way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from archive.catalog.driver import connect_to_write, sqlite_module

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine


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


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
