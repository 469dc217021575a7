from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from archive.catalog.checking import Code, check_catalog
from archive.catalog.driver import PAGE_SIZE, connect_to_write
from archive.errors import ArchiveError
from archive.types import Shard
from tests.catalog.samples import OTHER_PAIR, fill, writing

if TYPE_CHECKING:
    from pathlib import Path


def tamper(path: Path, *statements: str) -> None:
    with closing(connect_to_write(path, foreign_keys=False)) as connection:
        for statement in statements:
            connection.execute(statement)


def codes(path: Path, *, deep: bool = False) -> list[Code]:
    return [finding.code for finding in check_catalog(path, deep=deep)]


@pytest.mark.parametrize("deep", [False, True])
def test_a_good_catalog_has_no_findings(path: Path, deep: bool) -> None:
    pair_id = fill(path, photos=4)
    with writing(path) as catalog:
        catalog.replace_shards(pair_id, [Shard("s", "00" * 32, 1, 6, 1, 2), Shard("t", "00" * 32, 1, 3, 3, 3)], [])
    assert codes(path, deep=deep) == []


def test_an_empty_catalog_has_no_findings(path: Path) -> None:
    with writing(path):
        pass
    assert codes(path) == []


def test_a_missing_catalog_cannot_be_checked(path: Path) -> None:
    with pytest.raises(ArchiveError, match="there is no archive"):
        check_catalog(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE packs SET crc = crc + 1 WHERE id = 2",
        "UPDATE packs SET vectors = zeroblob(length(vectors)) WHERE id = 2",
        "UPDATE packs SET vectors = substr(vectors, 3) WHERE id = 2",
        "UPDATE packs SET count = count - 1 WHERE id = 2",
    ],
)
def test_a_damaged_pack_is_found(path: Path, statement: str) -> None:
    fill(path, photos=3)
    tamper(path, statement)
    (finding,) = check_catalog(path)
    assert finding.code is Code.PACK
    assert finding.is_damage
    assert "photo 2" in finding.message


def test_packs_that_changed_places_are_found(path: Path) -> None:
    fill(path, photos=2)
    tamper(
        path,
        "UPDATE packs SET photo_id = -1 WHERE id = 1",
        "UPDATE packs SET photo_id = 1 WHERE id = 2",
        "UPDATE packs SET photo_id = 2 WHERE id = 1",
    )
    assert codes(path) == [Code.PACK, Code.PACK]


def test_a_pack_whose_first_segment_is_not_the_whole_frame_is_found(path: Path) -> None:
    fill(path, photos=2)
    tamper(path, "UPDATE photos SET width = width + 1 WHERE id = 2")
    (finding,) = check_catalog(path)
    assert finding.code is Code.WHOLE_FRAME
    assert "photo 2" in finding.message


def test_a_pack_without_its_photo_is_found(path: Path) -> None:
    fill(path, photos=2)
    tamper(path, "DELETE FROM photos WHERE id = 1")
    assert set(codes(path)) == {Code.ORPHAN}


def test_a_lost_state_row_is_found(path: Path) -> None:
    fill(path, photos=1)
    tamper(path, "DELETE FROM state")
    assert codes(path) == [Code.STATE]


def test_a_photo_without_a_source_is_found(path: Path) -> None:
    fill(path, photos=2)
    tamper(path, "DELETE FROM sources WHERE photo_id = 2")
    assert codes(path) == [Code.SOURCE]


@pytest.mark.parametrize(
    "shards",
    [
        [Shard("wrong count", "00" * 32, 1, 5, 1, 2)],
        [Shard("one", "00" * 32, 1, 6, 1, 2), Shard("over it", "00" * 32, 1, 6, 2, 3)],
    ],
)
def test_shards_that_contradict_their_packs_are_found(path: Path, shards: list[Shard]) -> None:
    pair_id = fill(path, photos=3)
    with writing(path) as catalog:
        catalog.replace_shards(pair_id, shards, [])
    assert codes(path) == [Code.SHARD]


def test_photos_that_wait_for_their_pair_are_pending_and_no_damage(path: Path) -> None:
    fill(path, photos=3)
    with writing(path) as catalog:
        catalog.set_answering(catalog.ensure_pair(OTHER_PAIR))
    (finding,) = check_catalog(path)
    assert finding.code is Code.PENDING
    assert not finding.is_damage
    assert finding.message.startswith("3 photos wait")


def test_an_index_that_disagrees_with_its_table_is_found_by_a_deep_check(path: Path) -> None:
    fill(path, photos=3)
    tamper(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(sql, '(captured_at_us)', '(size)') "
        "WHERE name = 'ix_photos_captured_at_us'",
    )
    assert Code.SQLITE not in codes(path)
    assert Code.SQLITE in codes(path, deep=True)


def test_lost_pages_are_found_and_end_nothing(path: Path) -> None:
    fill(path, photos=200)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size * 3 // 4 // PAGE_SIZE * PAGE_SIZE)  # the schema lies before
        file.write(bytes(size // 5))
    assert Code.SQLITE in codes(path)
