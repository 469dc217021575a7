from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from archive.catalog import purging
from archive.catalog.checking import check_catalog
from archive.catalog.copying import copy_catalog
from archive.catalog.driver import PAGE_SIZE, connect_to_read, connect_to_write
from archive.catalog.engine import writing_engine
from archive.catalog.reader import CatalogReader
from archive.catalog.revisions import HEAD, REVISIONS
from archive.catalog.rows import Row
from archive.catalog.upgrade import bring_to_head, copy_before_upgrade, script_location
from archive.errors import ArchiveError, CatalogDamaged, CatalogTooNew
from tests.catalog.freeze import DATABASES, DELETED, PHOTOS, TEXT
from tests.catalog.samples import PAIR, digest, fill, new_photo, pack, writing

if TYPE_CHECKING:
    from pathlib import Path

FROZEN = sorted(DATABASES.glob("*.sqlite"))
NEXT = f"{int(HEAD) + 1:04d}"
TABLES = ("pairs", "photos", "sources", "packs", "shards")

BROKEN_AT_ITS_END = """
import sqlalchemy as sa
from alembic import op

revision = "NEXT"
down_revision = "HEAD"

def upgrade():
    op.create_table("half_done", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("DELETE FROM photos")
    op.execute("SELECT * FROM a_table_that_is_not_there")
"""

ORPHANING = """
from alembic import op

revision = "NEXT"
down_revision = "HEAD"

def upgrade():
    op.execute("DELETE FROM photos WHERE id = 1")
"""

CORRUPTING = """
from alembic import op

revision = "NEXT"
down_revision = "HEAD"

def upgrade():
    op.execute("PRAGMA writable_schema = ON")
    op.execute("UPDATE sqlite_schema SET sql = replace(sql, '(pair_id)', '(size)') WHERE name = 'ix_shards_pair_id'")
"""


@pytest.fixture
def old(path: Path) -> Path:
    """A catalog that version 0001 left behind."""
    return thawed("0001", path)


def thawed(released: str, path: Path) -> Path:
    """A catalog that a released version left behind."""
    path.parent.mkdir()
    shutil.copy(DATABASES / f"{released}.sqlite", path)
    return path


def scripts_with(next_revision: str, folder: Path) -> Path:
    """The migrations and one more, in a folder whose name configparser would trip over."""
    scripts = folder / "100% new"
    shutil.copytree(script_location(), scripts)
    script = next_revision.replace("NEXT", NEXT).replace("HEAD", HEAD)
    (scripts / "versions" / f"{NEXT}_more.py").write_text(script)
    return scripts


@pytest.fixture
def expecting_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of the program that knows one revision more."""
    monkeypatch.setattr("archive.catalog.upgrade.HEAD", NEXT)
    monkeypatch.setattr("archive.catalog.revisions.REVISIONS", (*REVISIONS, NEXT))


def rows(path: Path, table: str) -> list[dict[str, Any]]:
    with closing(connect_to_read(path)) as connection:
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def revision(path: Path) -> str:
    with closing(connect_to_read(path)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_every_released_schema_but_the_newest_is_frozen() -> None:
    assert [file.stem for file in FROZEN] == list(REVISIONS[:-1])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("released", REVISIONS[:-1])
def test_an_upgrade_keeps_every_row_and_every_value(path: Path, released: str, table: str) -> None:
    old = thawed(released, path)
    before = rows(old, table)
    bring_to_head(old)
    after = rows(old, table)
    assert before
    assert [row | kept for row, kept in zip(after, before, strict=True)] == after


def test_an_upgrade_keeps_what_was_asked_and_knows_no_taught_thing_yet(path: Path) -> None:
    old = thawed("0002", path)
    bring_to_head(old)
    with CatalogReader.open(old) as reader:
        vector = reader.text_vector(PAIR.space, TEXT)
        assert vector is not None
        assert vector.shape == (1, PAIR.dim)
        assert reader.things(PAIR.space) == []


@pytest.mark.parametrize("released", REVISIONS[:-1])
def test_an_upgraded_catalog_is_sound_and_answers(path: Path, released: str) -> None:
    old = thawed(released, path)
    bring_to_head(old)
    assert revision(old) == HEAD
    assert check_catalog(old, deep=True) == []
    with CatalogReader.open(old) as reader:
        assert reader.answering() == (1, PAIR)
        assert len(dict(reader.packs(1))) == 3
        assert reader.photos([1])[1].name == "1.jpg"
        assert [shard.name for shard in reader.shards(1)] == ["one.faiss"]


def test_an_upgrade_is_a_commit_like_any_other(old: Path) -> None:
    with closing(connect_to_read(old)) as connection:
        uuid, generation, nonce = connection.execute("SELECT uuid, generation, nonce FROM state").fetchone()
    bring_to_head(old)
    with CatalogReader.open(old) as reader:
        assert (reader.state.uuid, reader.state.generation) == (uuid, generation + 1)
        assert reader.state.nonce != nonce


def test_a_deleted_photos_id_is_not_given_away_after_an_upgrade(old: Path) -> None:
    assert max(PHOTOS) == DELETED
    with writing(old) as catalog:
        assert catalog.add_photo(new_photo(DELETED), 1, pack(9)) == DELETED + 1


def page_size(path: Path) -> int:
    with closing(connect_to_read(path)) as connection:
        return int(connection.execute("PRAGMA page_size").fetchone()[0])


@pytest.mark.parametrize("released", REVISIONS[:-1])
def test_an_upgraded_catalog_gets_todays_pages_when_it_is_written_anew(path: Path, released: str) -> None:
    old = thawed(released, path)
    bring_to_head(old)
    before, kept = page_size(old), {table: rows(old, table) for table in TABLES}
    with writing(old) as catalog:
        catalog.rewrite()
        with closing(connect_to_read(old)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        catalog.add_photo(new_photo(DELETED), 1, pack(9))
    assert (before, page_size(old)) == (16_384, PAGE_SIZE)
    assert check_catalog(old, deep=True) == []
    assert all(rows(old, table)[: len(kept[table])] == kept[table] for table in TABLES)


def test_a_catalog_that_somebody_has_open_is_written_anew_in_its_old_pages(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "CHECKPOINT_PATIENCE_MS", 0)
    bring_to_head(old)
    with CatalogReader.open(old) as reader, writing(old) as catalog:
        catalog.rewrite()
        assert len(reader.photos([1, 2, 3])) == 3
        assert catalog.add_photo(new_photo(DELETED), 1, pack(9)) == DELETED + 1
    assert page_size(old) == 16_384
    assert check_catalog(old, deep=True) == []


def test_a_copy_has_todays_pages(old: Path, tmp_path: Path) -> None:
    copy_catalog(old, tmp_path / "copy.sqlite")
    assert page_size(tmp_path / "copy.sqlite") == PAGE_SIZE
    assert all(rows(tmp_path / "copy.sqlite", table) == rows(old, table) for table in TABLES)


def test_an_upgrade_leaves_no_copy_behind(old: Path) -> None:
    bring_to_head(old)
    assert not copy_before_upgrade(old).exists()


def test_what_an_interrupted_upgrade_left_is_cleared_away(old: Path) -> None:
    copy_before_upgrade(old).write_bytes(b"the first half of a copy")
    bring_to_head(old)
    assert not copy_before_upgrade(old).exists()
    assert check_catalog(old) == []


@pytest.mark.usefixtures("expecting_one_more")
def test_a_failing_migration_leaves_the_file_untouched(old: Path, tmp_path: Path) -> None:
    before = old.read_bytes()
    with pytest.raises(ArchiveError, match="is as it was"):
        bring_to_head(old, scripts_with(BROKEN_AT_ITS_END, tmp_path))
    assert old.read_bytes() == before
    assert revision(old) == "0001"
    assert [len(rows(old, table)) for table in TABLES] == [1, 3, 4, 3, 1]


def test_a_catalog_that_could_not_be_upgraded_can_be_later(old: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as newer:
        newer.setattr("archive.catalog.upgrade.HEAD", NEXT)
        with pytest.raises(ArchiveError, match="a_table_that_is_not_there"):
            bring_to_head(old, scripts_with(BROKEN_AT_ITS_END, tmp_path))
    bring_to_head(old)
    assert revision(old) == HEAD
    assert check_catalog(old, deep=True) == []
    assert not copy_before_upgrade(old).exists()


@pytest.mark.usefixtures("expecting_one_more")
def test_a_creation_that_fails_leaves_no_table(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError):
        bring_to_head(path, scripts_with(BROKEN_AT_ITS_END, tmp_path))
    with closing(connect_to_read(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


@pytest.mark.usefixtures("expecting_one_more")
def test_a_migration_that_orphans_rows_is_undone(old: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogDamaged, match="packs, sources"):
        bring_to_head(old, scripts_with(ORPHANING, tmp_path))
    assert len(rows(old, "photos")) == 3


@pytest.mark.usefixtures("expecting_one_more")
def test_a_migration_that_damages_the_file_leaves_the_copy_from_before(old: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogDamaged, match="from before it is at"):
        bring_to_head(old, scripts_with(CORRUPTING, tmp_path))
    copy = copy_before_upgrade(old)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert revision(copy) == "0001"
    assert [len(rows(copy, table)) for table in TABLES] == [1, 3, 4, 3, 1]


KILLED_AT_COMMIT = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from archive.catalog.upgrade import bring_to_head
event.listen(Engine, "commit", lambda connection: os.kill(os.getpid(), signal.SIGKILL))
bring_to_head(Path(sys.argv[1]))
"""


def test_an_upgrade_that_was_killed_is_done_by_the_next_open(old: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED_AT_COMMIT, str(old)], check=False)
    assert killed.returncode == -9
    assert revision(old) == "0001"
    assert copy_before_upgrade(old).exists()
    bring_to_head(old)
    assert revision(old) == HEAD
    assert not copy_before_upgrade(old).exists()


def test_a_newer_catalog_is_refused_and_left_alone(path: Path) -> None:
    fill(path, photos=1)
    with closing(connect_to_write(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    before = path.read_bytes()
    for opens in (bring_to_head, CatalogReader.open):
        with pytest.raises(CatalogTooNew, match="0999"):
            opens(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with closing(connect_to_write(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    for opens in (bring_to_head, CatalogReader.open):
        with pytest.raises(ArchiveError, match="is not a catalog"):
            opens(path)


def test_the_rows_are_what_the_migrations_make(path: Path) -> None:
    bring_to_head(path)
    engine = writing_engine(path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Row.metadata) == []
        inspector = inspect(connection)
        checks = {name: _names(inspector.get_check_constraints(name)) for name in Row.metadata.tables}
        keys = {name: _names(inspector.get_foreign_keys(name)) for name in Row.metadata.tables}
    engine.dispose()
    assert checks["photos"] == {"ck_photos_digest_is_sha256", "ck_photos_offset_within_a_day"}
    assert checks["state"] == {"ck_state_one_row"}
    assert keys["packs"] == {"fk_packs_pair_id", "fk_packs_photo_id"}
    assert keys["exemplars"] == {"fk_exemplars_photo_id", "fk_exemplars_thing_id"}


def _names(constraints: list[Any]) -> set[str]:
    return {constraint["name"] for constraint in constraints}


@pytest.mark.parametrize("table", ["photos", "packs", "pairs", "things", "exemplars"])
@pytest.mark.parametrize("frozen", [None, *FROZEN], ids=lambda file: "new" if file is None else file.stem)
def test_ids_are_never_used_again_in_a_new_or_an_upgraded_catalog(path: Path, frozen: Path | None, table: str) -> None:
    if frozen:
        path.parent.mkdir()
        shutil.copy(frozen, path)
    bring_to_head(path)
    with closing(connect_to_read(path)) as connection:
        query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
        assert "AUTOINCREMENT" in connection.execute(query, (table,)).fetchone()[0]


def test_photos_from_before_sessions_stand_in_none_and_keep_their_time(path: Path) -> None:
    path.parent.mkdir()
    shutil.copy(DATABASES / "0002.sqlite", path)
    before = rows(path, "photos")
    bring_to_head(path)
    nowhere = {"session_id": None, "number": None, "mono_ms": None, "captured_error_ms": None, "condition": None}
    nobodys = {"wearer": 0}
    assert [row | nowhere | nobodys for row in before] == rows(path, "photos")
    assert rows(path, "sessions") == []


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == HEAD
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(REVISIONS)


OPENS_AND_LISTS_IMPORTS = """
import sys
from pathlib import Path
from archive.catalog.writer import Catalog
with Catalog.open(Path(sys.argv[1])) as catalog:
    catalog.uuid
print("alembic" in sys.modules)
"""


def test_a_current_catalog_opens_without_alembic(path: Path) -> None:
    fill(path, photos=1)
    done = subprocess.run(
        [sys.executable, "-c", OPENS_AND_LISTS_IMPORTS, str(path)], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"


def test_the_frozen_database_holds_what_its_script_says(old: Path) -> None:
    assert [row["digest"].hex() for row in rows(old, "photos")] == [digest(number) for number in (1, 2, 3)]
