"""Probes: what a query looks like in a space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import probes, ranking, verdicts
from archive.types import Example, Pack, Verdict
from tests.test_ranking import pack

DIM = 64
RANDOM = np.random.default_rng(11)


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float32)


SAMPLE = unit(RANDOM.normal(size=(2000, DIM)))
AXES = np.eye(DIM, dtype=np.float32)


def example(axis: int, label: str = "") -> Example:
    return Example(label or f"axis {axis}", AXES[axis : axis + 1])


def mixed(*shares: float) -> np.ndarray:
    row = np.zeros((1, DIM), np.float32)
    row[0, : len(shares)] = shares
    return unit(row)


def test_words_alone_score_their_own_cosine() -> None:
    asked = probes.compose(example(0), [], [], SAMPLE)
    assert asked.measure(SAMPLE).cosines == pytest.approx(SAMPLE[:, 0])
    assert asked.labels == ("axis 0",)


def test_several_examples_are_not_averaged() -> None:
    asked = probes.compose(None, [example(0), example(1)], [], SAMPLE)
    assert asked.measure(np.concatenate([AXES[:2], mixed(1, 1)])).cosines == pytest.approx([1, 1, np.sqrt(0.5)])


@pytest.mark.parametrize(("way", "verdict"), [(0.9, Verdict.SEEN), (0.7, Verdict.MAYBE), (0.6, Verdict.NOT_SEEN)])
@pytest.mark.parametrize("crowd", [0.1, 0.6])
def test_an_example_is_judged_by_the_way_to_it_however_alike_the_archive_is(
    way: float, verdict: Verdict, crowd: float
) -> None:
    alike = np.sqrt(1 - crowd**2) * np.eye(DIM, dtype=np.float32)[2:3] + crowd * AXES[:1]
    ground = probes.compose(None, [example(0)], [], np.repeat(alike, 50, axis=0)).background
    assert verdicts.judge(ground.height(crowd + way * (1 - crowd))) is verdict


def test_words_and_an_example_want_both() -> None:
    asked = probes.compose(example(0), [example(1)], [], SAMPLE)
    both, words, picture, neither = asked.measure(np.concatenate([mixed(1, 6), AXES[:2], AXES[2:3]])).cosines
    assert both > picture > words > neither
    assert asked.labels == ("axis 0 with axis 1",)


def test_each_part_counts_as_much_as_it_varies_over_the_archive() -> None:
    crowded = unit(SAMPLE * np.where(np.arange(DIM) == 1, 5, 1))  # pictures that differ along axis 1 above all
    quiet = probes.compose(example(0), [example(1)], [], SAMPLE).rows[0]
    loud = probes.compose(example(0), [example(1)], [], crowded).rows[0]
    assert loud[0] / loud[1] > 2 * quiet[0] / quiet[1]


def test_a_segment_that_shows_what_must_not_be_found_is_rejected_and_its_neighbour_is_not() -> None:
    asked = probes.compose(example(0), [], [example(1)], SAMPLE)
    plain, marked = asked.measure(np.concatenate([AXES[:1], mixed(1, 1.2)])).cosines
    assert plain == pytest.approx(1)
    assert marked == probes.REJECTED


def test_a_photo_with_another_such_thing_is_still_found() -> None:
    asked = probes.compose(example(0), [], [example(1)], SAMPLE)
    white, red, wall = mixed(1, 1.2), mixed(1, 0, 0.3), AXES[5:6]
    both, only = photo(1, mixed(1, 0.4), white, red), photo(2, mixed(1, 0.4), white, wall)
    scores = ranking.score([both, only], asked)
    assert scores.best[0] == pytest.approx(float(red[0, 0]), abs=1e-6)
    assert scores.best[1] == pytest.approx(float(wall[0, 0]), abs=1e-6)
    assert ranking.why(both, asked).matched.segment == 1 << 10 | 2


def test_what_surrounds_a_thing_counts_for_words_and_not_for_an_example() -> None:
    here, there = photo(1, mixed(1, 1), mixed(2, 1)), photo(2, mixed(0, 1), mixed(3, 1))
    by_words = ranking.score([here, there], probes.compose(example(0), [], [], SAMPLE))
    by_example = ranking.score([here, there], probes.compose(None, [example(0)], [], SAMPLE))
    assert by_words.photos[by_words.ranked()].tolist() == [1, 2]
    assert by_example.photos[by_example.ranked()].tolist() == [2, 1]


def test_a_photo_that_is_nothing_but_the_rejected_scores_lowest() -> None:
    asked = probes.compose(example(0), [], [example(1)], SAMPLE)
    assert ranking.score([photo(1, mixed(1, 1.2))], asked).best.tolist() == [probes.REJECTED]


def photo(number: int, *rows: np.ndarray) -> Pack:
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.int32), (len(rows), 1))
    return Pack(number, boxes, np.ones(len(rows), np.float32), np.concatenate(rows))


def test_the_reason_names_vector_probe_and_parts() -> None:
    asked = probes.compose(
        example(0, "mug"), [example(1, "cup.jpg"), example(2, "pot.jpg")], [example(3, "tea")], SAMPLE
    )
    why = ranking.why(photo(4, AXES[9:10], mixed(0.2, 0, 1), AXES[8:9]), asked)
    assert (why.matched.segment, why.whole_frame, why.probe) == (4 << 10 | 1, False, "mug with pot.jpg")
    assert [(clue.label, clue.speaks_against) for clue in why.clues] == [
        ("mug", False), ("cup.jpg", False), ("pot.jpg", False), ("tea", True),
    ]  # fmt: skip
    assert why.clues[2].score == pytest.approx(float(mixed(0.2, 0, 1)[0, 2]))
    assert why.clues[2].height > 3 > why.clues[3].height
    assert why.height == pytest.approx(asked.background.height(why.matched.score))


def test_the_whole_frame_can_be_what_answered() -> None:
    right = Example("right", np.array([[1.0, 0.0]], np.float32))
    why = ranking.why(pack(7, 0.9, 0.1), probes.compose(right, [], [], right.vector))
    assert (why.whole_frame, why.matched.segment) == (True, 7 << 10)
    assert why.frame_score == pytest.approx(0.9)


@given(st.integers(0, 40), st.integers(0, 3), st.integers(0, 2))
def test_rejecting_never_raises_a_score(seed: int, examples: int, negatives: int) -> None:
    rows = unit(np.random.default_rng(seed).normal(size=(20, DIM)))
    likes = [example(axis) for axis in range(1, examples + 1)]
    free = probes.compose(example(0), likes, [], SAMPLE).measure(rows)
    bound = probes.compose(example(0), likes, [example(9 + n) for n in range(negatives)], SAMPLE).measure(rows)
    assert np.array_equal(bound.unjudged, free.cosines)
    kept = bound.cosines > probes.REJECTED
    assert np.array_equal(bound.cosines[kept], free.cosines[kept])


@pytest.mark.parametrize(
    ("text", "thing", "named"),
    [
        ("my keys", "my keys", True),
        ("Where are MY  keys?", "my keys", True),
        ("keys", "my keys", False),
        ("my car keys", "my keys", False),
        ("my monkeys", "keys", False),
        ("", "keys", False),
        ("keys", "", False),
    ],
)
def test_a_text_names_a_thing_by_all_its_words_in_order(text: str, thing: str, named: bool) -> None:
    assert probes.names(text, thing) is named
