"""What every VectorIndex promises. A subclass names its kind in a few lines and inherits every test."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.types import Match, photo_of, segment_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archive.protocols import VectorIndex
    from archive.types import Ids, Vectors

    NewIndex = Callable[[int], VectorIndex]

Kind = TypeVar("Kind", bound="VectorIndex")

DIM = 16
SEGMENTS_PER_PHOTO = 5


def unit(rows: Vectors) -> Vectors:
    """The rows at length 1."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / lengths, dtype=np.float32)


def random_rows(count: int, dim: int, seed: int) -> Vectors:
    """Unit rows in no particular direction, rounded as the catalog rounds them."""
    rows = unit(np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32))
    return rows.astype(np.float16).astype(np.float32)


def segments(count: int, first_photo: int = 1) -> Ids:
    """Ids of so many segments, some photos' worth."""
    photos, ordinals = np.divmod(np.arange(count), SEGMENTS_PER_PHOTO)
    return np.asarray((photos + first_photo) * 1024 + ordinals, dtype=np.int64)


def by_hand(ids: Ids, vectors: Vectors, query: Vectors, limit: int) -> list[Match]:
    """The answer as anyone would compute it, in double precision."""
    scores = vectors.astype(np.float64) @ query[0].astype(np.float64)
    ranked = sorted(zip(ids.tolist(), scores.tolist(), strict=True), key=lambda match: (-match[1], match[0]))
    return [Match(segment, score) for segment, score in ranked[:limit]]


def clustered_rows(count: int, dim: int, concepts: int, seed: int) -> tuple[Vectors, Vectors]:
    """Rows like those of pictures, and queries like those of words.

    Pictures gather around concepts (few are common, most are rare) in a cone around one shared direction; words point
    to the same concepts from elsewhere, so no query lies among the rows.
    """
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, dim + 1) ** -0.5
    centres = unit(random.standard_normal((concepts, dim)) * spectrum)
    popularity = 1.0 / np.arange(1, concepts + 1)
    shown = random.choice(concepts, count, p=popularity / popularity.sum())
    picture_side, word_side = unit(random.standard_normal((2, dim)) * spectrum)
    noise = unit(random.standard_normal((count, dim)) * spectrum)
    pictures = unit(centres[shown] + 0.6 * noise + 1.0 * picture_side)
    asked = random.choice(concepts, 60)
    words = unit(centres[asked] + 0.7 * unit(random.standard_normal((60, dim)) * spectrum) + 1.0 * word_side)
    return pictures, words


def in_three_shards(new_index: Callable[[int], Kind]) -> tuple[Kind, Ids, Vectors, Vectors]:
    """An index of 480 photos, five segments each, that came in three shards; its ids and rows, and 60 words."""
    pictures, words = clustered_rows(2_400, 32, concepts=150, seed=6)
    pictures = pictures.astype(np.float16).astype(np.float32)  # as the catalog rounds them
    index, ids = new_index(32), segments(2_400)
    for at in range(0, 2_400, 800):
        index.add(ids[at : at + 800], pictures[at : at + 800], (at // 5 + 1, at // 5 + 160))
    return index, ids, pictures, words


class VectorIndexContract:
    """Subclasses give the fixture `new_index`, and say whether their scores are exact."""

    exact: ClassVar[bool] = True
    named_among: ClassVar[int] = 8
    """The nearest of all is named among so many where nothing reaches the score that is asked for."""
    score_error: ClassVar[float] = 1e-5

    @pytest.fixture
    def new_index(self) -> NewIndex:
        raise NotImplementedError

    def check(self, found: Sequence[Match], ids: Ids, vectors: Vectors, query: Vectors, limit: int) -> None:
        """The matches are the best ones, in order, up to the error that the kind admits."""
        expected = by_hand(ids, vectors, query, limit)
        true_scores = dict(by_hand(ids, vectors, query, len(ids)))
        assert len(found) == len(expected)
        assert len({match.segment for match in found}) == len(found)
        assert [match.score for match in found] == sorted((match.score for match in found), reverse=True)
        for match, best in zip(found, expected, strict=True):
            assert abs(match.score - true_scores[match.segment]) <= self.score_error
            assert true_scores[match.segment] >= best.score - 2 * self.score_error

    def test_the_nearest_are_found_best_first(self, new_index: NewIndex) -> None:
        index, ids, vectors = new_index(DIM), segments(300), random_rows(300, DIM, seed=1)
        index.add(ids, vectors, (1, 60))
        for query in random_rows(10, DIM, seed=2)[:, None]:
            self.check(index.search(query, 10), ids, vectors, query, 10)

    def test_words_among_clustered_pictures_find_nineteen_of_twenty(self, new_index: NewIndex) -> None:
        pictures, words = clustered_rows(6_000, 64, concepts=500, seed=3)
        index, ids = new_index(64), segments(6_000)
        index.add(ids, pictures, (1, 1_200))
        recalls = []
        for word in words[:, None]:
            expected = {match.segment for match in by_hand(ids, pictures, word, 10)}
            recalls.append(len(expected & {match.segment for match in index.search(word, 10)}) / 10)
        assert np.mean(recalls) >= (1.0 if self.exact else 0.95)

    def test_a_filter_acts_before_the_limit(self, new_index: NewIndex) -> None:
        index, ids, vectors = new_index(DIM), segments(300), random_rows(300, DIM, seed=1)
        index.add(ids, vectors, (1, 60))

        @settings(max_examples=60, deadline=None)
        @given(photos=st.sets(st.integers(1, 70)), limit=st.integers(1, 40), seed=st.integers(0, 9))
        def acts(photos: set[int], limit: int, seed: int) -> None:
            query = random_rows(1, DIM, seed=100 + seed)
            wanted = np.array([photo_of(segment) in photos for segment in ids.tolist()])
            found = index.search(query, limit, photos=np.array(sorted(photos), dtype=np.int64))
            self.check(found, ids[wanted], vectors[wanted], query, limit)

        acts()

    def test_a_time_range_of_few_photos_is_searched_as_if_by_hand(self, new_index: NewIndex) -> None:
        index, ids, pictures, words = in_three_shards(new_index)

        @settings(max_examples=40, deadline=None)
        @given(first=st.integers(1, 480), count=st.integers(1, 19), limit=st.integers(1, 120), word=st.integers(0, 59))
        def finds(first: int, count: int, limit: int, word: int) -> None:
            photos = np.arange(first, first + count, dtype=np.int64)
            wanted, query = np.isin(ids >> 10, photos), words[word][None]
            self.check(index.search(query, limit, photos), ids[wanted], pictures[wanted], query, limit)

        finds()

    def test_a_time_range_that_holds_fewer_than_are_asked_for_gives_all_of_them(self, new_index: NewIndex) -> None:
        index, ids, pictures, words = in_three_shards(new_index)

        @settings(max_examples=40, deadline=None)
        @given(first=st.integers(1, 480), count=st.integers(1, 480), beyond=st.integers(0, 50), word=st.integers(0, 59))
        def finds(first: int, count: int, beyond: int, word: int) -> None:
            photos = np.arange(first, first + count, dtype=np.int64)
            wanted, query = np.isin(ids >> 10, photos), words[word][None]
            limit = int(wanted.sum()) + beyond
            found = index.search(query, limit, photos)
            assert {match.segment for match in found} == set(ids[wanted].tolist())
            self.check(found, ids[wanted], pictures[wanted], query, limit)

        finds()

    @pytest.mark.parametrize("every", [1, 3])
    def test_a_time_range_of_many_photos_loses_no_more_than_the_whole_archive(
        self, new_index: NewIndex, every: int
    ) -> None:
        index, ids, pictures, words = in_three_shards(new_index)
        photos = np.arange(100, 400, every, dtype=np.int64)
        wanted, recalls = np.isin(ids >> 10, photos), []
        for word in words[:, None]:
            expected = {match.segment for match in by_hand(ids[wanted], pictures[wanted], word, 10)}
            found = index.search(word, 10, photos)
            assert len(found) == 10
            recalls.append(len(expected & {match.segment for match in found}) / 10)
        assert np.mean(recalls) >= (1.0 if self.exact else 0.95)

    def test_all_segments_that_reach_a_score_are_named_best_first(self, new_index: NewIndex) -> None:
        index, ids, pictures, words = in_three_shards(new_index)
        more: list[float] = []
        for word in words[:20, None]:
            true = dict(by_hand(ids, pictures, word, len(ids)))
            for least in np.quantile(list(true.values()), [0.5, 0.9, 0.99, 0.999]).tolist():
                found = index.reaching(word, least - index.nearness, len(ids))
                named = set(found.segments.tolist())
                reaching = {segment for segment, score in true.items() if score >= least}
                assert len(named) == len(found.segments)
                assert len(reaching - named) <= (0 if self.exact else 0.02 * len(reaching))
                assert (np.diff(found.scores) <= 0).all()
                more += (np.array([true[segment] for segment in found.segments.tolist()]) - found.scores).tolist()
        assert np.mean(np.array(more) <= index.nearness) >= (1.0 if self.exact else 0.97)
        assert np.mean(more) > -0.1

    def test_where_nothing_reaches_a_score_the_nearest_few_are_named(self, new_index: NewIndex) -> None:
        index, ids, pictures, words = in_three_shards(new_index)
        for word in words[:20, None]:
            best = by_hand(ids, pictures, word, 1)[0].segment
            found = index.reaching(word, 1.0, 1_000)
            assert len(found.segments) >= 64
            assert best in found.segments[: self.named_among]

    def test_segments_that_reach_a_score_are_those_of_the_filter_and_no_more_than_the_limit(
        self, new_index: NewIndex
    ) -> None:
        index, ids, _, words = in_three_shards(new_index)
        photos = np.arange(101, 400, 3, dtype=np.int64)
        within = np.isin(ids >> 10, photos)
        for word in words[:5, None]:
            found = index.reaching(word, -1.0, len(ids), photos)
            assert set(found.segments.tolist()) == set(ids[within].tolist())
            assert index.reaching(word, -1.0, 7, photos).segments.tolist() == found.segments[:7].tolist()
            assert len(index.reaching(word, -1.0, 7, np.empty(0, np.int64)).segments) == 0
        assert len(index.reaching(words[:1], -1.0, 0).segments) == 0

    def test_an_index_of_nothing_finds_nothing(self, new_index: NewIndex) -> None:
        index = new_index(DIM)
        assert len(index) == 0
        assert index.search(random_rows(1, DIM, seed=1), 10) == []
        assert len(index.reaching(random_rows(1, DIM, seed=1), 0.5, 10).segments) == 0

    def test_a_filter_of_no_photo_finds_nothing(self, new_index: NewIndex) -> None:
        index = new_index(DIM)
        index.add(segments(50), random_rows(50, DIM, seed=1), (1, 10))
        assert index.search(random_rows(1, DIM, seed=2), 10, photos=np.array([], dtype=np.int64)) == []
        assert index.search(random_rows(1, DIM, seed=2), 10, photos=np.array([999], dtype=np.int64)) == []

    @pytest.mark.parametrize(("limit", "found"), [(0, 0), (1, 1), (50, 50), (51, 50), (10**9, 50)])
    def test_a_limit_is_the_most_that_is_found(self, new_index: NewIndex, limit: int, found: int) -> None:
        index = new_index(DIM)
        index.add(segments(50), random_rows(50, DIM, seed=1), (1, 10))
        assert len(index.search(random_rows(1, DIM, seed=2), limit)) == found

    def test_a_short_answer_is_the_beginning_of_a_longer_one(self, new_index: NewIndex) -> None:
        index = new_index(DIM)
        index.add(segments(300), random_rows(300, DIM, seed=1), (1, 60))
        for query in random_rows(5, DIM, seed=2)[:, None]:
            longest = index.search(query, 200)
            for limit in (1, 10, 57):
                assert index.search(query, limit) == longest[:limit]

    def test_equal_vectors_stand_in_order_of_id(self, new_index: NewIndex) -> None:
        index, ids, vectors = new_index(DIM), segments(300), random_rows(300, DIM, seed=1)
        twins = [7, 31, 32, 128, 255, 299]
        vectors[twins] = vectors[7]
        index.add(ids[:200], vectors[:200], (1, 40))
        index.add(ids[200:], vectors[200:], (41, 60))
        found = [match.segment for match in index.search(vectors[7:8], 6)]
        assert sorted(found) == ids[twins].tolist()
        within_one_shard = [segment for segment in found if segment in ids[:200]]
        assert within_one_shard == sorted(within_one_shard)
        for limit in range(1, 6):
            assert [match.segment for match in index.search(vectors[7:8], limit)] == found[:limit]

    def test_of_a_hundred_equal_vectors_the_first_ids_are_found(self, new_index: NewIndex) -> None:
        index, ids, vectors = new_index(DIM), segments(120), random_rows(120, DIM, seed=1)
        vectors[10:110] = unit(vectors[115:116] + 0.3 * vectors[10:11])
        index.add(ids, vectors, (1, 24))
        expected = [ids[115], *ids[10:110]]
        for limit in (1, 2, 5, 60, 101):
            assert [match.segment for match in index.search(vectors[115:116], limit)] == expected[:limit]

    @pytest.mark.parametrize("wrong", [0.0, 0.5, 1.1, float("nan")])
    def test_only_unit_rows_are_taken(self, new_index: NewIndex, wrong: float) -> None:
        index, vectors = new_index(DIM), random_rows(50, DIM, seed=1)
        vectors[33] *= wrong
        with pytest.raises(ValueError, match="row 33"):
            index.add(segments(50), vectors, (1, 10))
        with pytest.raises(ValueError, match="unit rows"):
            index.search(vectors[33:34], 10)
        assert len(index) == 0

    def test_only_rows_that_fit_together_are_taken(self, new_index: NewIndex) -> None:
        index, vectors = new_index(DIM), random_rows(50, DIM, seed=1)
        for ids, rows in [
            (segments(49), vectors),
            (segments(50), random_rows(50, DIM + 1, seed=1)),
            (segments(0), vectors[:0]),
        ]:
            with pytest.raises(ValueError, match="float32"):
                index.add(ids, rows, (1, 10))
        with pytest.raises(ValueError, match="twice"):
            index.add(np.zeros(50, dtype=np.int64), vectors, (1, 10))
        with pytest.raises(ValueError, match="one row"):
            index.search(vectors[:2], 10)

    def test_a_removed_shard_is_not_searched(self, new_index: NewIndex) -> None:
        index, ids, vectors = new_index(DIM), segments(100), random_rows(100, DIM, seed=1)
        old = index.add(ids[:50], vectors[:50], (1, 10))
        index.add(ids[50:], vectors[50:], (11, 20))
        index.search(vectors[:1], 1)
        index.remove(old)
        assert len(index) == 50
        self.check(index.search(vectors[:1], 100), ids[50:], vectors[50:], vectors[:1], 100)

    def test_removing_twice_is_no_error(self, new_index: NewIndex) -> None:
        index = new_index(DIM)
        shard = index.add(segments(50), random_rows(50, DIM, seed=1), (1, 10))
        index.remove(shard)
        index.remove(shard)
        assert len(index) == 0

    def test_shards_answer_together(self, new_index: NewIndex) -> None:
        index, ids, vectors = new_index(DIM), segments(240), random_rows(240, DIM, seed=1)
        shards = [
            index.add(ids[at : at + 80], vectors[at : at + 80], (at // 5 + 1, at // 5 + 16)) for at in (0, 80, 160)
        ]
        assert len({shard.name for shard in shards}) == 3
        assert [(shard.count, shard.first_pack, shard.last_pack) for shard in shards] == [
            (80, 1, 16),
            (80, 17, 32),
            (80, 33, 48),
        ]
        assert len(index) == 240
        query = random_rows(1, DIM, seed=2)
        self.check(index.search(query, 20), ids, vectors, query, 20)
        assert list(index.broken) == []

    def test_rows_may_come_in_any_order(self, new_index: NewIndex) -> None:
        index, ids, vectors = new_index(DIM), segments(100), random_rows(100, DIM, seed=1)
        order = np.random.default_rng(5).permutation(100)
        index.add(ids[order], vectors[order], (1, 20))
        query, photos = random_rows(1, DIM, seed=2), np.array([3, 4, 9], dtype=np.int64)
        wanted = np.isin(ids >> 10, photos)
        self.check(index.search(query, 50), ids, vectors, query, 50)
        self.check(index.search(query, 50, photos), ids[wanted], vectors[wanted], query, 50)

    def test_ids_have_room_for_two_to_the_fifty_third(self, new_index: NewIndex) -> None:
        index, vectors = new_index(DIM), random_rows(4, DIM, seed=1)
        ids = np.array([segment_id(1, 0), 2**32 + 1, 2**40 + 7, 2**53], dtype=np.int64)
        index.add(ids, vectors, (1, 4))
        for row, segment in enumerate(ids.tolist()):
            assert index.search(vectors[row : row + 1], 1)[0].segment == segment
            photos = np.array([photo_of(segment)], dtype=np.int64)
            assert [match.segment for match in index.search(vectors[:1], 9, photos)] == [segment]
