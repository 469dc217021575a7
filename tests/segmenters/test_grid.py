from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from archive.segmenters.grid import MOST_PER_LINE, GridSegmenter
from tests.contracts.segmenter import SegmenterContract, noise

if TYPE_CHECKING:
    from archive.protocols import Segmenter


class TestGridSegmenter(SegmenterContract):
    @pytest.fixture
    def segmenter(self) -> Segmenter:
        return GridSegmenter()


def test_squares_of_each_scale_cover_the_photo_and_overlap() -> None:
    regions = GridSegmenter([1 / 2], overlap=1 / 3).segment(noise(480, 640))
    lefts = sorted({region.box.left for region in regions})
    tops = sorted({region.box.top for region in regions})
    assert {(region.box.width, region.box.height) for region in regions} == {(240, 240)}
    assert len(regions) == len(lefts) * len(tops)
    for starts, length in ((lefts, 640), (tops, 480)):
        assert starts[0] == 0
        assert starts[-1] + 240 == length
        assert all(following - start <= 160 for start, following in pairwise(starts))


def test_larger_squares_are_surer() -> None:
    regions = GridSegmenter([1, 1 / 2, 1 / 3]).segment(noise(300, 400))
    assert {region.box.width: region.confidence for region in regions} == {300: 1.0, 150: 0.5, 100: 1 / 3}


def test_a_strip_gets_a_handful_of_squares() -> None:
    assert len(GridSegmenter([1]).segment(noise(2, 20_000))) == MOST_PER_LINE


def test_each_setting_shows_in_the_name() -> None:
    names = {GridSegmenter().name, GridSegmenter([1, 0.5]).name, GridSegmenter(overlap=0.5).name}
    assert len(names) == 3
