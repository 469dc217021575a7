"""What the archive learns of the wearable's clocks, one card after the other, and the photos that it moves by it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archive.catalog.checking import check_catalog
from archive.catalog.driver import connect_to_read
from archive.photos.session_clock import How
from archive.sessions import Anchor, AnchorSource, Session, SessionKey
from archive.timekeeping import Timekeeper
from archive.types import CaptureSource
from tests.catalog.samples import PAIR, new_photo, pack, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive.catalog.writer import Catalog

HOUR = 3_600_000
DAY = 24 * HOUR
NOON = 1_795_003_200_000
FAST_PPM = 10_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "catalog.sqlite"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    with writing(path) as open_catalog:
        open_catalog.ensure_pair(PAIR)
        yield open_catalog


def key(number: int, nonce: str = "00000001") -> SessionKey:
    return SessionKey("a0b1c2d3e4f5", number, nonce)


def ntp(mono_ms: int, utc_ms: int) -> Anchor:
    return Anchor(mono_ms, utc_ms, 50, AnchorSource.NTP)


def ran(true_ms: int) -> int:
    """What a clock counts that runs fast."""
    return true_ms * (1_000_000 + FAST_PPM) // 1_000_000


def add_photo(catalog: Catalog, keeper: Timekeeper, number: int, session: SessionKey, mono_ms: int) -> int:
    capture = keeper.moment(session, mono_ms).capture_time(60)
    new = replace(new_photo(number), capture=capture, place=keeper.place(session, number, mono_ms), condition="whole")
    return catalog.add_photo(new, 1, pack(number))


def captured(path: Path, photo_id: int) -> tuple[int | None, int | None, int | None]:
    """A photo's time in Unix milliseconds, its error, and its distance from UTC."""
    query = "SELECT captured_at_us / 1000, captured_error_ms, captured_offset_minutes FROM photos WHERE id = ?"
    with closing(connect_to_read(path)) as connection:
        row: tuple[int | None, int | None, int | None] = connection.execute(query, (photo_id,)).fetchone()
    return row


def test_a_drift_that_one_card_taught_holds_for_the_next(catalog: Catalog) -> None:
    Timekeeper(catalog).learn(
        [Session(key(1), "deep", ran(10 * HOUR), (ntp(0, NOON), ntp(ran(9 * HOUR), NOON + 9 * HOUR)))]
    )
    keeper = Timekeeper(catalog)
    keeper.learn([Session(key(2), "deep", ran(HOUR), (ntp(0, NOON + DAY),))])
    moment = keeper.moment(key(2), ran(HOUR))
    assert moment.how is How.EXTRAPOLATED
    assert moment.utc_ms is not None
    assert moment.error_ms is not None
    assert abs(moment.utc_ms - (NOON + DAY + HOUR)) < 100
    assert moment.error_ms < 8_000


def test_what_is_learned_later_moves_the_photos_that_are_in(catalog: Catalog, path: Path) -> None:
    keeper = Timekeeper(catalog)
    keeper.learn([Session(key(1), last_mono_ms=HOUR, begun_before_ms=NOON + DAY)])
    photo = add_photo(catalog, keeper, 1, key(1), HOUR)
    assert captured(path, photo) == (None, None, 60)
    before = catalog.state.generation
    assert keeper.anchor(key(1), ntp(HOUR, NOON))
    assert captured(path, photo) == (NOON, 50, 60)
    assert keeper.retimed == 1
    assert catalog.state.generation == before + 1
    (stored,) = catalog.photos([photo]).values()
    assert (stored.captured_at_source, stored.captured_error_ms) == (CaptureSource.JOURNAL, 50)


def test_what_two_cards_tell_of_one_session_is_put_together(catalog: Catalog) -> None:
    keeper = Timekeeper(catalog)
    first = Session(key(1), last_mono_ms=HOUR, anchors=(ntp(0, NOON),))
    keeper.learn([first, Session(key(1), last_mono_ms=2 * HOUR, anchors=(ntp(2 * HOUR, NOON + 2 * HOUR),))])
    assert keeper.anchors(key(1)) == (ntp(0, NOON), ntp(2 * HOUR, NOON + 2 * HOUR))
    assert keeper.moment(key(1), HOUR).how is How.INTERPOLATED


def test_learning_the_same_again_writes_nothing(catalog: Catalog) -> None:
    session = Session(key(1), last_mono_ms=HOUR, anchors=(ntp(0, NOON),), begun_before_ms=NOON + DAY)
    Timekeeper(catalog).learn([session])
    before = catalog.state.generation
    keeper = Timekeeper(catalog)
    keeper.learn([session, session._replace(last_mono_ms=5, anchors=(), begun_before_ms=NOON + 2 * DAY)])
    assert catalog.state.generation == before
    assert keeper.retimed == 0


def test_a_session_without_an_anchor_is_placed_by_neighbours_that_come_later(catalog: Catalog, path: Path) -> None:
    keeper = Timekeeper(catalog)
    keeper.learn([Session(key(2), last_mono_ms=HOUR, begun_before_ms=NOON + 30 * DAY)])
    photo = add_photo(catalog, keeper, 1, key(2), 0)
    keeper.learn([Session(key(1), anchors=(ntp(0, NOON),)), Session(key(3), anchors=(ntp(0, NOON + 3 * HOUR),))])
    moment, error, _ = captured(path, photo)
    assert moment is not None
    assert error is not None
    assert NOON <= moment <= NOON + 2 * HOUR + HOUR // 10
    assert error <= 2 * HOUR


def test_numbers_that_begin_anew_are_not_taken_for_neighbours(catalog: Catalog) -> None:
    keeper = Timekeeper(catalog)
    keeper.learn(
        [
            Session(key(1), anchors=(ntp(0, NOON),)),
            Session(key(2), last_mono_ms=60_000, begun_before_ms=NOON + 2 * HOUR),
            Session(key(3), anchors=(ntp(0, NOON + HOUR),)),
        ]
    )
    before = keeper.moment(key(2), 0)
    assert before.how is How.ESTIMATED
    much_later = NOON + 300 * DAY
    keeper.learn([Session(key(1, "ffffffff"), anchors=(ntp(0, much_later),))])
    keeper.learn([Session(key(2, "ffffffff"), last_mono_ms=5, begun_before_ms=much_later + HOUR)])
    assert keeper.moment(key(2), 0) == before
    again = keeper.moment(key(2, "ffffffff"), 0)
    assert again.utc_ms is not None
    assert much_later <= again.utc_ms <= much_later + HOUR


def test_a_clock_of_another_day_is_not_believed(catalog: Catalog) -> None:
    keeper = Timekeeper(catalog)
    bounded = Session(key(1), last_mono_ms=HOUR, begun_after_ms=NOON, begun_before_ms=NOON + 3 * HOUR)
    keeper.learn([bounded])
    for utc_ms in (NOON - DAY, NOON + DAY):
        assert not keeper.anchor(key(1), Anchor(HOUR, utc_ms, 1000, AnchorSource.CODE))
    assert keeper.anchors(key(1)) == ()
    assert keeper.anchor(key(1), Anchor(HOUR, NOON + 2 * HOUR, 1000, AnchorSource.CODE))


def test_a_less_exact_anchor_gives_way_to_one_that_contradicts_it(catalog: Catalog) -> None:
    keeper = Timekeeper(catalog)
    keeper.learn([Session(key(1), last_mono_ms=HOUR, anchors=(ntp(HOUR, NOON),))])
    typed = Anchor(0, NOON, 120_000, AnchorSource.TYPED)
    assert not keeper.fits(key(1), typed)
    assert not keeper.anchor(key(1), typed)
    assert keeper.moment(key(1), HOUR).utc_ms == NOON


def test_a_start_that_is_typed_again_replaces_the_first(catalog: Catalog) -> None:
    keeper = Timekeeper(catalog)
    keeper.learn([Session(key(1), last_mono_ms=HOUR)])
    for start in (NOON, NOON + 5 * HOUR):
        assert keeper.anchor(key(1), Anchor(0, start, 120_000, AnchorSource.TYPED))
    assert Timekeeper(catalog).moment(key(1), 0).utc_ms == NOON + 5 * HOUR


def test_a_catalog_with_sessions_is_sound(catalog: Catalog, path: Path) -> None:
    keeper = Timekeeper(catalog)
    keeper.learn([Session(key(1), last_mono_ms=HOUR, anchors=(ntp(0, NOON),))])
    add_photo(catalog, keeper, 7, key(1), HOUR)
    assert catalog.session_numbers(key(1)) == {7}
    assert catalog.session_numbers(key(1, "ffffffff")) == set()
    assert check_catalog(path, deep=True) == []
