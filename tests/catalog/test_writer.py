from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from archive.catalog import queries
from archive.catalog.driver import connect_to_write
from archive.catalog.new_photo import PhotoIsKnown
from archive.catalog.postgres import as_driver
from archive.catalog.reader import CatalogReader
from archive.errors import PhotoError, SpaceMismatch
from archive.types import CaptureSource, CaptureTime, Pack, Shard
from tests.catalog.samples import DIM, OTHER_PAIR, PAIR, digest, fill, new_photo, noon, pack, writing

if TYPE_CHECKING:
    from archive.catalog.driver import Place
    from archive.catalog.writer import NewPhoto


def sql(place: Place, query: str, *parameters: object) -> list[tuple[object, ...]]:
    opened = connect_to_write(place) if isinstance(place, Path) else as_driver(place.connect())
    with closing(opened) as connection:
        cursor = connection.execute(query, parameters)
        return cursor.fetchall() if cursor.description else []


def shard(name: str, first: int, last: int, count: int = 3) -> Shard:
    return Shard(name, "ab" * 32, 4096, count, first, last)


def test_a_photo_comes_back_as_it_was_added(place: Place) -> None:
    new = new_photo(7, noon(3), camera="wearable")
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        photo_id = catalog.add_photo(new, pair_id, pack(7))
        assert catalog.photo_id(new.digest) == photo_id
        photo = catalog.photos([photo_id])[photo_id]
        ((_, stored),) = catalog.packs(pair_id)
    assert (photo.digest, photo.name, photo.suffix) == (digest(7), "7.jpg", ".jpg")
    assert (photo.captured_at, photo.captured_at_source) == (noon(3), CaptureSource.EXIF)
    assert (photo.camera, photo.width, photo.height) == ("wearable", new.width, new.height)
    assert stored.photo_id == photo_id
    assert np.array_equal(stored.boxes, pack(7).boxes)
    assert np.allclose(stored.vectors, pack(7).vectors, atol=1e-3)


@pytest.mark.parametrize(
    "taken",
    [
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 11, 23, 14, 2, 11, 123_457, tzinfo=UTC),
        datetime(2026, 11, 23, 14, 2, 11, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_a_capture_time_keeps_its_last_microsecond(place: Place, taken: datetime) -> None:
    with writing(place) as catalog:
        photo_id = catalog.add_photo(new_photo(1, taken), catalog.ensure_pair(PAIR), pack())
        assert catalog.photos([photo_id])[photo_id].captured_at == taken


def test_the_offset_from_utc_is_kept(place: Place) -> None:
    new = replace(new_photo(), capture=CaptureTime(noon(1), CaptureSource.EXIF, -570))
    with writing(place) as catalog:
        catalog.add_photo(new, catalog.ensure_pair(PAIR), pack())
    assert sql(place, "SELECT captured_offset_minutes FROM photos") == [(-570,)]


def test_a_name_that_is_not_text_survives(place: Place) -> None:
    name = b"\xff\xfe\n\x1b[2J.jpg"
    with writing(place) as catalog:
        photo_id = catalog.add_photo(replace(new_photo(), name=name), catalog.ensure_pair(PAIR), pack())
        assert os.fsencode(catalog.photos([photo_id])[photo_id].name) == name


def test_every_write_counts_and_changes_the_nonce(place: Place) -> None:
    with writing(place) as catalog:
        states = [catalog.state]
        pair_id = catalog.ensure_pair(PAIR)
        states.append(catalog.state)
        photo_id = catalog.add_photo(new_photo(), pair_id, pack())
        states.append(catalog.state)
        catalog.add_source(photo_id, b"b.jpg", b"b.jpg", None)
        states.append(catalog.state)
        catalog.set_answering(pair_id)
        states.append(catalog.state)
        catalog.set_wanted(pair_id)
        states.append(catalog.state)
        catalog.replace_shards(pair_id, [shard("a", 1, 1)], [])
        states.append(catalog.state)
    assert [state.generation for state in states] == list(range(1, 8))
    assert len({state.nonce for state in states}) == len(states)
    assert {state.uuid for state in states} == {states[0].uuid}


def test_reading_and_what_is_known_already_write_nothing(place: Place) -> None:
    fill(place, photos=1)
    with writing(place) as catalog:
        before = catalog.state
        assert not catalog.add_source(1, b"1.jpg", b"card/1.jpg", None)
        assert catalog.ensure_pair(PAIR) == 1
        assert list(catalog.photos_without_pack(1)) == []
        assert catalog.state == before


def test_two_archives_have_different_names(path: Path) -> None:
    with writing(path) as one, writing(path.with_name("other") / path.name) as other:
        assert one.uuid != other.uuid


def test_a_photo_that_is_there_is_not_added_again(place: Place) -> None:
    pair_id = fill(place, photos=1)
    with writing(place) as catalog:
        before = catalog.state
        with pytest.raises(PhotoIsKnown):
            catalog.add_photo(new_photo(1), pair_id, pack())
        assert catalog.state == before


def test_a_photo_whose_pack_is_malformed_leaves_nothing(place: Place) -> None:
    good = pack()
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        before = catalog.state
        with pytest.raises(ValueError, match="unit rows"):
            catalog.add_photo(new_photo(), pair_id, replace(good, vectors=good.vectors * 2))
        assert catalog.photo_id(new_photo().digest) is None
        assert catalog.state == before
    assert sql(place, "SELECT count(*) FROM sources") == [(0,)]


def test_a_photo_too_long_for_a_box_is_one_bad_file(place: Place) -> None:
    with writing(place) as catalog, pytest.raises(PhotoError, match="longer than 65,535"):
        catalog.add_photo(replace(new_photo(), width=65_536), catalog.ensure_pair(PAIR), pack())


def test_a_pair_that_another_machine_added_a_moment_ago_is_the_same_pair(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        monkeypatch.setattr(queries, "pairs", lambda _connection: {})  # as it was before
        assert catalog.ensure_pair(PAIR) == pair_id


def test_vectors_of_another_length_are_refused(place: Place) -> None:
    good = pack()
    longer = Pack(1, good.boxes, good.confidences, np.eye(3, DIM + 1, dtype=np.float32))
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        with pytest.raises(SpaceMismatch):
            catalog.add_photo(new_photo(), pair_id, longer)
        catalog.add_photo(new_photo(), pair_id, good)
        with pytest.raises(SpaceMismatch):
            catalog.add_pack(longer, catalog.ensure_pair(OTHER_PAIR))


def test_a_second_place_of_a_photo_is_remembered_once(place: Place) -> None:
    fill(place, photos=1)
    with writing(place) as catalog:
        assert catalog.add_source(1, b"copy.jpg", b"backup/copy.jpg", 12.5)
        assert not catalog.add_source(1, b"copy.jpg", b"backup/copy.jpg", 99.0)
        assert catalog.photos([1])[1].name == "1.jpg"
    assert sql(place, "SELECT path, modified_us FROM sources ORDER BY id")[1:] == [(b"backup/copy.jpg", 12_500_000)]


def test_a_pair_is_known_by_what_it_computes_not_by_its_name(place: Place) -> None:
    renamed = PAIR._replace(name="mine", embedder_source="/elsewhere")
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        assert catalog.ensure_pair(renamed) == pair_id
        catalog.set_answering(pair_id)
        assert catalog.answering() == (pair_id, renamed)
        assert catalog.ensure_pair(OTHER_PAIR) != pair_id
        with pytest.raises(SpaceMismatch):
            catalog.ensure_pair(PAIR._replace(dim=DIM + 1))


def test_nothing_answers_until_a_pair_is_told_to(place: Place) -> None:
    with writing(place) as catalog:
        assert catalog.answering() is None
        assert catalog.wanted() is None
        pair_id = catalog.ensure_pair(PAIR)
        catalog.set_wanted(pair_id)
        assert catalog.answering() is None
        assert catalog.wanted() == (pair_id, PAIR)


def test_photos_without_a_pack_are_found_while_packs_are_added(place: Place) -> None:
    fill(place, photos=5)
    with writing(place) as catalog:
        other = catalog.ensure_pair(OTHER_PAIR)
        assert catalog.pending(other) == 5
        seen = []
        for photo in catalog.photos_without_pack(other):
            seen.append(photo.id)
            catalog.add_pack(pack(photo.id, photo_id=photo.id), other)
        assert seen == [1, 2, 3, 4, 5]
        assert list(catalog.photos_without_pack(other)) == []
        assert catalog.pending(other) == 0


def test_photos_without_a_pack_reach_beyond_one_page(path: Path) -> None:
    fill(path, photos=1)
    sql(
        path,
        """WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
           INSERT INTO photos (digest, suffix, size, captured_at_source, width, height, added_generation)
           SELECT randomblob(32), '.jpg', 1, 'unknown', 1, 1, 1 FROM n""",
    )
    with writing(path) as catalog:
        assert [photo.id for photo in catalog.photos_without_pack(1)] == list(range(2, 601))


def test_packs_are_read_in_order_between_two_ids(place: Place) -> None:
    pair_id = fill(place, photos=9)
    with writing(place) as catalog:
        assert [pack_id for pack_id, _ in catalog.packs(pair_id, 3, 6)] == [3, 4, 5, 6]
        assert [stored.photo_id for _, stored in catalog.packs(pair_id, 8)] == [8, 9]


def test_shards_are_replaced_together(place: Place) -> None:
    pair_id = fill(place, photos=4)
    one, two, both = shard("one", 1, 1), shard("two", 2, 2), shard("both", 1, 2, count=6)
    with writing(place) as catalog:
        catalog.replace_shards(pair_id, [two, one], [])
        assert catalog.shards(pair_id) == [one, two]
        catalog.replace_shards(pair_id, [both], [one, two])
        assert catalog.shards(pair_id) == [both]
        with pytest.raises(IntegrityError):
            catalog.replace_shards(pair_id, [both], [])
        assert catalog.shards(pair_id) == [both]


def test_what_no_shard_covers_is_unsealed(place: Place) -> None:
    pair_id = fill(place, photos=6)
    with writing(place) as catalog:
        assert catalog.unsealed(pair_id) == [(1, 6, 18)]
        catalog.replace_shards(pair_id, [shard("gap", 2, 3, count=6)], [])
        assert catalog.unsealed(pair_id) == [(1, 1, 3), (4, 6, 9)]
        catalog.replace_shards(pair_id, [shard("start", 1, 1), shard("end", 4, 6, count=9)], [])
        assert catalog.unsealed(pair_id) == []


@pytest.mark.parametrize("table", ["photos", "packs", "pairs"])
def test_an_id_is_never_used_again(path: Path, table: str) -> None:
    fill(path, photos=3)
    highest = sql(path, f"SELECT max(id) FROM {table}")[0][0]
    sql(path, "UPDATE state SET answering_pair = NULL, wanted_pair = NULL")
    sql(path, "DELETE FROM photos WHERE id = 3")
    if table == "pairs":
        sql(path, "DELETE FROM packs")
        sql(path, "DELETE FROM pairs")
    with writing(path) as catalog:
        catalog.add_photo(new_photo(9), catalog.ensure_pair(PAIR), pack())
    assert sql(path, f"SELECT max(id) FROM {table}") == [(int(str(highest)) + 1,)]


def test_deleting_a_photo_deletes_its_sources_and_segments(place: Place) -> None:
    fill(place, photos=2)
    sql(place, "DELETE FROM photos WHERE id = 1")
    assert sql(place, "SELECT photo_id FROM sources") == [(2,)]
    assert sql(place, "SELECT photo_id FROM packs") == [(2,)]


def test_a_checkpoint_empties_the_log(path: Path) -> None:
    with writing(path) as catalog:
        catalog.ensure_pair(PAIR)
        assert catalog.checkpoint()
        assert path.with_name(f"{path.name}-wal").stat().st_size == 0


def test_a_checkpoint_says_when_a_reader_kept_it_from_finishing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.catalog.purging.CHECKPOINT_PATIENCE_MS", 10)
    fill(path, photos=1)
    with writing(path) as catalog:
        with CatalogReader.open(path):
            catalog.ensure_pair(OTHER_PAIR)
            assert not catalog.checkpoint()
        assert catalog.checkpoint()


@pytest.mark.parametrize("field", ["name", "path"])
def test_a_canary_is_gone_from_every_file_once_its_photo_was_deleted(path: Path, field: str) -> None:
    canary = b"canary-" * 8
    new: NewPhoto = replace(new_photo(), **{field: canary})  # type: ignore[arg-type]
    with writing(path) as catalog:
        catalog.add_photo(new, catalog.ensure_pair(PAIR), pack())
        assert canary in b"".join(file.read_bytes() for file in path.parent.iterdir())
        catalog._driver.execute("DELETE FROM photos")
        assert catalog.checkpoint()
        assert canary not in b"".join(file.read_bytes() for file in path.parent.iterdir())
