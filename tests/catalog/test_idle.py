"""Connections that wait for the next question: nobody can tell them from new ones, but by the time they save."""

from __future__ import annotations

from contextlib import closing
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from archive.catalog.driver import connect_to_write, sqlite_module
from archive.catalog.idle import MOST, IdleConnections
from archive.catalog.reader import CatalogReader
from archive.errors import ArchiveError
from tests.catalog.samples import fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def idle(path: Path) -> IdleConnections:
    """Connections of an archive with two photos."""
    fill(path, photos=2)
    return IdleConnections()


def test_one_connection_serves_question_after_question_from_any_thread(path: Path, idle: IdleConnections) -> None:
    used = []

    def ask() -> None:
        with CatalogReader.open(path, idle=idle) as reader:
            used.append((reader._connection, reader.photo_count()))

    for _ in range(3):
        asking = Thread(target=ask)
        asking.start()
        asking.join()
    assert used == [used[0]] * 3
    assert used[0][1] == 2


def test_each_question_sees_the_newest_commit(path: Path, idle: IdleConnections) -> None:
    with CatalogReader.open(path, idle=idle) as reader:
        before = reader.state
    with closing(connect_to_write(path)) as connection:
        connection.execute("UPDATE state SET generation = generation + 1")
    with CatalogReader.open(path, idle=idle) as reader:
        assert reader.state.generation == before.generation + 1


def test_while_it_waits_the_log_can_be_emptied(path: Path, idle: IdleConnections) -> None:
    with CatalogReader.open(path, idle=idle) as reader:
        reader.photos([1, 2])
    with closing(connect_to_write(path)) as connection:
        connection.execute("UPDATE state SET generation = generation + 1")
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not busy
    assert path.with_name(f"{path.name}-wal").stat().st_size == 0


def test_another_catalog_in_its_place_is_not_answered_from_the_old_one(
    path: Path, idle: IdleConnections, tmp_path: Path
) -> None:
    with CatalogReader.open(path, idle=idle) as reader:
        old = reader.state.uuid
    fill(tmp_path / "other" / "catalog.sqlite", photos=5)
    for part in path.parent.glob("catalog.sqlite*"):
        part.unlink()
    (tmp_path / "other" / "catalog.sqlite").rename(path)
    with CatalogReader.open(path, idle=idle) as reader:
        assert reader.state.uuid != old
        assert reader.photo_count() == 5


def test_after_an_error_it_is_closed(path: Path, idle: IdleConnections) -> None:
    with pytest.raises(ArchiveError), CatalogReader.open(path, idle=idle) as reader:
        reader._connection.execute("SELECT nothing FROM nowhere")
    with pytest.raises(sqlite_module().ProgrammingError):
        reader._connection.execute("SELECT 1")


def test_no_more_wait_than_are_asked_side_by_side_and_none_once_they_are_let_go(
    path: Path, idle: IdleConnections
) -> None:
    readers = [CatalogReader.open(path, idle=idle) for _ in range(MOST + 2)]
    for reader in readers:
        reader.close()
    idle.let_go()
    for reader in readers:
        with pytest.raises(sqlite_module().ProgrammingError):
            reader._connection.execute("SELECT 1")
