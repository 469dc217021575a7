"""What a photo shows again is not looked at again; what is new in it always is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from archive.errors import PhotoError, SourceVanished
from archive.observation import Observer
from archive.protocols import RegionEmbedder
from archive.reuse import SAME_WITHIN, Gate, Reuse, is_same, stamp, stood_at
from archive.types import Box
from tests import coloured_photos
from tests.fakes import ColourEmbedder, ColourSegmenter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from archive.types import Pack, Pixels, Region, Vectors
    from tests.commands import Commands

NOISE = 1.5
RED, BLUE = (20, 20, 120, 120), (200, 60, 290, 200)


class Seen(NamedTuple):
    """A photo as an ingest hands it over."""

    pixels: Pixels


class CountingSegmenter(ColourSegmenter):
    """Counts the photos that it looks at."""

    looked = 0

    def segment(self, pixels: Pixels) -> list[Region]:
        self.looked += 1
        return super().segment(pixels)


class CountingEmbedder(ColourEmbedder):
    """Counts the crops that it embeds."""

    crops = 0

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        self.crops += len(crops)
        return super().embed_images(crops)


class RegionColours(CountingEmbedder):
    """Looks at a photo once."""

    def embed_regions(self, pixels: Pixels, boxes: Sequence[Box]) -> Vectors:
        return self.embed_images([pixels[box.top : box.bottom, box.left : box.right] for box in boxes])


def noisy(squares: dict[str, tuple[int, int, int, int]], seed: int, brighter: float = 0.0) -> Seen:
    """A photo of a camera that stands still: the same each time but for its noise."""
    clean = coloured_photos.pixels(squares, (800, 600)).astype(float)
    grain = np.random.default_rng(seed).normal(brighter, NOISE, clean.shape)
    return Seen((clean + grain).clip(0, 255).astype(np.uint8))


def observe(photos: list[Seen], observer: Observer, reuse: Reuse | None, workers: int = 2) -> list[Pack]:
    return [pack for _, pack in observer.observe_all(photos, workers, reuse)]


def test_a_photo_that_repeats_one_has_its_segments_without_a_look() -> None:
    observer = Observer(CountingSegmenter(), CountingEmbedder())
    reuse = Reuse()
    first, second, third = observe([noisy({"red": RED}, seed) for seed in range(3)], observer, reuse)
    assert observer.segmenter.looked == 1  # type: ignore[attr-defined]
    np.testing.assert_array_equal(first.vectors, third.vectors)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    assert (reuse.photos, reuse.carried, reuse.vectors) == (2, 2 * len(first), 3 * len(first))


@pytest.mark.parametrize("side", [12, 40])
@pytest.mark.parametrize("embedder", [CountingEmbedder, RegionColours])
def test_a_thing_that_is_in_one_photo_of_many_that_are_alike_is_found(
    side: int, embedder: type[CountingEmbedder]
) -> None:
    thing = {"green": (401, 303, 401 + side, 303 + side)}
    photos = [noisy({"red": RED}, 0), noisy({"red": RED}, 1), noisy({"red": RED} | thing, 2), noisy({"red": RED}, 3)]
    observer = Observer(ColourSegmenter(), embedder())
    packs = observe(photos, observer, Reuse())
    assert [len(pack) for pack in packs] == [2, 2, 3, 2]
    np.testing.assert_array_equal(packs[2].boxes, observe([photos[2]], observer, None)[0].boxes)


def test_the_smallest_thing_that_gets_a_segment_opens_the_gate() -> None:
    gate = Gate()
    assert not gate.repeats(noisy({}, 0).pixels)
    assert gate.repeats(noisy({}, 1).pixels)
    assert not gate.repeats(noisy({"blue": (401, 303, 406, 308)}, 2).pixels)


def test_slow_change_does_not_creep_past() -> None:
    gate = Gate()
    repeats = [gate.repeats(noisy({}, step, brighter=2.0 * step).pixels) for step in range(8)]
    assert repeats[1]
    assert not all(repeats[1:])


def test_a_segment_whose_place_shows_the_same_keeps_its_vector_while_another_comes() -> None:
    observer = Observer(ColourSegmenter(), CountingEmbedder())
    reuse = Reuse()
    photos = [noisy({"red": RED}, 0), noisy({"red": RED, "blue": BLUE}, 1)]
    before, after = observe(photos, observer, reuse)
    assert observer.embedder.crops == 2 + 2  # type: ignore[attr-defined]
    assert reuse.carried == 1
    fresh = observe(photos[1:], observer, None)[0]
    np.testing.assert_allclose(after.vectors, fresh.vectors, atol=0.02)
    assert len(after) == len(before) + 1


def test_a_segment_that_changed_colour_is_embedded_anew() -> None:
    observer = Observer(ColourSegmenter(), ColourEmbedder())
    reuse = Reuse()
    _, after = observe([noisy({"red": RED}, 0), noisy({"blue": RED}, 1)], observer, reuse)
    np.testing.assert_array_equal(after.vectors, observer.observe(noisy({"blue": RED}, 1).pixels).vectors)
    assert reuse.carried == 0


def test_without_reuse_each_photo_is_looked_at() -> None:
    observer = Observer(CountingSegmenter(), CountingEmbedder())
    observe([noisy({"red": RED}, seed) for seed in range(3)], observer, None)
    assert observer.segmenter.looked == 3  # type: ignore[attr-defined]


def test_packs_come_in_order_whatever_the_number_of_workers() -> None:
    photos = [noisy({"red": (20 + 90 * at, 20, 120 + 90 * at, 120)}, at) for at in range(6)]
    observer = Observer(ColourSegmenter(), ColourEmbedder())
    expected = observe(photos, observer, None, workers=1)
    for one, other in zip(expected, observe(photos, observer, Reuse(), workers=4), strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_an_error_of_one_photo_does_not_hold_up_the_next() -> None:
    class Failing(ColourSegmenter):
        def segment(self, pixels: Pixels) -> list[Region]:
            raise PhotoError(f"cannot be seen: {pixels.shape}")

    photos = [noisy({"red": RED}, 0), noisy({"blue": BLUE}, 1), noisy({"green": BLUE}, 2)]
    with pytest.raises(PhotoError, match="cannot be seen"):
        observe(photos, Observer(Failing(), ColourEmbedder()), Reuse())


def test_what_was_read_before_a_card_went_away_is_observed() -> None:
    def pulled() -> Iterator[Seen]:
        yield noisy({"red": RED}, 0)
        yield noisy({"red": RED}, 1)
        raise SourceVanished("the card went away")

    observed = Observer(ColourSegmenter(), ColourEmbedder()).observe_all(pulled(), 2, Reuse())
    assert [len(next(observed)[1]) for _ in range(2)] == [2, 2]
    with pytest.raises(SourceVanished, match="went away"):
        next(observed)


def test_the_same_place_is_one_that_overlaps_by_nine_tenths() -> None:
    there = [Box(0, 0, 100, 100), Box(50, 50, 150, 150)]
    assert stood_at(Box(51, 50, 151, 150), there) == 1
    assert stood_at(Box(70, 50, 170, 150), there) is None
    assert stood_at(Box(0, 0, 1, 1), []) is None


def test_a_stamp_tells_a_changed_cell_from_noise() -> None:
    crop = noisy({}, 0).pixels[:320, :320]
    assert is_same(stamp(crop), stamp(noisy({}, 1).pixels[:320, :320]))
    changed = crop.copy()
    changed[100:110, 100:110] += SAME_WITHIN * 2
    assert not is_same(stamp(crop), stamp(changed))


def test_the_tests_own_region_embedder_is_one() -> None:
    assert isinstance(RegionColours(), RegionEmbedder)


def test_an_ingest_says_what_it_reused_and_can_be_told_not_to(archive: Commands, tmp_path: Path) -> None:
    for number in range(3):
        path = coloured_photos.write(tmp_path / "card" / f"{number}.jpg", {"red": (20, 20, 80, 80)})
        path.write_bytes(path.read_bytes() + bytes([number]))  # another file of the same picture
    report = archive("ingest", tmp_path / "card", "--json").object
    assert report["reused"] == {"photos": 2, "vectors": 4, "of_vectors": 6}
    again = archive("ingest", tmp_path / "card")
    assert "reused" not in again.err


def test_no_reuse_looks_at_each_photo(archive: Commands, tmp_path: Path) -> None:
    for number in range(2):
        path = coloured_photos.write(tmp_path / "card" / f"{number}.jpg", {"red": (20, 20, 80, 80)})
        path.write_bytes(path.read_bytes() + bytes([number]))
    done = archive("ingest", tmp_path / "card", "--no-reuse", "--json").object
    assert done["reused"] == {"photos": 0, "vectors": 0, "of_vectors": 0}


class NarrowEmbedder(CountingEmbedder):
    """Looks at 32 pixels, and keeps the sides of the crops that it was shown."""

    side = 32

    def __init__(self) -> None:
        self.shown: list[int] = []

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        self.shown += [len(crop) for crop in crops]
        return super().embed_images(crops)


@pytest.mark.parametrize("reuse", [None, Reuse()])
def test_an_embedder_is_shown_no_more_pixels_than_it_looks_at(reuse: Reuse | None) -> None:
    observer = Observer(ColourSegmenter(), NarrowEmbedder())
    photo = noisy({"red": RED, "green": (401, 303, 413, 315)}, 0)
    (pack,) = observe([photo], observer, reuse)
    assert observer.embedder.shown == [32, 32, 16]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(pack.vectors, observer.observe(photo.pixels).vectors)
