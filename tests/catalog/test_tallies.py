"""What a pair holds is counted as packs come and go, whoever adds or deletes them."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from archive.catalog.driver import connect_to_read, connect_to_write
from archive.catalog.reader import CatalogReader
from archive.catalog.revisions import REVISIONS
from archive.catalog.upgrade import bring_to_head
from tests.catalog.freeze import DATABASES
from tests.catalog.samples import OTHER_PAIR, fill, new_photo, pack, writing

if TYPE_CHECKING:
    from pathlib import Path

    from archive.catalog.queries import Tally


def tally(path: Path, pair_id: int = 1) -> Tally:
    with CatalogReader.open(path) as reader:
        found = reader.tally(pair_id)
    assert found is not None
    return found


def counted(path: Path, pair_id: int = 1) -> tuple[int, int]:
    with closing(connect_to_read(path)) as connection:
        row = connection.execute("SELECT count(*), sum(count) FROM packs WHERE pair_id = ?", (pair_id,)).fetchone()
    return row[0], row[1]


def test_a_tally_is_what_counting_gives_after_every_kind_of_change(path: Path) -> None:
    fill(path, photos=5)
    assert tally(path)[:2] == counted(path) == (5, 15)
    with writing(path) as catalog:
        catalog.erase([2, 4])
    assert tally(path)[:2] == counted(path) == (3, 9)
    with writing(path) as catalog:
        catalog.add_pack(pack(7, segments=6, photo_id=1), 1)
        catalog.drop_packs(1, [3])
    assert tally(path)[:2] == counted(path) == (2, 9)


def test_each_pair_has_its_own(path: Path) -> None:
    fill(path, photos=3)
    before = tally(path)
    with writing(path) as catalog:
        other = catalog.ensure_pair(OTHER_PAIR)
        catalog.add_pack(pack(1, segments=2, photo_id=1), other)
    assert tally(path) == before
    assert tally(path, other)[:2] == (1, 2)


def test_what_was_seen_changes_with_every_pack_and_what_was_erased_only_when_one_goes(path: Path) -> None:
    fill(path, photos=2)
    first = tally(path)
    with writing(path) as catalog:
        catalog.add_photo(new_photo(3), 1, pack(3))
    second = tally(path)
    assert (second.changed != first.changed, second.erased == first.erased) == (True, True)
    with writing(path) as catalog:
        catalog.erase([3])
    third = tally(path)
    assert (third.changed != second.changed, third.erased != second.erased) == (True, True)


@pytest.mark.parametrize("released", REVISIONS[:-1])
def test_an_upgraded_catalog_has_counted_what_it_held(path: Path, released: str) -> None:
    path.parent.mkdir()
    shutil.copy(DATABASES / f"{released}.sqlite", path)
    bring_to_head(path)
    assert tally(path)[:2] == counted(path)


def test_without_a_tally_packs_are_counted(path: Path) -> None:
    fill(path, photos=4)
    with closing(connect_to_write(path)) as connection:
        connection.execute("DELETE FROM tallies")
    with CatalogReader.open(path) as reader:
        assert reader.tally(1) is None
        counts = reader.counts(1)
    assert (counts.photos, counts.segments) == counted(path)
