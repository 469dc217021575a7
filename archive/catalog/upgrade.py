"""Bringing a catalog to the newest schema: all of it in one transaction, with a copy beside it until that has held.

alembic costs half a second to import, so the stored revision is compared with a constant first.
"""

from __future__ import annotations

import os
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from archive.catalog.copying import copy_catalog
from archive.catalog.driver import archive_errors, connect_to_write
from archive.catalog.engine import writing_engine
from archive.catalog.revisions import HEAD, stored_revision
from archive.disk import make_private_directory, make_private_file, sync
from archive.errors import ArchiveError, CatalogDamaged

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from archive.catalog.driver import Place


def bring_place_to_head(place: Place) -> None:
    """The same as below for a catalog of either kind; a PostgreSQL needs no lock of ours."""
    if isinstance(place, Path):
        bring_to_head(place)
    else:
        place.bring_to_head(script_location())


def bring_to_head(path: Path, scripts: Path | None = None) -> None:
    """Create the catalog at `path`, or upgrade it, or leave it as it is when it is current. Needs the writer lock.

    `scripts` is the folder of migrations, by default the one that comes with the program.

    Raises:
        CatalogTooNew: a later version wrote it.
        ArchiveError: it could not be upgraded; it is as it was.
        CatalogDamaged: it was damaged before, or by the upgrade; then the copy beside it is kept and named.
    """
    make_private_directory(path.parent)
    make_private_file(path)
    copy = copy_before_upgrade(path)
    with archive_errors(path):
        with closing(connect_to_write(path)) as connection:
            stored = stored_revision(connection, path)
        if stored != HEAD:
            if stored is not None:
                # What an interrupted upgrade left is worth nothing: the catalog itself is still the old one.
                copy_catalog(path, copy)
            migrate(path, HEAD, scripts or script_location())
        if copy.exists():
            _verify(path, copy)
            copy.unlink()
            sync(path.parent)


def migrate(path: Path, revision: str, scripts: Path) -> None:
    """Run the migrations up to `revision` in one transaction. Foreign keys are off, and checked before the commit.

    With foreign keys on, SQLite would delete every child row of a table that a migration rebuilds.
    """
    engine = writing_engine(path, foreign_keys=False)
    try:
        with engine.begin() as connection:
            run_migrations(connection, revision, scripts)
            _refuse_orphans(connection, path)
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        message = (
            f"{path} is as it was, it could not be brought to schema {revision}: {reason}; check the disk's free space"
        )
        raise ArchiveError(message) from error
    finally:
        engine.dispose()


def run_migrations(connection: Connection, revision: str, scripts: Path) -> None:
    """Run the migrations up to `revision` inside the transaction that `connection` has begun; it counts as a commit."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    counted = text("UPDATE state SET generation = generation + 1, nonce = :nonce")
    connection.execute(counted, {"nonce": os.urandom(16)})


def script_location() -> Path:
    """The folder of migrations: inside the installed package, else beside it in the checkout."""
    packaged = Path(str(files("archive"))) / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "migrations"


def copy_before_upgrade(path: Path) -> Path:
    """Where the copy of a catalog lies while it is upgraded."""
    return path.with_name(f"{path.name}.before-upgrade")


def _refuse_orphans(connection: Connection, path: Path) -> None:
    orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
    if orphans:
        tables = ", ".join(sorted({str(row[0]) for row in orphans}))
        raise CatalogDamaged(f"{path} has rows without their photo or pair in {tables}; run: archive check")


def _verify(path: Path, copy: Path) -> None:
    with closing(connect_to_write(path)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]
    if problems:
        message = f"{path} is damaged after its upgrade ({problems[0]}); the catalog from before it is at {copy}"
        raise CatalogDamaged(message)
