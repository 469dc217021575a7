"""Walking through the photos in the order of time, a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from archive.catalog.browsing import Place
from archive.catalog.reader import CatalogReader
from tests.catalog.samples import PAIR, new_photo, noon, pack, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.catalog import driver

TAKEN = {1: noon(3), 2: noon(1), 3: None, 4: noon(3), 5: noon(2), 6: None, 7: datetime(1969, 7, 20, tzinfo=UTC)}
CAMERAS = {1: "desk", 2: "desk", 4: "bag", 5: "ABC"}
BACK_IN_TIME = [4, 1, 5, 2, 7, 6, 3]
"""The ids: newest first, of one moment the later id first, and those of unknown time at the end."""


@pytest.fixture
def reader(place: driver.Place) -> Iterator[CatalogReader]:
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        for number, taken in TAKEN.items():
            catalog.add_photo(new_photo(number, taken, CAMERAS.get(number)), pair_id, pack(number))
    with CatalogReader.open(place) as reader:
        yield reader


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pages_of_any_size_meet_each_photo_once_going_back_in_time(reader: CatalogReader, size: int) -> None:
    met: list[int] = []
    place = None
    while page := reader.photos_earlier(place, size):
        met += [photo.id for photo in page]
        place = Place.of(page[-1])
    assert met == BACK_IN_TIME


@pytest.mark.parametrize("at", range(len(BACK_IN_TIME)))
def test_neighbours_stand_on_either_side_in_order(reader: CatalogReader, at: int) -> None:
    place = Place.of(reader.photos([BACK_IN_TIME[at]])[BACK_IN_TIME[at]])
    assert [photo.id for photo in reader.photos_earlier(place, 50)] == BACK_IN_TIME[at + 1 :]
    assert [photo.id for photo in reader.photos_later(place, 50)] == BACK_IN_TIME[:at][::-1]
    assert [photo.id for photo in reader.photos_later(place, 2)] == BACK_IN_TIME[:at][::-1][:2]


def test_a_page_can_begin_at_a_moment(reader: CatalogReader) -> None:
    assert [photo.id for photo in reader.photos_earlier(Place.before(noon(3)), 2)] == [5, 2]


@pytest.mark.parametrize("place", [Place(0, 1), Place(-14_256_000_000_000, 7), Place(None, 3)])
def test_a_place_survives_an_address(place: Place) -> None:
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "1", "1.", ".1", "1.-1", "x.1", "1.1.1", "9" * 30 + ".1", "1.1 ", "None.1", "\u0661.1"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    assert Place.parse(text) is None


def test_days_are_counted_on_the_local_calendar(reader: CatalogReader) -> None:
    counts = reader.days(noon(1), noon(3) + timedelta(seconds=1))
    assert counts == {noon(day).astimezone().date(): count for day, count in {1: 1, 2: 1, 3: 2}.items()}
    assert sum(reader.days(noon(2), noon(3)).values()) == 1


def test_cameras_are_listed_once_each(reader: CatalogReader) -> None:
    assert reader.cameras(10) == ["ABC", "bag", "desk"]
    assert reader.cameras(2) == ["ABC", "bag"]
