"""What a photo can show: black, covered and smeared ones are told from those that show something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive.photos.quality import glance, is_near_duplicate, marks_of
from archive.types import Mark
from tests import coloured_photos
from tests.paths import shared

if TYPE_CHECKING:
    from archive.types import Pixels


def noise(sigma: float, seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(0, sigma, (480, 640, 3))


def as_pixels(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Pixels:
    return values.clip(0, 255).astype(np.uint8)


def scene(seed: int = 3) -> Pixels:
    """Overlapping squares of many shades."""
    random = np.random.default_rng(seed)
    picture = np.full((480, 640, 3), 120, np.uint8)
    for left, top, width, height in random.integers(20, 400, (60, 4)):
        picture[top : top + height // 4, left : left + width // 4] = random.integers(0, 256, 3)
    return picture


def smeared(pixels: Pixels, length: int, axis: int) -> Pixels:
    kernel = np.ones(length) / length
    moved = np.apply_along_axis(lambda line: np.convolve(line, kernel, "same"), axis, pixels.astype(float))
    inner = moved[length:-length, length:-length]
    return as_pixels(inner)


def test_a_scene_has_no_mark() -> None:
    assert marks_of(scene()) == []
    assert marks_of(coloured_photos.pixels({"red": (10, 10, 70, 60)})) == []


def test_a_photo_taken_in_the_dark_is_black_whatever_its_noise() -> None:
    assert marks_of(as_pixels(4 + noise(3))) == [Mark.BLACK]


def test_a_finger_before_the_lens_is_covered() -> None:
    columns = np.linspace(0, 1, 640)[None, :, None]
    finger = np.array([60.0, 25, 20]) + columns * np.array([20.0, 8, 5])
    assert marks_of(as_pixels(finger + noise(4))) == [Mark.COVERED]
    assert marks_of(np.full((480, 640, 3), 255, np.uint8)) == [Mark.COVERED]


def test_light_that_shines_past_a_finger_does_not_uncover_the_lens() -> None:
    rows, columns = np.mgrid[0:1:480j, 0:1:640j][..., None]
    light = 60 + 120 * columns - 40 * rows + np.array([20.0, 0, -10])
    assert marks_of(as_pixels(light + noise(2))) == [Mark.COVERED]


@pytest.mark.parametrize("axis", [0, 1])
def test_a_photo_smeared_in_one_direction_is_blurred(axis: int) -> None:
    assert marks_of(smeared(scene(), 40, axis)) == [Mark.BLURRED]


def test_the_smallest_photos_can_be_judged() -> None:
    for size in ((1, 1), (1, 9), (9, 1)):
        assert len(marks_of(np.zeros((*size, 3), np.uint8))) == 1


def test_the_same_scene_twice_is_a_near_duplicate_and_a_thing_that_came_makes_it_another() -> None:
    one = scene()
    again = as_pixels(one + noise(2))
    assert is_near_duplicate(glance(one), glance(again))
    keys = one.copy()
    keys[200:230, 300:340] = (20, 20, 20) if one[210, 310].mean() > 90 else (230, 230, 230)
    assert not is_near_duplicate(glance(one), glance(keys))
    assert not is_near_duplicate(glance(one), glance(scene(4)))


@pytest.mark.real_weights
def test_of_real_photos_one_in_fifty_is_marked_at_the_most() -> None:
    paths = sorted(shared("eval", "everyday").rglob("*.jpg"))[::4]
    marked = [path.name for path in paths if marks_of(np.asarray(Image.open(path).convert("RGB")))]
    assert len(marked) * 50 <= len(paths) + 49, marked
