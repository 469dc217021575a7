"""Leaving nothing of what was deleted: in SQLite's files to the last byte, in PostgreSQL as far as a client can."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from archive.catalog import postgres
from archive.catalog.driver import BUSY_TIMEOUT_MS, PAGE_SIZE, sqlite_module

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from archive.catalog.driver import Place

CHECKPOINT_PATIENCE_MS = 2_000


def empty_log(driver: sqlite3.Connection, place: Place) -> bool:
    """Move SQLite's log into the main file and empty it; False if a reader kept it from finishing.

    In PostgreSQL deleted rows are taken out of their pages.
    """
    if not isinstance(place, Path):
        postgres.vacuum(driver)
        return True
    driver.execute(f"PRAGMA busy_timeout = {CHECKPOINT_PATIENCE_MS}")
    busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return not busy


def rewrite(driver: sqlite3.Connection, place: Place) -> None:
    """Write every page anew and give the disk back what is free.

    A catalog that an older version made gets today's size of a page, unless somebody else has it open. The copy that
    SQLite makes for it lies beside the catalog, unnamed: in memory, where everything else that is temporary stays, it
    could be larger than the machine has.
    """
    if not isinstance(place, Path):
        postgres.vacuum(driver, full=True)
        return
    with _temporary_files_in(place.parent), _pages_resizable(driver):
        driver.execute("PRAGMA temp_store = FILE")
        driver.execute("VACUUM")
        driver.execute("PRAGMA temp_store = MEMORY")


@contextmanager
def _pages_resizable(driver: sqlite3.Connection) -> Iterator[None]:
    """Out of WAL for as long as the block runs, where the pages are not of today's size: in it they keep theirs."""
    if driver.execute("PRAGMA page_size").fetchone() == (PAGE_SIZE,) or not _left_wal(driver):
        yield
        return
    driver.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    try:
        yield
    finally:
        driver.execute("PRAGMA journal_mode = WAL").fetchone()


def _left_wal(driver: sqlite3.Connection) -> bool:
    """Whether SQLite writes its log the old way now; it does not while somebody else has the catalog open."""
    driver.execute(f"PRAGMA busy_timeout = {CHECKPOINT_PATIENCE_MS}")
    try:
        return bool(driver.execute("PRAGMA journal_mode = DELETE").fetchone()[0] == "delete")
    except sqlite_module().OperationalError as error:
        if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise
        return False
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


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
