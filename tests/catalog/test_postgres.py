"""What only a catalog on a server can meet: several machines at once, a server that dies, a schema of another age."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from archive.catalog.checking import check_catalog
from archive.catalog.dialect import for_postgres
from archive.catalog.new_photo import PhotoIsKnown
from archive.catalog.postgres import Postgres
from archive.catalog.reader import CatalogReader
from archive.catalog.rows import Row
from archive.catalog.upgrade import bring_place_to_head, run_migrations, script_location
from archive.catalog.writer import Catalog
from archive.errors import ArchiveError, CatalogTooNew
from tests import postgres
from tests.catalog.samples import PAIR, digest, fill, new_photo, pack, writing
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.cluster

WRITES_WITHOUT_END = """
import sys
from archive.catalog.postgres import Postgres
from tests.catalog.samples import PAIR, new_photo, pack, writing
with writing(Postgres(sys.argv[1])) as catalog:
    pair_id = catalog.ensure_pair(PAIR)
    catalog.set_answering(pair_id)
    for number in range(int(sys.argv[2]), 10**6, 2):
        catalog.add_photo(new_photo(number), pair_id, pack(number))
        print(number, flush=True)
"""


@pytest.fixture
def fresh(database: Callable[[], Postgres]) -> Postgres:
    return database()


def test_the_migrations_make_the_tables_that_the_rows_describe(fresh: Postgres) -> None:
    engine = fresh.writing_engine()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Row.metadata) == []
    engine.dispose()


def test_what_was_acknowledged_is_found_after_the_server_was_killed() -> None:
    with postgres.running(durable=True) as server:
        if server is None:
            pytest.skip("no PostgreSQL server can be run here; on Debian: apt-get install postgresql-15")
        server.command("CREATE DATABASE archive")
        place = server.database("archive")
        bring_place_to_head(place)
        acknowledged: list[int] = []
        for kill in range(2):
            writers = [
                subprocess.Popen(
                    [sys.executable, "-c", WRITES_WITHOUT_END, place.url, str(1 + kill * 100_000 + odd)],
                    cwd=CHECKOUT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for odd in (0, 1)
            ]
            for writer in writers:
                assert writer.stdout is not None
                assert writer.stdout.readline()  # both are at work
            time.sleep(0.5)
            server.kill()
            for writer in writers:
                told, error = writer.communicate(timeout=180)
                assert "cannot be reached" in error
                acknowledged += [int(line) for line in told.split()]
            server.start()
        with CatalogReader.open(place) as reader:
            missing = [number for number in acknowledged if reader.photo_id(digest(number)) is None]
            assert len(acknowledged) > 3
            assert missing == []
            assert reader.counts(1).photos == reader.photo_count() >= len(acknowledged)
        assert [found for found in check_catalog(place) if found.is_damage] == []


def test_machines_that_write_at_once_add_each_photo_once_and_in_the_order_of_its_id(fresh: Postgres) -> None:
    with writing(fresh) as catalog:
        pair_id = catalog.ensure_pair(PAIR)

    def write(machine: int) -> dict[int, int]:
        ids = {}
        with writing(fresh) as catalog:
            for number in range(1, 41) if machine % 2 else range(40, 0, -1):
                try:
                    ids[number] = catalog.add_photo(new_photo(number), pair_id, pack(number))
                except PhotoIsKnown as there:
                    ids[number] = there.photo_id
        return ids

    with ThreadPoolExecutor(4) as machines:
        one, *others = machines.map(write, range(4))
    assert all(other == one for other in others)
    assert len(set(one.values())) == 40
    driver = fresh.connect_to_read()
    rows = driver.execute("SELECT added_generation FROM photos ORDER BY id").fetchall()
    driver.close()
    generations = [generation for (generation,) in rows]
    assert len(set(generations)) == 40
    assert generations == sorted(generations)


def test_only_one_machine_shelves_at_a_time(fresh: Postgres) -> None:
    entered, leaves = Event(), Event()
    order: list[str] = []

    def first() -> None:
        with Catalog.open(fresh) as catalog, catalog.alone():
            entered.set()
            leaves.wait(30)
            order.append("first")

    def second() -> None:
        with Catalog.open(fresh) as catalog, catalog.alone():
            order.append("second")

    with ThreadPoolExecutor(2) as machines:
        one = machines.submit(first)
        assert entered.wait(30)
        two = machines.submit(second)
        time.sleep(0.3)
        assert order == []
        leaves.set()
        one.result(30)
        two.result(30)
    assert order == ["first", "second"]


def test_an_archive_that_was_never_begun_is_said_so(database: Callable[[], Postgres], fresh: Postgres) -> None:
    empty = Postgres(fresh.url.replace("/archive_", "/postgres?application_name=", 1).replace("?host", "&host"))
    with pytest.raises(ArchiveError, match=r"there is no archive in PostgreSQL at .*run: archive ingest"):
        CatalogReader.open(empty)


def test_an_older_schema_is_upgraded_by_the_first_writer_and_read_by_nobody_before(fresh: Postgres) -> None:
    engine = fresh.writing_engine()
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA archive_scoped CASCADE")
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
        run_migrations(connection, "0002", script_location())
    engine.dispose()
    with pytest.raises(ArchiveError, match="older version"):
        CatalogReader.open(fresh)
    pair_id = fill(fresh, photos=2)
    with CatalogReader.open(fresh) as reader:
        assert reader.counts(pair_id).photos == 2


def test_a_newer_schema_is_left_alone(fresh: Postgres) -> None:
    with fresh.connect() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for opened in (CatalogReader.open, Catalog.open):
        with pytest.raises(CatalogTooNew, match="newer version"):
            opened(fresh)


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    away = Postgres("postgresql+psycopg://archive:secret@127.0.0.1:1/archive?connect_timeout=2")
    for opened in (CatalogReader.open, Catalog.open):
        with pytest.raises(ArchiveError, match=r"PostgreSQL at 127.0.0.1:1/archive cannot be reached") as caught:
            opened(away)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert "secret" not in repr(away)


def test_sqlites_own_words_are_put_into_postgres() -> None:
    sql = "SELECT '%' FROM json_each(?) wanted CROSS JOIN packs k ON k.id = wanted.value INDEXED BY ix WHERE a = ?"
    assert for_postgres(sql) == (
        "SELECT '%%' FROM unnest(CAST(translate(%s, '[]', '{}') AS bigint[])) AS wanted(value) "
        "JOIN packs k ON k.id = wanted.value WHERE a = %s"
    )


def test_once_its_tables_were_rewritten_none_of_their_files_holds_a_forgotten_photo(fresh: Postgres) -> None:
    canary = b"canary-that-nobody-else-says.jpg"
    with writing(fresh) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        photo = catalog.add_photo(replace(new_photo(1), name=canary, path=canary), pair_id, pack(1))
        catalog.add_photo(new_photo(2), pair_id, pack(2))
        assert canary in table_files(fresh)
        catalog.erase([photo])
        catalog.note_files_erased()
        assert catalog.checkpoint()
        catalog.rewrite()
        catalog.note_log_emptied()
        assert catalog.erasures() == []
        assert catalog.photo_count() == 1
    assert canary not in table_files(fresh)


def table_files(place: Postgres) -> bytes:
    """Everything that the server's tables have on the disk, its log left out."""
    with place.connect() as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    assert row is not None
    return b"".join(path.read_bytes() for path in Path(row[0], "base").rglob("*") if path.is_file())


def test_while_a_file_is_let_go_of_no_machine_can_come_to_need_it(fresh: Postgres) -> None:
    pair_id = fill(fresh, photos=1)
    order: list[str] = []

    def add() -> None:
        with writing(fresh) as catalog:
            catalog.add_photo(new_photo(2), pair_id, pack(2))
            order.append("added")

    with ThreadPoolExecutor(1) as machine, writing(fresh) as catalog:
        with catalog.letting_go(digest(1)) as is_nobodys:
            assert not is_nobodys
        with catalog.letting_go(digest(2)) as is_nobodys:
            assert is_nobodys
            adding = machine.submit(add)
            time.sleep(0.3)
            order.append("let go")
        adding.result(30)
    assert order == ["let go", "added"]
