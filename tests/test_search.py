"""Searching through shards gives what searching everything gives."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import bootstrap, indexing, probes, scanning, search, shelving, verdicts
from archive.catalog.driver import connect_to_write
from archive.catalog.writer import NewPhoto
from archive.indexes.faiss_shards import FaissIndex
from archive.kept import Kept
from archive.scanning import Scan
from archive.settings import Settings
from archive.types import CaptureSource, CaptureTime, Example, Pack, Pair, Query, Sort, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archive.types import Answer, Vectors

DIM = 64
PHOTOS = 400
MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
PAIR = Pair("test", "none", "random@1", DIM, "none", "none")


class Directions:
    """Words are numbers of a direction."""

    space = PAIR.space
    dim = DIM

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        rows = np.stack([np.random.default_rng(int(text)).normal(size=DIM) for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def pack(number: int) -> Pack:
    """A photo of ten segments; every 40th shows the thing of query 7, and every other 20th something like it."""
    rng = np.random.default_rng(1000 + number)
    rows = rng.normal(size=(10, DIM))
    if number % 20 == 0:
        clear = 8 if number % 40 == 0 else 4
        rows[3] = Directions().embed_text(["7"])[0] * clear + rng.normal(size=DIM) * 0.5
    vectors = np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
    boxes = np.tile(np.array([[0, 0, 100, 100]], np.int32), (10, 1))
    return Pack(0, boxes, np.ones(10, np.float32), vectors)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose catalog holds 400 photos, a minute apart, with nothing sealed yet."""
    folder = tmp_path_factory.mktemp("template") / "home"
    with bootstrap.writing(Settings(folder, folder)) as catalog:
        number = catalog.ensure_pair(PAIR)
        catalog.set_answering(number)
        for photo in range(PHOTOS):
            taken = CaptureTime(MORNING + timedelta(minutes=photo), CaptureSource.EXIF)
            name = b"%d.jpg" % photo
            new = NewPhoto(f"{photo:064x}", ".jpg", 1, taken, None, 100, 100, name, name, None)
            catalog.add_photo(new, number, pack(photo))
    return folder


@pytest.fixture
def pair_id(settings: Settings, template: Path) -> int:
    """The template as this test's home; the id of its pair."""
    shutil.copytree(template, settings.home)
    with bootstrap.reading(settings) as reader:
        answering = reader.answering()
    assert answering is not None
    return answering[0]


def seal(settings: Settings, pair_id: int, seal_at: int) -> None:
    with bootstrap.writing(settings) as catalog:
        shelving.shelve(catalog, indexing.index(settings, catalog, pair_id, PAIR), pair_id, seal_at)


def ask(settings: Settings, pair_id: int, query: Query, kept: Kept | None = None) -> Answer:
    with bootstrap.reading(settings) as reader:
        index = FaissIndex(settings.shards / str(pair_id), DIM, reader.shards(pair_id))
        return search.search(query, reader, Directions(), index, lambda *_: None, kept=kept)


def ranking(answer: Answer) -> list[tuple[int, float]]:
    return [(hit.photo.id, round(hit.score, 4)) for hit in answer.hits]


def test_sealing_leaves_nothing_outside_and_keeps_every_vector(settings: Settings, pair_id: int) -> None:
    seal(settings, pair_id, seal_at=1000)
    with bootstrap.reading(settings) as reader:
        assert sum(shard.count for shard in reader.shards(pair_id)) == PHOTOS * 10
        assert reader.unsealed(pair_id) == []


@pytest.mark.parametrize("text", ["7", "8", "9"])
@pytest.mark.parametrize("limit", [1, 10, 100])
def test_shards_answer_as_brute_force_does(settings: Settings, pair_id: int, text: str, limit: int) -> None:
    query = Query(text, limit=limit)
    plain = ask(settings, pair_id, query)
    seal(settings, pair_id, seal_at=1000)
    sealed = ask(settings, pair_id, query)
    assert ranking(sealed) == ranking(plain)
    assert sealed.verdict is plain.verdict


def test_a_filter_counts_inside_the_search(settings: Settings, pair_id: int) -> None:
    seal(settings, pair_id, seal_at=1000)
    after, before = MORNING + timedelta(minutes=41), MORNING + timedelta(minutes=121)
    answer = ask(settings, pair_id, Query("7", limit=5, after=after, before=before))
    assert sorted(one.hit.photo.name for one in answer.sightings) == ["120.jpg", "80.jpg"]
    assert answer.searched.photos == 80


@pytest.fixture(scope="module")
def sealed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An archive whose first 300 photos are in shards, and of which every seventh has no known time."""
    home = tmp_path_factory.mktemp("sealed") / "home"
    shutil.copytree(template, home)
    settings = Settings(home, home)
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("UPDATE photos SET captured_at_us = NULL, captured_at_source = 'unknown' WHERE id % 7 = 0")
        connection.execute("UPDATE photos SET camera = 'left' WHERE id % 2 = 0")
    with bootstrap.writing(settings) as catalog:
        index = indexing.index(settings, catalog, 1, PAIR)
        for first, last in ((1, 150), (151, 300)):
            packs = list(catalog.packs(1, first, last))
            ids = np.concatenate([np.arange(10) + (one.photo_id << 10) for _, one in packs])
            shard = index.add(ids, np.concatenate([one.vectors for _, one in packs]), (first, last))
            catalog.replace_shards(1, [shard], [])
    return settings


def brute_force(settings: Settings, query: Query) -> list[int]:
    """Photo ids in the order of the mean of frame and best segment, after every photo was held against the filter."""
    with bootstrap.reading(settings) as reader:
        packs = {one.photo_id: one for _, one in reader.packs(1)}
        photos = reader.photos(packs)
    vector = Directions().embed_text([query.text])[0]
    scored = []
    for number, photo in photos.items():
        taken = photo.captured_at
        if query.after and not (taken and taken >= query.after):
            continue
        if query.before and not (taken and taken < query.before):
            continue
        if query.camera and photo.camera != query.camera:
            continue
        cosines = packs[number].vectors @ vector
        scored.append((-float(np.float32(cosines[0] + cosines[1:].max())), -number))
    return [-number for _, number in sorted(scored)]


MINUTES = st.one_of(st.none(), st.integers(-10, PHOTOS + 10))


@hypothesis.settings(max_examples=25, deadline=None)
@given(
    text=st.sampled_from(["7", "8", "9"]),
    after=MINUTES,
    before=MINUTES,
    camera=st.sampled_from([None, "left", "nobody's"]),
    sort=st.sampled_from(Sort),
)
def test_a_filtered_answer_is_brute_force_over_the_filtered_photos_and_few_begin_many(
    sealed: Settings, text: str, after: int | None, before: int | None, camera: str | None, sort: Sort
) -> None:
    begin, end = (None if minute is None else MORNING + timedelta(minutes=minute) for minute in (after, before))
    query = Query(text, limit=PHOTOS, after=begin, before=end, camera=camera)
    expected = brute_force(sealed, query)
    everything = ask(sealed, 1, query._replace(everything=True))
    assert [hit.photo.id for hit in everything.hits] == expected
    assert everything.searched.photos == len(expected)
    assert (everything.verdict is Verdict.EMPTY) == (not expected)
    many = ask(sealed, 1, query._replace(limit=10, sort=sort)).hits
    listed = {hit.photo.id for hit in ask(sealed, 1, query).hits}
    assert {hit.photo.id for hit in many} <= listed
    if sort is Sort.RELEVANCE:
        assert [hit.photo.id for hit in many] == [number for number in expected if number in listed][:10]
    for limit in (1, 3):
        assert ask(sealed, 1, query._replace(limit=limit, sort=sort)).hits == many[:limit]


def test_photos_of_unknown_time_are_found_and_counted_where_a_range_leaves_them_out(sealed: Settings) -> None:
    everything = ask(sealed, 1, Query("7", limit=PHOTOS, everything=True))
    assert sum(hit.photo.captured_at is None for hit in everything.hits) == PHOTOS // 7
    assert ask(sealed, 1, Query("7", after=MORNING)).searched.untimed == PHOTOS // 7


def test_half_sealed_is_searched_whole(settings: Settings, pair_id: int) -> None:
    query = Query("7", limit=20)
    plain = ask(settings, pair_id, query)
    with bootstrap.writing(settings) as catalog:
        index = indexing.index(settings, catalog, pair_id, PAIR)
        packs = list(catalog.packs(pair_id, 1, 150))
        ids = np.concatenate([np.arange(10) + (one.photo_id << 10) for _, one in packs])
        shard = index.add(ids, np.concatenate([one.vectors for _, one in packs]), (1, 150))
        catalog.replace_shards(pair_id, [shard], [])
    assert ranking(ask(settings, pair_id, query)) == ranking(plain)


def test_a_damaged_shard_loses_nothing(settings: Settings, pair_id: int) -> None:
    query = Query("7", limit=20)
    plain = ask(settings, pair_id, query)
    seal(settings, pair_id, seal_at=1000)
    for path in (settings.shards / str(pair_id)).iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert ranking(ask(settings, pair_id, query)) == ranking(plain)
    with bootstrap.writing(settings) as catalog:
        index = indexing.index(settings, catalog, pair_id, PAIR)
        assert shelving.mend(catalog, index, pair_id) == 1
        assert indexing.index(settings, catalog, pair_id, PAIR).broken == []
    assert ranking(ask(settings, pair_id, query)) == ranking(plain)


@pytest.mark.parametrize("loss", ["UPDATE packs SET crc = crc + 1", "DELETE FROM packs"])
def test_where_all_that_shows_it_is_damaged_or_gone_the_others_answer(
    settings: Settings, pair_id: int, loss: str
) -> None:
    seal(settings, pair_id, seal_at=1000)
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute(f"{loss} WHERE photo_id % 20 = 1")
    answer = ask(settings, pair_id, Query("7"))
    whole = ask(settings, pair_id, Query("7", everything=True))
    assert answer.verdict is Verdict.NOT_SEEN
    assert (answer.best, answer.searched.damaged) == (whole.best, whole.searched.damaged)


def test_of_the_photos_to_be_shown_a_damaged_one_is_passed_over_and_counted(settings: Settings, pair_id: int) -> None:
    seal(settings, pair_id, seal_at=1000)
    best, *others = ranking(ask(settings, pair_id, Query("7", limit=5)))
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE photo_id = ?", (best[0],))
    answer = ask(settings, pair_id, Query("7", limit=4))
    assert ranking(answer) == others
    assert answer.searched.damaged == 1


def test_where_all_that_is_sure_is_damaged_the_doubtful_ones_are_told(
    settings: Settings, pair_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "LIKELY", 1)
    seal(settings, pair_id, seal_at=1000)
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE photo_id % 40 = 1")
    answer = ask(settings, pair_id, Query("7", limit=2))
    assert answer.verdict is Verdict.MAYBE
    assert {one.hit.photo.id % 40 for one in answer.sightings} == {21}
    assert sum(one.photos for one in answer.sightings) == answer.searched.damaged == PHOTOS // 40


def test_a_photo_that_clears_the_bar_by_its_frame_alone_stands_where_brute_force_puts_it(
    settings: Settings, pair_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = NewPhoto(
        f"{PHOTOS:064x}", ".jpg", 1, CaptureTime(MORNING, CaptureSource.EXIF), None, 100, 100, b"x", b"x", None
    )
    whole = pack(3)
    vectors = np.concatenate([pack(20).vectors[3:4], whole.vectors[1:]])
    with bootstrap.writing(settings) as catalog:
        framed = catalog.add_photo(new, pair_id, replace(whole, vectors=vectors))
    query = Query("7", limit=PHOTOS)
    plain = ranking(ask(settings, pair_id, query))
    assert framed in dict(plain)
    seal(settings, pair_id, seal_at=1000)
    monkeypatch.setattr(scanning, "LIKELY", 1)
    assert ranking(ask(settings, pair_id, query)) == plain


def test_without_any_shard_file_every_answer_is_the_same(settings: Settings, pair_id: int) -> None:
    query = Query("7", limit=20)
    seal(settings, pair_id, seal_at=1000)
    sealed = ask(settings, pair_id, query)
    shutil.rmtree(settings.shards)
    assert ranking(ask(settings, pair_id, query)) == ranking(sealed)


def test_every_photo_over_the_bar_is_in_a_sighting_whatever_the_limit(settings: Settings, pair_id: int) -> None:
    seal(settings, pair_id, seal_at=1000)
    answer = ask(settings, pair_id, Query("7", limit=1))
    assert sum(one.photos for one in answer.sightings) == PHOTOS // 40
    assert answer.sightings[0].hit.photo.name == "360.jpg"
    assert answer.sightings[0].hit.boxes


@pytest.mark.parametrize("limit", [1, 3])
def test_where_one_is_sure_only_the_sure_and_the_first_are_scored(
    settings: Settings, pair_id: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "LIKELY", 1)
    seal(settings, pair_id, seal_at=1000)
    with bootstrap.reading(settings) as reader:
        index = indexing.index(settings, reader, pair_id, PAIR)
        scan = Scan(reader, index, pair_id, None)
        asked = probes.compose(Example("7", Directions().embed_text(["7"])), [], [], scan.sample())
        every, some = scan.nearest(asked), scan.nearest(asked, limit)
    sure = asked.background.score_at(verdicts.SEEN_AT)
    assert (every.best < sure).sum() == (every.best >= sure).sum() == 10
    assert len(some.photos) < len(every.photos)
    assert some.photos[some.ranked()][:limit].tolist() == every.photos[every.ranked()][:limit].tolist()
    assert set(some.photos[some.best >= sure]) == set(every.photos[every.best >= sure])


def test_of_many_sightings_the_latest_are_told_and_all_are_counted(
    settings: Settings, pair_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = ask(settings, pair_id, Query("7"))
    assert every.sightings_in_all == len(every.sightings) > 3
    monkeypatch.setattr(search, "SIGHTINGS_TOLD", 3)
    few = ask(settings, pair_id, Query("7"))
    assert few.sightings == every.sightings[:3]
    assert few.sightings_in_all == every.sightings_in_all
    assert len(ask(settings, pair_id, Query("7", everything=True)).sightings) == every.sightings_in_all


@pytest.mark.parametrize("seal_at", [1000, PHOTOS * 20])
@pytest.mark.parametrize("at_once", [1, 64])
def test_photos_that_are_alike_are_those_whose_frames_are_nearest(
    settings: Settings, pair_id: int, seal_at: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(settings, pair_id, seal_at)
    monkeypatch.setattr(scanning, "FRAMES_AT_ONCE", at_once)
    with bootstrap.reading(settings) as reader:
        frames = reader.frames_of(pair_id, range(1, PHOTOS + 1))
        scan = Scan(reader, indexing.index(settings, reader, pair_id, PAIR), pair_id, None)
        found, all_of_them = scan.alike(41, 0.1, 4), scan.alike(41, 0.3, PHOTOS)
    nearest = sorted(frames, key=lambda photo: -float(frames[photo] @ frames[41]))
    assert found == nearest[:4]
    assert all_of_them == [photo for photo in nearest if float(frames[photo] @ frames[41]) >= 0.3]


def test_of_a_thing_that_is_everywhere_the_latest_photo_and_the_best_one_are_told(
    settings: Settings, pair_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(settings, pair_id, seal_at=1000)
    query = Query("7", limit=1)
    every = ask(settings, pair_id, query)
    monkeypatch.setattr(scanning, "MOST_SCORED", 10)
    monkeypatch.setattr(scanning, "LIKELY", 2)
    some = ask(settings, pair_id, query)
    assert ranking(some) == ranking(every)
    assert some.sightings[0].last == every.sightings[0].last
    assert sum(one.photos for one in some.sightings) < sum(one.photos for one in every.sightings)


def test_the_background_of_a_sample_is_near_that_of_everything(settings: Settings, pair_id: int) -> None:
    with bootstrap.reading(settings) as reader:
        vector = Directions().embed_text(["7"])
        everything = np.concatenate([one.vectors @ vector[0] for _, one in reader.packs(pair_id)])
    seal(settings, pair_id, seal_at=1000)
    answer = ask(settings, pair_id, Query("7", limit=1))
    expected = verdicts.probability(verdicts.background(everything).height(answer.sightings[0].hit.boxes[0].score))
    assert answer.sightings[0].hit.probability == pytest.approx(expected, abs=0.01)


def test_a_small_archive_is_sampled_whole_and_each_photo_once(settings: Settings, pair_id: int) -> None:
    seal(settings, pair_id, seal_at=1000)
    with bootstrap.reading(settings) as reader:
        sample = Scan(reader, indexing.index(settings, reader, pair_id, PAIR), pair_id, None).sample()
        everything = np.concatenate([one.vectors for _, one in reader.packs(pair_id)])
    np.testing.assert_array_equal(sample, everything)


def test_a_large_archive_is_sampled_in_runs_spread_evenly(
    settings: Settings, pair_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(settings, pair_id, seal_at=1000)
    monkeypatch.setattr(scanning, "SAMPLED_PHOTOS", 32)
    with bootstrap.reading(settings) as reader:
        sample = Scan(reader, indexing.index(settings, reader, pair_id, PAIR), pair_id, None).sample()
    expected = [pack(start + number).vectors for start in (0, 100, 200, 300) for number in range(8)]
    np.testing.assert_allclose(sample, np.concatenate(expected), atol=1e-3)


def test_where_all_photos_of_the_shards_are_gone_the_others_are_the_background(
    sealed: Settings, settings: Settings
) -> None:
    shutil.copytree(sealed.home, settings.home)
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("DELETE FROM packs WHERE id <= 300")
    answer = ask(settings, 1, Query("7"))
    assert answer.searched.photos == PHOTOS - 300
    assert answer.verdict is Verdict.SEEN


def test_a_doubtful_photo_is_listed_but_is_no_sighting_where_another_is_sure(settings: Settings, pair_id: int) -> None:
    answer = ask(settings, pair_id, Query("7", limit=PHOTOS))
    assert answer.verdict is Verdict.SEEN
    assert {int(hit.photo.name[:-4]) % 40 for hit in answer.hits} == {0, 20}
    assert {int(one.hit.photo.name[:-4]) % 40 for one in answer.sightings} == {0}


QUESTIONS = [
    Query("7"),
    Query("8", limit=3),
    Query("9", everything=True),
    Query("7", after=MORNING),
    Query("7", before=MORNING + timedelta(minutes=99)),
]


def plain(answer: Answer) -> Answer:
    return answer._replace(took_ms={})


def test_answers_over_what_is_kept_are_those_over_the_catalog_whatever_changes(
    sealed: Settings, settings: Settings
) -> None:
    shutil.copytree(sealed.home, settings.home)
    kept = Kept()

    def same() -> None:
        for query in QUESTIONS * 2:
            assert plain(ask(settings, 1, query, kept)) == plain(ask(settings, 1, query))

    same()
    taken = CaptureTime(MORNING + timedelta(minutes=50), CaptureSource.EXIF)
    with bootstrap.writing(settings) as catalog:
        new = NewPhoto("f" * 64, ".jpg", 1, taken, None, 100, 100, b"new.jpg", b"new.jpg", None)
        catalog.add_photo(new, 1, pack(40))
    same()
    with bootstrap.writing(settings) as catalog:
        catalog.erase([40, 80, 320])
    same()
    seal(settings, 1, seal_at=10)
    same()


def test_a_damaged_pack_is_counted_in_every_answer_over_what_is_kept(settings: Settings, pair_id: int) -> None:
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE id IN (3, 5)")
    kept = Kept()
    assert [ask(settings, pair_id, Query("7"), kept).searched.damaged for _ in range(2)] == [2, 2]


def test_what_is_kept_is_read_once(settings: Settings, pair_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    first = ask(settings, pair_id, Query("7"), kept)
    monkeypatch.setattr("archive.catalog.reader.CatalogReader.unsealed_packs", lambda *_: pytest.fail("read again"))
    assert plain(ask(settings, pair_id, Query("7"), kept)) == plain(first)
    kept.let_go()
    with pytest.raises(pytest.fail.Exception):
        ask(settings, pair_id, Query("7"), kept)


def test_words_need_no_sample_where_chances_ignore_the_background(
    sealed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_score = verdicts.Calibration(offset=-4.0, of_score=12.0, of_height=0.0)

    def asked(query: Query) -> Answer:
        with bootstrap.reading(sealed) as reader:
            index = FaissIndex(sealed.shards / "1", DIM, reader.shards(1))
            return plain(search.search(query, reader, Directions(), index, lambda *_: None, calibration=by_score))

    explained = asked(Query("7", explain=True))
    monkeypatch.setattr(Scan, "sample", lambda _: pytest.fail("sampled"))
    answer = asked(Query("7"))
    assert [(hit.photo.id, hit.probability) for hit in answer.hits] == [
        (hit.photo.id, hit.probability) for hit in explained.hits
    ]
    assert answer.hits
