"""What every segmenter keeps. A new one is tested by a subclass that overrides the fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from archive.protocols import Segmenter
    from archive.types import Pixels, Region


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    """Grey noise: every pixel its own brightness."""
    grey = np.random.default_rng(seed).integers(0, 256, (height, width, 1), dtype=np.uint8)
    return np.ascontiguousarray(np.repeat(grey, 3, axis=2))


def still_life(height: int, width: int) -> Pixels:
    """A red disc and a blue bar on a table that grows darker to the right."""
    down, right = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    pixels = np.repeat((200 - 80 * right)[..., None], 3, axis=2)
    pixels[(down - 0.4) ** 2 + (right - 0.3) ** 2 < 0.04] = (200, 30, 30)
    pixels[(abs(down - 0.7) < 0.05) & (abs(right - 0.6) < 0.3)] = (30, 30, 180)
    return np.ascontiguousarray(pixels.astype(np.uint8))


def assert_inside(regions: list[Region], pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    for box, confidence in regions:
        assert 0 <= box.left < box.right <= width, box
        assert 0 <= box.top < box.bottom <= height, box
        assert 0.0 <= confidence <= 1.0, confidence
        assert all(type(edge) is int for edge in box)
        assert type(confidence) is float


class SegmenterContract:
    @pytest.fixture
    def segmenter(self) -> Segmenter:
        raise NotImplementedError("return the segmenter under test")

    @pytest.mark.parametrize(
        "pixels",
        [
            pytest.param(still_life(120, 160), id="still-life"),
            pytest.param(noise(120, 90), id="noise"),
            pytest.param(np.zeros((8, 8, 3), np.uint8), id="tiny-black"),
            pytest.param(noise(1, 1), id="one-pixel"),
            pytest.param(noise(1, 20_000), id="very-wide"),
            pytest.param(noise(20_000, 1), id="very-tall"),
        ],
    )
    def test_boxes_lie_inside_the_photo_and_have_an_area(self, segmenter: Segmenter, pixels: Pixels) -> None:
        assert_inside(segmenter.segment(pixels), pixels)

    def test_the_same_photo_gives_the_same_regions(self, segmenter: Segmenter) -> None:
        first = segmenter.segment(still_life(120, 160))
        segmenter.segment(noise(64, 200))
        assert segmenter.segment(still_life(120, 160)) == first

    def test_a_photo_is_left_as_it_was(self, segmenter: Segmenter) -> None:
        pixels = still_life(120, 160)
        pixels.setflags(write=False)
        segmenter.segment(pixels)
        assert np.array_equal(pixels, still_life(120, 160))

    def test_the_name_is_one_word_and_stays(self, segmenter: Segmenter) -> None:
        before = segmenter.name
        segmenter.segment(still_life(120, 160))
        assert segmenter.name == before
        assert before == "".join(before.split())
