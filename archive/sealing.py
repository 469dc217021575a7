"""When vectors outside every shard become one, and when small shards become a larger one.

Shards grow like digits of a number: as soon as eight neighbours of one tier stand together they are merged into one of
the next tier, so that files stay few and a vector is written again only each time its shard grows eightfold.
"""

from __future__ import annotations

from itertools import dropwhile, groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archive.types import Shard

LARGEST = 1 << 20
"""Vectors of the largest shard: it is built in memory, and at 512 dimensions this many take 1 GB.

One of half of it or more is never merged again.
"""

TIER_BITS = 3
"""A tier spans counts up to eight times its smallest, and eight shards of a tier make one of the next."""

_MERGED = 1 << TIER_BITS


class Seal(NamedTuple):
    """A shard to build from the packs `first_pack` to `last_pack`, both included, in place of those it replaces."""

    first_pack: int
    last_pack: int
    replaces: tuple[Shard, ...]


class _Run(NamedTuple):
    """Packs that are or will be one shard; `replaces` names the shards that hold a part of them now."""

    first_pack: int
    last_pack: int
    vectors: int
    replaces: tuple[Shard, ...]
    is_new: bool

    @property
    def tier(self) -> int:
        return (self.vectors.bit_length() - 1) // TIER_BITS


def plan(
    shards: Sequence[Shard],
    tail_count: int,
    tail_first: int,
    tail_last: int,
    seal_at: int,
    *,
    largest: int = LARGEST,
) -> list[Seal]:
    """The shards to build now, in pack order: of the tail once it has `seal_at` vectors, and of shards to merge.

    `shards` stand in pack order; the tail is the packs after the last of them, `tail_count` vectors in the packs
    `tail_first` to `tail_last`. A tail of more than `largest` is cut into equal ranges of pack ids, one of which may
    turn out empty where ids are missing.

    Raises:
        ValueError: the shards are out of order or overlap, or the tail does not stand after them.
    """
    runs = [_Run(shard.first_pack, shard.last_pack, shard.count, (shard,), is_new=False) for shard in shards]
    if tail_count > 0 and tail_count >= seal_at:
        runs += _cut(tail_first, tail_last, tail_count, largest)
    if any(left.last_pack >= right.first_pack for left, right in pairwise(runs)):
        raise ValueError("shards must stand in pack order without overlap, and the tail after the last of them")
    while due := _due(runs, largest):
        runs[due] = [_joined(runs[due])]
    return [Seal(run.first_pack, run.last_pack, run.replaces) for run in runs if run.is_new]


def _cut(first: int, last: int, count: int, largest: int) -> list[_Run]:
    pieces = min(-(-count // largest), last - first + 1)
    edges = [first + (last - first + 1) * piece // pieces for piece in range(pieces + 1)]
    return [_Run(start, end - 1, -(-count // pieces), (), is_new=True) for start, end in pairwise(edges)]


def _due(runs: Sequence[_Run], largest: int) -> slice | None:
    """The neighbours to merge next: of the smallest tier that has enough, or too much for one shard."""
    for tier in sorted({run.tier for run in runs}):
        for neighbours in _neighbours(runs, tier, largest):
            window = _window(runs, neighbours, tier, largest)
            if window:
                return window
    return None


def _neighbours(runs: Sequence[_Run], tier: int, largest: int) -> Iterator[list[int]]:
    """Stretches of shards that may still grow and are not above the tier, each from its first shard of the tier on."""

    def may_grow(place: int) -> bool:
        return runs[place].tier <= tier and 2 * runs[place].vectors < largest

    for growing, places in groupby(range(len(runs)), may_grow):
        if growing:
            yield list(dropwhile(lambda place: runs[place].tier < tier, places))


def _window(runs: Sequence[_Run], places: Sequence[int], tier: int, largest: int) -> slice | None:
    """The first of the places that make a shard of the next tier, or that fill the largest shard.

    Smaller shards that stand between those of the tier go along.
    """
    total = members = 0
    for place in places:
        total += runs[place].vectors
        if total > largest:
            return slice(places[0], place)
        members += runs[place].tier == tier
        if members == _MERGED:
            return slice(places[0], place + 1)
    return None


def _joined(runs: Sequence[_Run]) -> _Run:
    return _Run(
        first_pack=runs[0].first_pack,
        last_pack=runs[-1].last_pack,
        vectors=sum(run.vectors for run in runs),
        replaces=tuple(shard for run in runs for shard in run.replaces),
        is_new=True,
    )
