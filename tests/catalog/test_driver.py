from __future__ import annotations

from contextlib import closing
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from archive.catalog import driver
from archive.catalog.driver import connect_to_read, connect_to_write, is_safe, sqlite_module
from archive.disk import make_private_file
from archive.errors import ArchiveBusy, ArchiveError, CatalogDamaged
from tests.catalog.samples import fill, new_photo, pack, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("version", [(3, 44, 6), (3, 44, 9), (3, 50, 7), (3, 51, 3), (3, 52, 0), (4, 0, 0)])
def test_a_sqlite_without_the_wal_reset_bug_is_safe(version: tuple[int, int, int]) -> None:
    assert is_safe(version)


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 49, 9), (3, 50, 6), (3, 51, 2)])
def test_a_sqlite_with_the_wal_reset_bug_is_not(version: tuple[int, int, int]) -> None:
    assert not is_safe(version)


@pytest.fixture
def forgetful() -> Iterator[None]:
    sqlite_module.cache_clear()
    yield
    sqlite_module.cache_clear()


@pytest.mark.usefixtures("forgetful")
def test_pysqlite3_stands_in_for_an_unsafe_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"sqlite3": _module("3.40.1"), "pysqlite3": _module("3.53.4")}
    monkeypatch.setattr(driver, "import_module", found.__getitem__)
    assert sqlite_module() is found["pysqlite3"]


@pytest.mark.usefixtures("forgetful")
def test_pythons_own_sqlite_is_taken_when_it_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"sqlite3": _module("3.51.3"), "pysqlite3": _module("3.53.4")}
    monkeypatch.setattr(driver, "import_module", found.__getitem__)
    assert sqlite_module() is found["sqlite3"]


@pytest.mark.usefixtures("forgetful")
def test_without_a_safe_sqlite_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_the_old(name: str) -> ModuleType:
        if name == "pysqlite3":
            raise ImportError(name)
        return _module("3.40.1")

    monkeypatch.setattr(driver, "import_module", only_the_old)
    with pytest.raises(ArchiveError, match=r"3\.40\.1.*pip install 'pysqlite3"):
        sqlite_module()


def _module(version: str) -> ModuleType:
    module = ModuleType("stand_in")
    module.sqlite_version = version  # type: ignore[attr-defined]
    module.sqlite_version_info = tuple(map(int, version.split(".")))  # type: ignore[attr-defined]
    return module


def test_a_writing_connection_leaves_nothing_to_sqlites_defaults(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    make_private_file(path)
    with closing(connect_to_write(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        settings = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "secure_delete",
                "busy_timeout",
                "cell_size_check",
                "trusted_schema",
                "mmap_size",
                "page_size",
                "wal_autocheckpoint",
                "temp_store",
            )
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 30_000,
        "cell_size_check": 1,
        "trusted_schema": 0,
        "mmap_size": 0,
        "page_size": 2_048,
        "wal_autocheckpoint": 8_192,
        "temp_store": 2,
    }


def test_a_reading_connection_cannot_write(path: Path) -> None:
    fill(path, photos=1)
    with (
        closing(connect_to_read(path)) as connection,
        pytest.raises(sqlite_module().OperationalError, match="readonly"),
    ):
        connection.execute("DELETE FROM photos")


def test_a_file_that_is_no_database_is_damage(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(CatalogDamaged, match="archive check"), writing(path):
        pass


def test_a_held_write_lock_is_told_as_busy(path: Path) -> None:
    fill(path, photos=1)
    with closing(connect_to_write(path)) as other, closing(connect_to_write(path)) as connection:
        other.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(ArchiveBusy, match="run this again"), driver.archive_errors(path):
            connection.execute("BEGIN IMMEDIATE")


def test_a_full_disk_is_told_as_such(path: Path) -> None:
    fill(path, photos=1)
    with pytest.raises(ArchiveError, match=r"the disk of .* is full"):
        _overflow(path)


def _overflow(path: Path) -> None:
    with writing(path) as catalog:
        pages = catalog._driver.execute("PRAGMA page_count").fetchone()[0]
        catalog._driver.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(2, 20):  # the pages that the migrations left free are used up first
            catalog.add_photo(new_photo(number), 1, pack(segments=1000))
