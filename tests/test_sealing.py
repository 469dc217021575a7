from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.sealing import LARGEST, Seal, plan
from archive.types import Shard

SEAL_AT = 16_384


@dataclass
class Archive:
    """Packs of segments and the shards that hold them, as the catalog would carry the plans out."""

    seal_at: int = SEAL_AT
    largest: int = LARGEST
    packs: list[int] = field(default_factory=list)
    shards: list[Shard] = field(default_factory=list)
    written: int = 0
    most_shards: int = 0

    def take(self, packs: int, segments: int) -> list[Seal]:
        """Commit so many packs of so many segments, then do what is planned."""
        self.packs += [segments] * packs
        sealed = self.shards[-1].last_pack if self.shards else 0
        seals = plan(
            self.shards, sum(self.packs[sealed:]), sealed + 1, len(self.packs), self.seal_at, largest=self.largest
        )
        for seal in seals:
            self._build(seal)
        self.most_shards = max(self.most_shards, len(self.shards))
        return seals

    def _build(self, seal: Seal) -> None:
        count = sum(self.packs[seal.first_pack - 1 : seal.last_pack])
        assert all(old in self.shards for old in seal.replaces)
        kept = [shard for shard in self.shards if shard not in seal.replaces]
        built = Shard(f"{self.written}", "", 0, count, seal.first_pack, seal.last_pack)
        self.shards = sorted([*kept, built], key=lambda shard: shard.first_pack)
        self.written += count


def shard(first: int, last: int, count: int) -> Shard:
    return Shard(f"{first}-{last}", "", 0, count, first, last)


def neighbours(counts: list[int]) -> list[Shard]:
    return [shard(place * 10 + 1, place * 10 + 10, count) for place, count in enumerate(counts)]


def test_a_small_tail_waits() -> None:
    assert plan([], 99, 1, 10, seal_at=100) == []
    assert plan([], 0, 0, 0, seal_at=0) == []


def test_a_tail_of_enough_vectors_becomes_a_shard() -> None:
    assert plan([], 100, 1, 10, seal_at=100) == [Seal(1, 10, ())]
    assert plan([shard(1, 10, 100)], 100, 11, 20, seal_at=100) == [Seal(11, 20, ())]


def test_eight_neighbours_of_a_tier_become_one() -> None:
    assert plan(neighbours([100] * 7), 0, 0, 0, seal_at=100) == []
    eight = neighbours([100] * 8)
    assert plan(eight, 0, 0, 0, seal_at=100) == [Seal(1, 80, tuple(eight))]


def test_the_tail_is_written_once_where_it_completes_a_merge() -> None:
    seven = neighbours([100] * 7)
    assert plan(seven, 100, 71, 75, seal_at=100) == [Seal(1, 75, tuple(seven))]


def test_a_merge_that_completes_another_is_one_merge() -> None:
    shards = neighbours([800] * 7 + [100] * 7)
    assert plan(shards, 100, 141, 150, seal_at=100) == [Seal(1, 150, tuple(shards))]


def test_larger_shards_are_left_alone_until_eight_of_them_stand_together() -> None:
    shards = neighbours([5_000] * 5 + [100] * 8)
    assert plan(shards, 0, 0, 0, seal_at=100) == [Seal(51, 130, tuple(shards[5:]))]


def test_a_small_shard_between_larger_ones_goes_along() -> None:
    shards = neighbours([800] * 4 + [3] + [800] * 4)
    assert plan(shards, 0, 0, 0, seal_at=100) == [Seal(1, 90, tuple(shards))]


def test_no_shard_grows_beyond_the_largest() -> None:
    shards = neighbours([300] * 4)
    assert plan(shards, 0, 0, 0, seal_at=100, largest=1_000) == [Seal(1, 30, tuple(shards[:3]))]
    assert plan(neighbours([501] * 20), 0, 0, 0, seal_at=100, largest=1_000) == []


def test_a_tail_beyond_the_largest_is_cut() -> None:
    """As after the loss of every shard."""
    assert plan([], 2_500, 1, 100, seal_at=100, largest=1_000) == [Seal(1, 33, ()), Seal(34, 66, ()), Seal(67, 100, ())]
    assert plan([], 2_500, 7, 8, seal_at=100, largest=1_000) == [Seal(7, 7, ()), Seal(8, 8, ())]


@pytest.mark.parametrize(
    ("shards", "tail_first"),
    [
        ([shard(1, 10, 5), shard(10, 20, 5)], 21),
        ([shard(11, 20, 5), shard(1, 10, 5)], 21),
        ([shard(1, 10, 5)], 10),
    ],
)
def test_ranges_that_overlap_are_refused(shards: list[Shard], tail_first: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        plan(shards, 100, tail_first, 30, seal_at=100)


@settings(max_examples=200, deadline=None)
@given(
    ingests=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), max_size=60),
    seal_at=st.integers(1, 200),
    largest=st.integers(400, 20_000),
)
def test_shards_stay_in_order_and_cover_what_they_covered(
    ingests: list[tuple[int, int]], seal_at: int, largest: int
) -> None:
    archive = Archive(seal_at=seal_at, largest=max(largest, 2 * (seal_at + 1_200)))
    for packs, segments in ingests:
        covered = archive.shards[-1].last_pack if archive.shards else 0
        archive.take(packs, segments)
        assert archive.shards == [] or archive.shards[0].first_pack == 1
        assert all(left.last_pack + 1 == right.first_pack for left, right in pairwise(archive.shards))
        sealed = archive.shards[-1].last_pack if archive.shards else 0
        assert sealed >= covered
        assert sum(one.count for one in archive.shards) == sum(archive.packs[:sealed])
        assert sum(archive.packs[sealed:]) < seal_at
        assert all(one.count <= archive.largest for one in archive.shards)


@settings(max_examples=200, deadline=None)
@given(counts=st.lists(st.integers(0, 10_000), max_size=60))
def test_a_plan_leaves_nothing_to_do(counts: list[int]) -> None:
    shards = neighbours(counts)
    seals = plan(shards, 0, 0, 0, seal_at=1, largest=20_000)
    replaced = [old for seal in seals for old in seal.replaces]
    assert len(set(replaced)) == len(replaced)
    for seal in seals:
        inside = tuple(one for one in shards if seal.first_pack <= one.first_pack and one.last_pack <= seal.last_pack)
        assert seal.replaces == inside
    built = [shard(seal.first_pack, seal.last_pack, sum(old.count for old in seal.replaces)) for seal in seals]
    after = sorted([one for one in shards if one not in replaced] + built, key=lambda one: one.first_pack)
    assert plan(after, 0, 0, 0, seal_at=1, largest=20_000) == []


@pytest.mark.parametrize(("packs_at_once", "times_a_day"), [(4_000, 1), (700, 6)])
def test_five_years_of_days_are_few_files_and_few_rewrites(packs_at_once: int, times_a_day: int) -> None:
    archive = Archive()
    for _ in range(2_000 * times_a_day):
        archive.take(packs_at_once, 25)
    total = sum(archive.packs)
    assert total >= 200_000_000
    assert archive.most_shards <= 300  # 200 million vectors are 191 of the largest
    assert archive.written <= 4 * total
    assert max(one.count for one in archive.shards) <= LARGEST
