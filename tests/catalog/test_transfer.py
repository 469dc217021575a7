"""Moving rows from one catalog to another, file to file; the tests of a cluster do it with servers."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from archive.catalog import transfer
from archive.catalog.driver import connect_to_write
from archive.catalog.reader import CatalogReader
from archive.catalog.rows import Row
from archive.catalog.scoping import Scope
from archive.catalog.transfer import COPIED, OF_ITS_OWN, Transfer
from archive.errors import ArchiveError
from tests.catalog.samples import PAIR, digest, fill, new_photo, pack, writing

if TYPE_CHECKING:
    from pathlib import Path

COMPARED = "SELECT photo_id, id, vectors, crc FROM packs ORDER BY id"


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(connect_to_write(path)) as connection:
        return list(connection.execute(query))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog of nine photos, the fifth of them forgotten."""
    monkeypatch.setattr(transfer, "PHOTOS_AT_ONCE", 3)
    path = tmp_path / "source" / "catalog.sqlite"
    path.parent.mkdir()
    fill(path, photos=10)
    with writing(path) as catalog:
        catalog.erase([5])
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target" / "catalog.sqlite"


def move(source: Path, target: Path, pages: int = 100, wearer: str | None = None) -> int:
    """Move so many pages, and what comes after the last of them; how many photos were moved."""
    moved = 0
    with Transfer(source, target, wearer) as running:
        running.begin()
        for _ in range(pages):
            page = running.next_photos()
            if not page:
                running.finish()
                assert running.differences() == []
                break
            running.copy_next()
            moved += len(page)
    return moved


def test_every_table_is_moved_or_known_to_stay() -> None:
    known = [table.__tablename__ for table in (*COPIED, *OF_ITS_OWN)]
    assert sorted(known) == sorted(Row.metadata.tables)


def test_every_row_arrives_with_its_id_and_a_second_run_has_nothing_to_do(source: Path, target: Path) -> None:
    assert move(source, target) == 9
    for query in (COMPARED, "SELECT * FROM photos", "SELECT * FROM sources", "SELECT * FROM forgotten"):
        assert rows(target, query) == rows(source, query)
    assert move(source, target) == 0
    with writing(target) as catalog:
        assert catalog.answering() == (1, PAIR)
        assert catalog.is_forgotten(digest(5))


def test_a_run_that_was_stopped_goes_on_with_the_next_page(source: Path, target: Path) -> None:
    assert move(source, target, pages=2) == 6
    assert move(source, target) == 3
    assert rows(target, COMPARED) == rows(source, COMPARED)


def test_photos_of_nobody_become_those_of_the_wearer_who_is_named(source: Path, target: Path) -> None:
    move(source, target, pages=1, wearer="anna")
    move(source, target, wearer="anna")
    assert rows(target, "SELECT DISTINCT wearer FROM photos") == rows(target, "SELECT id FROM wearers")
    assert rows(source, "SELECT DISTINCT wearer FROM photos") == [(0,)]


def test_what_was_forgotten_stays_forgotten_for_the_wearer_who_is_named(source: Path, target: Path) -> None:
    move(source, target, wearer="anna")
    with CatalogReader.open(target, Scope(("anna",))) as reader:
        assert reader.is_forgotten(digest(5))
        assert not reader.is_forgotten(digest(4))
    with writing(target) as catalog:
        catalog.write_for("anna")
        assert catalog.is_forgotten(digest(5))
        catalog.erase([catalog.add_photo(new_photo(5), 1, pack())])
        catalog.add_photo(new_photo(5), 1, pack())
        assert not catalog.is_forgotten(digest(5))
    assert rows(target, "SELECT * FROM forgotten") == []


def test_what_changed_between_two_runs_is_noticed(source: Path, target: Path) -> None:
    move(source, target, pages=2)
    with writing(source) as catalog:
        catalog.erase([2])
    with Transfer(source, target) as running:
        running.begin()
        running.next_photos()
        running.copy_next()
        running.finish()
        assert any(line.startswith("photos: 8 rows, 9 at the target") for line in running.differences())


def test_two_archives_are_never_mixed(source: Path, target: Path) -> None:
    fill(target, photos=1)
    with Transfer(source, target) as running, pytest.raises(ArchiveError, match="photos of another archive"):
        running.begin()
