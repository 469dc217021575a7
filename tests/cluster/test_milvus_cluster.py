"""A Milvus of several processes loses one of those that hold the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.indexes.milvus import MilvusIndex
from archive.indexes.milvus_collection import Address
from tests.cluster.milvus_cluster import QUERY_NODES, Cluster
from tests.contracts.vector_index import by_hand, clustered_rows, segments

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, DIM, SEARCHES = 2_000, 32, 400


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_no_search_fails_when_a_query_node_is_killed(cluster: Cluster) -> None:
    ids = segments(ROWS)
    pictures, words = clustered_rows(ROWS, DIM, concepts=200, seed=3)
    address = Address.parse(cluster.url)
    index = MilvusIndex(address, "killed", DIM)
    shards = [index.add(ids[at : at + 500], pictures[at : at + 500], (at + 1, at + 500)) for at in range(0, ROWS, 500)]
    overlaps = []
    for number in range(SEARCHES):
        if number == SEARCHES // 4:
            cluster.kill(QUERY_NODES[0])
        if number == SEARCHES // 2:
            cluster.restart(QUERY_NODES[0])
        word = words[number % len(words)][np.newaxis]
        expected = {match.segment for match in by_hand(ids, pictures, word, 10)}
        overlaps.append(len(expected & {match.segment for match in index.search(word, 10)}) / 10)
    assert len(overlaps) == SEARCHES
    assert np.mean(overlaps) >= 0.95
    later = MilvusIndex(address, "killed", DIM, shards)
    assert later.broken == []
    assert len(later) == ROWS
