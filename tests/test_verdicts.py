"""Verdicts relative to the archive's own segments."""

from __future__ import annotations

import numpy as np
import pytest

from archive import verdicts
from archive.types import Verdict

# The 18 cosines that the seed notebook published for photo 7 of the desk (its figure), for its two queries, are known
# by their summary: median, best and second. A fixed bar of 0.28 boxes a screwdriver for the second query.


def test_the_background_is_not_moved_by_one_outlier() -> None:
    quiet = np.linspace(0.1, 0.2, 101, dtype=np.float32)
    loud = np.append(quiet, np.float32(0.9))
    assert verdicts.background(loud).median == pytest.approx(verdicts.background(quiet).median, abs=1e-3)
    assert verdicts.background(loud).scale == pytest.approx(verdicts.background(quiet).scale, rel=0.05)


def test_the_scale_is_a_standard_deviation_where_scores_are_normal() -> None:
    scores = np.random.default_rng(0).normal(0.2, 0.03, 20_000).astype(np.float32)
    assert verdicts.background(scores).scale == pytest.approx(0.03, rel=0.05)


def test_equal_scores_do_not_divide_by_zero() -> None:
    ground = verdicts.background(np.full(9, 0.25, np.float32))
    assert verdicts.judge(ground.height(0.25)) is Verdict.NOT_SEEN


def test_height_and_score_are_inverse() -> None:
    ground = verdicts.Background(0.2, 0.03)
    assert ground.height(ground.score_at(4.5)) == pytest.approx(4.5)


def test_what_stands_out_is_seen_and_what_does_not_is_not() -> None:
    assert verdicts.judge(verdicts.SEEN_AT) is Verdict.SEEN
    assert verdicts.judge((verdicts.SEEN_AT + verdicts.MAYBE_AT) / 2) is Verdict.MAYBE
    assert verdicts.judge(verdicts.MAYBE_AT - 0.01) is Verdict.NOT_SEEN


def test_the_probability_grows_with_the_height_and_stays_between_zero_and_one() -> None:
    chances = [verdicts.probability(height) for height in (-1e3, 0, 3, 4, 5, 20, 1e3)]
    assert chances == sorted(chances)
    assert all(0 <= chance <= 1 for chance in chances)
