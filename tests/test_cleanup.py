from __future__ import annotations

import time
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from archive.cleanup import CleanUp, clean
from archive.types import MAX_SEGMENTS, Box, Region

WIDTH, HEIGHT = 640, 480
FRAME = Region(Box(0, 0, WIDTH, HEIGHT), 1.0)


def region(left: int, top: int, right: int, bottom: int, confidence: float = 0.5) -> Region:
    return Region(Box(left, top, right, bottom), confidence)


def boxes_around(*regions: Region) -> list[Region]:
    """What clean-up leaves of these, without the frame."""
    first, *rest = clean(regions, WIDTH, HEIGHT)
    assert first == FRAME
    return rest


edges_across = some.integers(-50, WIDTH + 50)
edges_down = some.integers(-50, HEIGHT + 50)
proposals = some.lists(some.builds(region, edges_across, edges_down, edges_across, edges_down, some.floats(0, 1)))


@given(proposals, some.randoms(use_true_random=False))
def test_the_order_of_proposals_does_not_matter(regions: list[Region], chance: object) -> None:
    shuffled = list(regions)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert clean(shuffled, WIDTH, HEIGHT) == clean(regions, WIDTH, HEIGHT)


@given(proposals)
def test_the_frame_stands_first_and_the_rest_lies_inside_it(regions: list[Region]) -> None:
    first, *rest = clean(regions, WIDTH, HEIGHT)
    assert first == FRAME
    for (left, top, right, bottom), _ in rest:
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT


@given(proposals)
def test_cleaning_what_is_clean_changes_nothing(regions: list[Region]) -> None:
    once = clean(regions, WIDTH, HEIGHT)
    assert clean(once, WIDTH, HEIGHT) == once


@given(proposals, some.integers(1, 12))
def test_a_photo_never_has_more_segments_than_the_limit(regions: list[Region], limit: int) -> None:
    assert len(clean(regions, WIDTH, HEIGHT, CleanUp(limit=limit))) <= limit


@given(proposals, some.integers(1, 12))
@settings(max_examples=50)
def test_a_lower_limit_only_cuts_the_end_off(regions: list[Region], limit: int) -> None:
    assert clean(regions, WIDTH, HEIGHT, CleanUp(limit=limit)) == clean(regions, WIDTH, HEIGHT)[:limit]


@given(some.integers(1, 30), some.integers(1, 30))
def test_a_photo_of_a_few_pixels_is_its_frame(width: int, height: int) -> None:
    covering = [Region(Box(0, 0, width, height), 0.9)]
    assert clean(covering, width, height) == [Region(Box(0, 0, width, height), 1.0)]


def test_without_proposals_the_frame_remains() -> None:
    assert clean([], WIDTH, HEIGHT) == [FRAME]


def test_a_box_over_most_of_the_frame_is_the_frame() -> None:
    assert boxes_around(region(0, 0, 640, 384)) == []
    large = region(0, 0, 640, 380)
    assert boxes_around(large) == [large]


def test_a_box_beyond_the_border_is_clipped() -> None:
    assert boxes_around(region(-20, 100, 60, 180)) == [region(0, 100, 60, 180)]
    assert boxes_around(region(700, 100, 800, 180)) == []


@pytest.mark.parametrize("empty", [region(50, 50, 50, 90), region(50, 90, 80, 50), region(90, 90, 50, 50)])
def test_a_box_without_an_area_is_dropped(empty: Region) -> None:
    assert boxes_around(empty) == []


def test_keys_across_the_room_are_large_enough() -> None:
    keys = region(300, 200, 316, 212)
    assert boxes_around(keys) == [keys]
    assert clean([region(750, 500, 780, 522)], 1600, 1200)[1:] == [region(750, 500, 780, 522)]


def test_specks_are_dropped() -> None:
    assert boxes_around(region(300, 200, 340, 207)) == []
    assert clean([region(750, 500, 768, 518)], 1600, 1200) == [Region(Box(0, 0, 1600, 1200), 1.0)]


def test_of_two_boxes_around_one_thing_the_surer_stays() -> None:
    loose, tight = region(100, 100, 200, 200, 0.4), region(104, 102, 200, 198, 0.7)
    assert boxes_around(loose, tight) == [tight]


def test_neighbours_both_stay() -> None:
    cup, saucer = region(100, 100, 200, 200, 0.7), region(130, 130, 230, 230, 0.6)
    assert boxes_around(cup, saucer) == [cup, saucer]


def test_a_box_nearly_as_large_inside_another_is_the_same_thing() -> None:
    settings = CleanUp(same_overlap=0.99)
    outer, inner = region(100, 100, 200, 200, 0.8), region(100, 100, 200, 175, 0.6)
    assert clean([outer, inner], WIDTH, HEIGHT, settings) == [FRAME, outer]


def test_a_small_thing_on_a_large_one_stays() -> None:
    laptop, sticker = region(100, 100, 400, 300, 0.9), region(150, 150, 200, 190, 0.3)
    assert boxes_around(laptop, sticker) == [laptop, sticker]


def test_a_chain_of_overlaps_loses_only_what_a_kept_box_repeats() -> None:
    left, middle, right = region(100, 0, 200, 100, 0.9), region(120, 0, 220, 100, 0.8), region(140, 0, 240, 100, 0.7)
    assert boxes_around(left, middle, right) == [left, right]


def test_beyond_the_limit_the_surest_stay() -> None:
    row = [region(40 * at, 0, 40 * at + 30, 30, 0.01 * at) for at in range(12)]
    assert clean(row, WIDTH, HEIGHT, CleanUp(limit=4)) == [FRAME, row[11], row[10], row[9]]


@pytest.mark.parametrize("limit", [0, MAX_SEGMENTS + 1])
def test_a_limit_that_ordinals_cannot_count_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        CleanUp(limit=limit)


def test_each_setting_shows_in_the_identity() -> None:
    plain = CleanUp()
    changed = [replace(plain, **{field.name: getattr(plain, field.name) / 2}) for field in fields(plain)[:-1]]
    identities = {plain.identity, replace(plain, limit=12).identity, *(settings.identity for settings in changed)}
    assert len(identities) == len(fields(plain)) + 1
    assert all(identity == "".join(identity.split()) for identity in identities)


def test_three_hundred_proposals_take_milliseconds() -> None:
    regions = [
        region(7 * at % 600, 11 * at % 440, 7 * at % 600 + 40, 11 * at % 440 + 40, at / 300) for at in range(300)
    ]
    spent = []
    for _ in range(10):
        before = time.thread_time()
        clean(regions, WIDTH, HEIGHT)
        spent.append(time.thread_time() - before)
    assert min(spent) < 0.01, "usually 2 ms"
