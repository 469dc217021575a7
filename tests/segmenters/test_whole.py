from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.cleanup import clean
from archive.segmenters.whole import WholeSegmenter
from archive.types import Box, Region
from tests.contracts.segmenter import SegmenterContract, noise

if TYPE_CHECKING:
    from archive.protocols import Segmenter


class TestWholeSegmenter(SegmenterContract):
    @pytest.fixture
    def segmenter(self) -> Segmenter:
        return WholeSegmenter()


def test_only_the_frame_is_left_of_a_photo() -> None:
    assert clean(WholeSegmenter().segment(noise(48, 64)), 64, 48) == [Region(Box(0, 0, 64, 48), 1.0)]
