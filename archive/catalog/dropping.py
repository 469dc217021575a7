"""Dropping what a pair saw that is left behind: all of it can be made again from the originals."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, exists, select

from archive.catalog.rows import ExemplarVectorRow, PackRow, PairRow, ShardRow, TextRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

_FIRST = select(PackRow.id).where(PackRow.pair_id == bindparam("pair")).order_by(PackRow.id).limit(bindparam("most"))
_SHARDS = delete(ShardRow).where(ShardRow.pair_id == bindparam("pair"))
_PACKS = delete(PackRow).where(PackRow.id.in_(_FIRST))
_PAIR = delete(PairRow).where(PairRow.id == bindparam("pair"))
# Pairs that differ in their segmenter alone share a space.
_IS_KNOWN = exists().where(PairRow.space == bindparam("space"))
_EXEMPLARS = delete(ExemplarVectorRow).where(ExemplarVectorRow.space == bindparam("space"), ~_IS_KNOWN)
_TEXTS = delete(TextRow).where(TextRow.space == bindparam("space"), ~_IS_KNOWN)


def drop_pair(connection: Connection, pair_id: int, most: int) -> int:
    """Drop all shards and up to `most` packs of a pair; how many packs it were. With the last goes the pair itself.

    What its space made of taught pictures and of texts goes with it, unless another pair has the same space.
    """
    connection.execute(_SHARDS, {"pair": pair_id})
    dropped = connection.execute(_PACKS, {"pair": pair_id, "most": most}).rowcount
    if dropped < most:
        space = connection.execute(select(PairRow.space).where(PairRow.id == pair_id)).scalar_one()
        connection.execute(_PAIR, {"pair": pair_id})
        connection.execute(_EXEMPLARS, {"space": space})
        connection.execute(_TEXTS, {"space": space})
    return int(dropped)


def rewrite(driver: sqlite3.Connection, folder: Path) -> None:
    """Write every page anew and give the disk back what is free. The copy that this takes lies in `folder`, unnamed.

    In memory, where everything else that is temporary stays, it could be larger than the machine has.
    """
    with _temporary_files_in(folder):
        driver.execute("PRAGMA temp_store = FILE")
        driver.execute("VACUUM")
        driver.execute("PRAGMA temp_store = MEMORY")


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """SQLite looks into the environment for it, each time."""
    before = os.environ.get("SQLITE_TMPDIR")
    os.environ["SQLITE_TMPDIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["SQLITE_TMPDIR"]
        if before is not None:
            os.environ["SQLITE_TMPDIR"] = before
