"""What a crash, a kill and a careless umask leave behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from archive.catalog.checking import check_catalog
from archive.errors import ArchiveBusy
from tests.catalog.samples import PAIR, digest, fill, new_photo, pack, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from tests.catalog.samples import new_photo, pack, writing

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def count(connection, cursor, statement, *_):
    seen.append(statement)
    if len(seen) == int(sys.argv[2]):
        die()

seen = []
with writing(Path(sys.argv[1])) as catalog:
    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", die)
    catalog.add_photo(new_photo(2), 1, pack(2))
"""

STATEMENTS = 5  # BEGIN, state, photo, source, pack


@pytest.mark.parametrize("at", [*range(1, STATEMENTS + 1), "commit"])
def test_a_writer_killed_inside_a_transaction_leaves_nothing_of_it(path: Path, at: int | str) -> None:
    pair_id = fill(path, photos=1)
    point = str(STATEMENTS + 1 if at == "commit" else at)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), point], check=False)
    assert killed.returncode == -9
    assert check_catalog(path, deep=True) == []
    with writing(path) as catalog:
        assert catalog.photo_id(digest(1)) == 1
        assert catalog.photo_id(digest(2)) is None
        assert catalog.add_photo(new_photo(2), pair_id, pack(2)) == 2
    assert check_catalog(path, deep=True) == []


def test_an_error_inside_a_transaction_leaves_nothing_of_it(path: Path) -> None:
    fill(path, photos=1)
    with writing(path) as catalog:
        before = catalog.state
        with pytest.raises(KeyboardInterrupt):
            _interrupted(catalog._write())
        assert catalog.state == before


def _interrupted(transaction: object) -> None:
    with transaction:  # type: ignore[attr-defined]
        raise KeyboardInterrupt


def test_a_second_writer_is_turned_away(path: Path) -> None:
    with writing(path), pytest.raises(ArchiveBusy), writing(path):
        pass


@pytest.fixture
def careless() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("careless")
def test_nobody_else_can_read_an_archive_whatever_the_umask(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "inside" / "home"
    with writing(home / "catalog.sqlite") as catalog:
        catalog.add_photo(new_photo(), catalog.ensure_pair(PAIR), pack())
        files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()}
    assert files == dict.fromkeys(["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "writer.lock"], 0o600)
    folders = [home, home.parent, home.parent.parent]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o750)
    with writing(home / "catalog.sqlite"):
        pass
    assert stat.S_IMODE(home.stat().st_mode) == 0o750
