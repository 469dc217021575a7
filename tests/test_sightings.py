"""Sightings: runs of hits that follow one another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from archive import sightings
from archive.types import CaptureSource, Hit, Photo

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def hit(rank: int, minutes: float | None, camera: str | None = None) -> Hit:
    taken = None if minutes is None else NOON + timedelta(minutes=minutes)
    source = CaptureSource.UNKNOWN if minutes is None else CaptureSource.EXIF
    photo = Photo(rank, f"{rank:064x}", f"{rank}.jpg", ".jpg", taken, source, camera, 640, 480)
    return Hit(rank=rank, score=1 / rank, probability=0.5, photo=photo, boxes=())


def always(_one: Hit, _other: Hit) -> float:
    return 0.9


def loosely(_one: Hit, _other: Hit) -> float:
    return 0.5


def never(_one: Hit, _other: Hit) -> float:
    return 0.1


def odd_ranks_alike(one: Hit, other: Hit) -> float:
    return 0.9 if one.rank % 2 == other.rank % 2 == 1 else 0.1


def test_photos_a_few_seconds_apart_are_one_sighting() -> None:
    (only,) = sightings.group([hit(2, 0), hit(1, 0.1), hit(3, 0.2)], loosely)
    assert (only.photos, only.best, only.hit.rank) == (3, 1, 1)
    assert (only.first, only.last) == (NOON, NOON + timedelta(minutes=0.2))


def test_a_long_pause_begins_a_new_sighting_and_the_latest_stands_first() -> None:
    later, earlier = sightings.group([hit(1, 0), hit(2, 5), hit(3, 60)], always)
    assert (later.best, later.photos) == (3, 1)
    assert (earlier.best, earlier.photos) == (1, 2)


def test_two_cameras_at_the_same_time_are_two_sightings() -> None:
    assert len(sightings.group([hit(1, 0, "left"), hit(2, 1, "right"), hit(3, 2, "left")], always)) == 2


def test_photos_of_unknown_time_stand_last_each_by_itself() -> None:
    seen = sightings.group([hit(1, None), hit(2, None), hit(3, 0)], always)
    assert [one.best for one in seen] == [3, 1, 2]
    assert seen[1].last is None


def test_no_hits_make_no_sightings() -> None:
    assert sightings.group([], always) == ()


@given(st.lists(st.one_of(st.none(), st.integers(0, 500)), max_size=40))
def test_each_hit_belongs_to_exactly_one_sighting_and_order_does_not_matter(minutes: list[int | None]) -> None:
    hits = [hit(rank, minute) for rank, minute in enumerate(minutes, 1)]
    seen = sightings.group(hits, odd_ranks_alike)
    assert sum(one.photos for one in seen) == len(hits)
    assert sightings.group(reversed(hits), odd_ranks_alike) == seen


def test_another_view_after_a_while_is_another_sighting() -> None:
    assert [one.photos for one in sightings.group([hit(1, 0), hit(2, 5), hit(3, 10)], never)] == [1, 1, 1]
    assert [one.photos for one in sightings.group([hit(1, 0), hit(3, 5), hit(2, 6)], odd_ranks_alike)] == [1, 2]


def test_who_looks_up_and_down_again_is_still_at_the_same_desk() -> None:
    looks = {1: 0.9, 2: 0.5, 3: 0.9}

    def alike(one: Hit, other: Hit) -> float:
        return min(looks[one.rank], looks[other.rank])

    (only,) = sightings.group([hit(1, 0), hit(2, 0.2), hit(3, 9)], alike)
    assert (only.photos, only.best) == (3, 1)


def test_photos_of_one_moment_that_show_different_places_are_different_sightings() -> None:
    assert len(sightings.group([hit(1, 0), hit(2, 0), hit(3, 0.1)], never)) == 3


def test_a_head_may_turn_within_a_breath_but_not_for_minutes() -> None:
    assert [one.photos for one in sightings.group([hit(1, 0), hit(2, 0.2), hit(3, 2)], loosely)] == [1, 2]
