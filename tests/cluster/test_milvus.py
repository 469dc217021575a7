"""The index's contract, kept by a real Milvus, and what only an index that is a server has to keep."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.indexes.milvus import MilvusIndex
from archive.indexes.milvus_collection import Address
from tests.contracts.vector_index import DIM, VectorIndexContract, by_hand, clustered_rows, random_rows, segments, unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archive.types import Shard
    from tests.cluster.milvus import Standalone
    from tests.contracts.vector_index import NewIndex

    Reopen = Callable[[str, Sequence[Shard]], MilvusIndex]


@pytest.fixture
def address(milvus: Standalone) -> Address:
    return Address.parse(f"{milvus.url}?partitions=4")


@pytest.fixture
def name(address: Address) -> str:
    """A collection with nothing in it; a new one would take the server seconds to load."""
    return emptied(address, DIM)


@pytest.fixture
def reopen(address: Address) -> Reopen:
    """What the next process sees: the same collection, by the manifest alone."""
    return lambda name, shards: MilvusIndex(address, name, DIM, shards)


class TestMilvus(VectorIndexContract):
    exact = False

    @pytest.fixture
    def new_index(self, address: Address) -> NewIndex:
        return lambda dim: MilvusIndex(address, emptied(address, dim), dim)


def emptied(address: Address, dim: int) -> str:
    """The name of a collection of that dimension, of which nothing is left."""
    name = f"test_{dim}"
    MilvusIndex(address, name, dim).sweep([])
    return name


def wait_for(truth: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_rows_that_are_sent_twice_are_there_once(reopen: Reopen, name: str) -> None:
    ids, vectors = segments(100), random_rows(100, DIM, seed=1)
    index = reopen(name, [])
    index.add(ids, vectors, (1, 20))
    again = reopen(name, [])
    shard = again.add(ids, vectors, (1, 20))
    assert len(again) == 100
    assert len(reopen(name, [shard])) == 100
    assert len({match.segment for match in again.search(vectors[:1], 1_000)}) == 100


def test_what_was_sent_again_since_outlives_the_shard_that_held_it(reopen: Reopen, name: str) -> None:
    ids, vectors = segments(100), random_rows(100, DIM, seed=1)
    index = reopen(name, [])
    old = index.add(ids, vectors, (1, 20))
    new = index.add(ids[:60], vectors[:60], (1, 20))
    index.remove(old)
    assert sorted(match.segment for match in index.search(vectors[:1], 1_000)) == ids[:60].tolist()
    assert reopen(name, [new]).broken == []


def test_a_shard_of_which_rows_are_missing_is_named(reopen: Reopen, name: str) -> None:
    ids, vectors = segments(200), random_rows(200, DIM, seed=1)
    index = reopen(name, [])
    shards = [index.add(ids[at : at + 50], vectors[at : at + 50], (at + 1, at + 50)) for at in (0, 50, 100, 150)]
    thief = reopen(name, [])
    thief.remove(thief.add(ids[60:61], vectors[60:61], (61, 61)))
    later = reopen(name, shards)
    assert later.broken == [shards[1]]
    assert len(later) == 150


def test_a_shard_of_another_kind_of_index_is_searched_by_the_caller(reopen: Reopen, name: str) -> None:
    index = reopen(name, [])
    own = index.add(segments(50), random_rows(50, DIM, seed=1), (1, 10))
    foreign = replace(own, name="000000000011-000000000020-0123456789abcdef.shard", first_pack=11, last_pack=20)
    later = reopen(name, [own, foreign])
    assert later.broken == [foreign]
    later.remove(foreign)
    assert len(later) == 50


def test_a_sweep_leaves_what_the_manifest_names(reopen: Reopen, name: str) -> None:
    ids, vectors = segments(100), random_rows(100, DIM, seed=1)
    index = reopen(name, [])
    kept = index.add(ids[:50], vectors[:50], (1, 10))
    index.add(ids[50:], vectors[50:], (11, 20))
    later = reopen(name, [kept])
    later.sweep([kept.name])
    assert sorted(match.segment for match in later.search(vectors[:1], 1_000)) == ids[:50].tolist()
    later.sweep([])
    assert reopen(name, [kept]).broken == [kept]


def test_a_dropped_index_leaves_no_collection(address: Address) -> None:
    index = MilvusIndex(address, "test_dropped", DIM)
    index.drop()
    shard = index.add(segments(50), random_rows(50, DIM, seed=1), (1, 10))
    index.drop()
    assert not address.connect().has_collection("test_dropped")
    assert (len(index), MilvusIndex(address, "test_dropped", DIM, [shard]).broken) == (0, [shard])


def test_a_wearers_search_never_shows_what_is_anothers(reopen: Reopen, name: str) -> None:
    ids, vectors = segments(600), random_rows(600, DIM, seed=1)
    wearers = (ids >> 10) % 7
    index = reopen(name, [])
    shuffled = np.random.default_rng(3).permutation(600)
    index.add(ids[shuffled], vectors[shuffled], (1, 120), wearers[shuffled])
    for asked in ([0], [3, 5], [6]):
        theirs = np.isin(wearers, asked)
        for query in random_rows(5, DIM, seed=2)[:, None]:
            found = index.search(query, 20, wearers=asked)
            assert [match.segment for match in found] == [
                match.segment for match in by_hand(ids[theirs], vectors[theirs], query, 20)
            ]
    photos = np.arange(1, 40, dtype=np.int64)
    both = np.isin(wearers, [2]) & np.isin(ids >> 10, photos)
    found = index.search(vectors[:1], 600, photos, [2])
    assert sorted(match.segment for match in found) == ids[both].tolist()
    assert index.search(vectors[:1], 10, wearers=[]) == []
    assert index.search(vectors[:1], 10, wearers=[99]) == []


def test_a_filter_loses_no_hit_of_few_photos_and_few_of_many_once_a_graph_is_built(reopen: Reopen, name: str) -> None:
    ids = segments(20_000)
    pictures, words = clustered_rows(20_000, DIM, concepts=900, seed=3)
    index = reopen(name, [])
    shards = [
        index.add(ids[at : at + 10_000], pictures[at : at + 10_000], (at + 1, at + 10_000))
        for at in range(0, 20_000, 10_000)
    ]
    client = index._opened()
    client.flush(index._name, timeout=60)
    client.load_collection(index._name, timeout=60)
    wait_for(lambda: reopen(name, shards).broken == [])  # the server is moving them to its disk
    random = np.random.default_rng(4)
    for share, least in ((1.0, 0.95), (0.4, 0.95), (0.1, 1.0), (0.01, 1.0)):
        photos = np.sort(random.choice(np.arange(1, 4_001), int(4_000 * share), replace=False))
        wanted = np.isin(ids >> 10, photos)
        overlaps = []
        for word in words[:40, None]:
            expected = {match.segment for match in by_hand(ids[wanted], pictures[wanted], word, 10)}
            found = [match.segment for match in index.search(word, 10, None if share == 1.0 else photos)]
            assert len(found) == 10
            assert np.isin(np.array(found) >> 10, photos).all()
            overlaps.append(len(expected & set(found)) / 10)
        assert np.mean(overlaps) >= least, share


def test_what_was_acknowledged_is_found_after_the_server_was_killed(
    milvus: Standalone, reopen: Reopen, name: str
) -> None:
    ids, vectors = segments(3_000), random_rows(3_000, DIM, seed=1)
    index = reopen(name, [])
    shards = [index.add(ids[at : at + 500], vectors[at : at + 500], (at + 1, at + 500)) for at in range(0, 3_000, 500)]
    milvus.kill()
    milvus.start()
    later = reopen(name, shards)
    assert later.broken == []
    assert len(later) == 3_000
    for row in range(0, 3_000, 100):
        assert later.search(vectors[row : row + 1], 1)[0].segment == ids[row]
    assert len({match.segment for match in later.search(unit(vectors[:1]), 5_000)}) == 3_000
