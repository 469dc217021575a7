"""What of the Milvus index needs no server: addresses, versions, and the expressions of filters."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.errors import ArchiveError, UsageError
from archive.indexes.milvus import MilvusIndex
from archive.indexes.milvus_collection import Address, has_half_precision
from archive.indexes.milvus_filters import IDS_AT_ONCE, RUNS_AT_ONCE, narrowings
from archive.types import Shard
from tests.contracts.vector_index import random_rows


def test_an_address_says_where_the_server_is_and_how_it_is_used() -> None:
    plain = Address.parse("milvus://db")
    assert (plain.uri, plain.token, plain.prefix, plain.kind) == ("http://db:19530", "", "archive", "HNSW")
    full = Address.parse("milvus://me:p%40ss@db:1/clinic?index=DISKANN&replicas=2&partitions=8&tls=1")
    assert (full.uri, full.token, full.prefix) == ("https://db:1", "me:p@ss", "clinic")
    assert (full.kind, full.replicas, full.partitions) == ("DISKANN", 2, 8)
    assert "p@ss" not in repr(full)
    assert full.collection("0123-4567-89ab-cdef-0000", 3) == "clinic_0123456789abcdef_3"


@pytest.mark.parametrize(
    "wrong",
    [
        "http://db",
        "milvus://",
        "milvus://db/a-b",
        "milvus://db/a?index=MAGIC",
        "milvus://db/a?replicas=0",
        "milvus://db/a?shards=2",
        "milvus://me:secret@db/a?tls=yes",
    ],
)
def test_an_address_that_makes_no_sense_is_refused_without_its_password(wrong: str) -> None:
    with pytest.raises(UsageError, match="must be like milvus://") as refused:
        Address.parse(wrong)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("version", "half"),
    [("v2.3.5-lite", False), ("2.3.21", False), ("v2.4.0-rc.1", True), ("2.6.1", True), ("3.0", True)],
)
def test_vectors_take_half_the_room_where_the_server_can(version: str, half: bool) -> None:
    assert has_half_precision(version) is half


def named(expression: str, photos: range) -> set[int]:
    """The photos that an expression lets through, as the server would read it."""
    return {photo for photo in photos if eval(expression, {}, {"photo": photo, "wearer": 1})}


@given(st.sets(st.integers(0, 300)), st.sampled_from([None, [1], [2]]))
def test_the_expressions_of_a_filter_name_its_photos_and_no_other(photos: set[int], wearers: list[int] | None) -> None:
    found = list(narrowings(np.array(sorted(photos), np.int64), wearers))
    through = [named(one.expression, range(302)) for one in found]
    assert set().union(*through) == (set() if wearers == [2] else photos)
    if wearers != [2]:
        assert [len(some) for some in through] == [one.photos for one in found]


def test_no_expression_grows_beyond_what_a_server_reads() -> None:
    scattered = np.arange(0, 3 * IDS_AT_ONCE, 2, dtype=np.int64)
    runs = (np.arange(200)[:, None] * 100 + 10**6 + np.arange(50)).ravel()
    for one in narrowings(np.concatenate((scattered, runs)), [1, 2]):
        assert one.expression.count(">=") <= RUNS_AT_ONCE
        assert len(re.findall(r"\d+", one.expression)) <= IDS_AT_ONCE + 2
        assert one.expression.startswith("wearer in [1, 2] and ")
    (one,) = narrowings(np.arange(10**6, dtype=np.int64), None)
    assert one == ("((photo >= 0 and photo < 1000000))", 10**6)


def test_a_server_that_is_not_there_is_one_line_and_an_empty_manifest_asks_none() -> None:
    address = Address.parse("milvus://127.0.0.1:1/archive")
    query = random_rows(1, 16, seed=1)
    assert MilvusIndex(address, "archive_1", 16).search(query, 10) == []
    index = MilvusIndex(address, "archive_1", 16, [Shard("milvus-00000000000001", "", 0, 5, 1, 5)])
    with pytest.raises(ArchiveError, match=r"the search index at 127\.0\.0\.1:1 fails \(.*run it again") as failed:
        index.search(query, 10)
    assert "\n" not in str(failed.value)
