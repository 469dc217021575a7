from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from archive.photos import crops
from archive.photos.crops import LARGEST, NEUTRAL, square
from archive.types import Box
from tests.photos.pictures import quarters


def holds(crop: np.ndarray, part: np.ndarray) -> bool:
    """Whether the part lies somewhere in the crop, pixel for pixel."""
    height, width = part.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(crop, (height, width, 3))
    return bool((windows == part).all(axis=(-1, -2, -3)).any())


def test_both_ends_of_a_long_thing_survive() -> None:
    pixels = np.full((60, 120, 3), 90, dtype=np.uint8)
    pen = Box(10, 30, 110, 50)
    pixels[30:50, 10:14] = (255, 0, 0)
    pixels[30:50, 106:110] = (0, 0, 255)
    crop = square(pixels, pen)
    assert crop.shape[0] == crop.shape[1]
    assert (crop == (255, 0, 0)).all(axis=2).sum() == 20 * 4
    assert (crop == (0, 0, 255)).all(axis=2).sum() == 20 * 4


def test_the_box_grows_by_the_context_on_every_side() -> None:
    pixels = np.arange(100 * 100 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 100, 3)
    crop = square(pixels, Box(40, 40, 60, 60), context=0.15)
    assert np.array_equal(crop, pixels[37:63, 37:63])


def test_without_context_a_square_box_is_the_crop() -> None:
    pixels = quarters()
    assert np.array_equal(square(pixels, Box(8, 8, 40, 40), context=0), pixels[8:40, 8:40])


def test_a_square_photo_is_not_copied() -> None:
    pixels = quarters(64, 64)
    assert np.shares_memory(square(pixels, Box(0, 0, 64, 64)), pixels)


def test_the_padding_is_neutral_and_equal_on_both_sides() -> None:
    crop = square(np.zeros((20, 60, 3), dtype=np.uint8), Box(0, 0, 60, 20))
    assert crop.shape == (60, 60, 3)
    assert (crop[:20] == NEUTRAL).all()
    assert (crop[20:40] == 0).all()
    assert (crop[40:] == NEUTRAL).all()


@given(st.data(), st.floats(0, 1))
def test_any_crop_is_square_contiguous_and_holds_its_whole_box(data: st.DataObject, context: float) -> None:
    height, width = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    pixels = np.random.default_rng(width * height).integers(0, 255, (height, width, 3), dtype=np.uint8)
    crop = square(pixels, Box(left, top, right, bottom), context)
    assert crop.shape[0] == crop.shape[1]
    assert crop.dtype == np.uint8
    assert crop.flags.c_contiguous
    assert holds(crop, pixels[top:bottom, left:right])


@pytest.mark.parametrize("box", [Box(0, 0, 1, 1), Box(95, 63, 96, 64)])
def test_a_single_pixel_in_a_corner_is_a_crop(box: Box) -> None:
    crop = square(quarters(), box)
    assert crop.shape == (2, 2, 3)


def test_the_longest_photo_makes_no_larger_square_than_the_largest() -> None:
    long = np.zeros((1, 60_000, 3), dtype=np.uint8)
    long[0, :30_000] = 255
    crop = square(long, Box(0, 0, 60_000, 1), context=0)
    assert crop.shape == (LARGEST, LARGEST, 3)
    middle = crop[LARGEST // 2 - 1 : LARGEST // 2 + 1].max(axis=0)
    assert middle[: LARGEST // 2 - 2].min() > 200


def test_a_large_crop_is_made_smaller_as_a_whole() -> None:
    photo = np.zeros((1200, 1600, 3), dtype=np.uint8)
    photo[:, :800] = (250, 10, 10)
    crop = square(photo, Box(0, 0, 1600, 1200), context=0)
    assert crop.shape == (1024, 1024, 3)
    assert tuple(crop[512, 100]) == (250, 10, 10)
    assert tuple(crop[512, 900]) == (0, 0, 0)
    assert tuple(crop[10, 10]) == NEUTRAL


@given(st.data())
def test_a_crop_made_smaller_as_it_is_cut_is_a_whole_square_made_smaller(data: st.DataObject) -> None:
    height, width, side = (data.draw(st.integers(1, most)) for most in (200, 200, 40))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    pixels = np.random.default_rng(width * height).integers(60, 190, (height, width, 3), dtype=np.uint8)
    box = Box(left, top, right, bottom)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crops, "GAP", None)
        crop = square(pixels, box, side=side)
    whole = square(pixels, box)
    smaller = Image.fromarray(whole).resize((side, side), Image.Resampling.BICUBIC) if len(whole) > side else whole
    assert crop.shape == (min(side, len(whole)),) * 2 + (3,)
    assert np.abs(crop.astype(int) - np.asarray(smaller)).max() <= 1  # the filter's two passes may change places
    assert crop.flags.c_contiguous


@pytest.mark.parametrize("box", [Box(0, 0, 1600, 1200), Box(300, 10, 520, 1190), Box(40, 500, 1500, 701)])
def test_averages_on_the_way_to_a_small_crop_hardly_show(box: Box) -> None:
    coarse = np.random.default_rng(5).integers(0, 255, (75, 100, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((1600, 1200), Image.Resampling.BICUBIC))
    whole = Image.fromarray(square(pixels, box)).resize((256, 256), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(whole, np.float32) - square(pixels, box, side=256)).mean() < 1


def test_a_crop_that_is_small_already_stays_as_it_is() -> None:
    pixels = quarters(64, 64)
    box = Box(8, 8, 40, 30)
    assert np.array_equal(square(pixels, box, side=64), square(pixels, box))
