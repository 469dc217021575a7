"""Ranking photos by their segments."""

from __future__ import annotations

import numpy as np
import pytest

from archive import probes, ranking
from archive.types import Box, Example, Pack


def pack(photo_id: int, *cosines: float) -> Pack:
    """A pack whose segments have these cosines with the query (1, 0)."""
    vectors = np.array([[c, np.sqrt(1 - c * c)] for c in cosines], dtype=np.float32)
    boxes = np.array([[0, 0, 10 + i, 10] for i in range(len(cosines))], dtype=np.int32)
    return Pack(photo_id, boxes, np.ones(len(cosines), np.float32), vectors)


RIGHT = np.array([[1.0, 0.0]], dtype=np.float32)
QUERY = probes.compose(Example("right", RIGHT), [], [], RIGHT)


def test_a_photo_scores_the_mean_of_its_frame_and_its_best_segment() -> None:
    scores = ranking.score([pack(7, 0.2, 0.6, 0.4)], QUERY)
    assert scores.photos.tolist() == [7]
    assert scores.fused[0] == pytest.approx(0.4)
    assert scores.best[0] == pytest.approx(0.6)


def test_a_photo_without_segments_scores_its_frame() -> None:
    scores = ranking.score([pack(7, 0.3)], QUERY)
    assert scores.fused[0] == pytest.approx(0.3)
    assert scores.best[0] == pytest.approx(0.3)


def test_the_frame_is_not_counted_twice_where_it_is_the_best() -> None:
    scores = ranking.score([pack(7, 0.9, 0.1)], QUERY)
    assert scores.fused[0] == pytest.approx(0.5)
    assert scores.best[0] == pytest.approx(0.9)


def test_photos_rank_best_first_and_ties_go_to_the_newer() -> None:
    scores = ranking.score([pack(1, 0.3), pack(2, 0.5), pack(3, 0.3)], QUERY)
    assert scores.photos[scores.ranked()].tolist() == [2, 3, 1]


def test_scoring_many_packs_equals_scoring_each_alone() -> None:
    rng = np.random.default_rng(3)
    packs = [pack(i, *rng.uniform(-1, 1, rng.integers(1, 6))) for i in range(1, 700)]
    together = ranking.score(iter(packs), QUERY)
    alone = ranking.join([ranking.score([one], QUERY) for one in packs])
    for column in ranking.Scores._fields:
        np.testing.assert_allclose(getattr(together, column), getattr(alone, column), rtol=1e-6)


def test_nothing_to_score_is_no_error() -> None:
    scores = ranking.score([], QUERY)
    assert len(scores.photos) == len(scores.fused) == 0


def test_boxes_stand_best_first_and_leave_out_what_lies_far_below() -> None:
    (shown,) = ranking.boxes([pack(7, 0.9, 0.30, 0.31, 0.10)], QUERY)
    assert [box.segment for box in shown] == [7 << 10 | 2, 7 << 10 | 1]
    assert shown[0].box == Box(0, 0, 12, 10)


def test_boxes_of_many_packs_are_those_of_each() -> None:
    packs = [pack(1, 0.9, 0.30), pack(2, 0.5), pack(3, 0.1, 0.2, 0.21)]
    assert ranking.boxes(packs, QUERY) == [ranking.boxes([one], QUERY)[0] for one in packs]
    assert ranking.boxes([], QUERY) == []


def test_the_frame_is_the_box_only_where_there_is_no_other() -> None:
    ((only,),) = ranking.boxes([pack(7, 0.5)], QUERY)
    assert only.segment == 7 << 10
