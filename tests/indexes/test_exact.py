from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.contracts.vector_index import VectorIndexContract, random_rows, segments
from tests.indexes.exact import ExactIndex

if TYPE_CHECKING:
    from tests.contracts.vector_index import NewIndex


class TestExactIndex(VectorIndexContract):
    @pytest.fixture
    def new_index(self) -> NewIndex:
        return ExactIndex


def test_a_filter_changes_no_score() -> None:
    index, ids = ExactIndex(512), segments(1_000)
    index.add(ids, random_rows(1_000, 512, seed=1), (1, 200))
    query = random_rows(1, 512, seed=2)
    unfiltered = dict(index.search(query, 1_000))
    for segment, score in index.search(query, 1_000, photos=np.arange(3, 200, 7, dtype=np.int64)):
        assert unfiltered[segment] == score


@pytest.mark.parametrize("photos", [None, np.arange(1, 40_000, dtype=np.int64)])
def test_a_large_array_is_neither_copied_by_add_nor_by_search(
    photos: np.ndarray[tuple[int], np.dtype[np.int64]] | None,
) -> None:
    ids, vectors = segments(200_000), np.zeros((200_000, 64), dtype=np.float32)
    vectors[:, 0] = 1.0
    index = ExactIndex(64)
    tracemalloc.start()
    index.add(ids, vectors, (1, 40_000))
    index.search(vectors[:1], 10, photos)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < vectors.nbytes / 2
