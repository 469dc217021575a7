"""Shards that were opened: what is asked of one, and of many of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from archive.indexes import container, engines
from archive.indexes.rows import joined, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from archive.indexes.rows import Scored
    from archive.types import Vectors

Done = TypeVar("Done")

SIDE_BY_SIDE_FROM = 4
"""Clustered shards from which several are read at once."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A healthy shard in memory; `content` keeps the mapped bytes alive that the engines read."""

    content: container.ShardContent
    engine: Any

    @property
    def is_clustered(self) -> bool:
        """Whether it has cells, and parts of them."""
        return bool(self.content.training)

    @property
    def parts(self) -> container.Parts:
        """Of its cells."""
        return self.content.parts

    @cached_property
    def in_parts(self) -> Any:  # noqa: ANN401
        """The engine of a clustered shard with a list for each part; not every query needs it."""
        return engines.in_parts(self.engine, self.parts)


Wanted: TypeAlias = tuple[Opened, "NDArray[np.bool_] | None"]
"""A shard, and which of its rows count: all where that is None."""


def flat_best(shards: Sequence[Wanted], query: Vectors, limit: int) -> Scored:
    """The nearest rows of flat shards, best first."""
    found = [_named(opened, engines.search(opened.engine, query, limit, rows)) for opened, rows in shards]
    return nearest(*joined(found), limit)


def read_all(one: Wanted, asked: engines.Asked, count: int) -> Scored:
    """The rows of a clustered shard that score best by their codes, best first."""
    opened, rows = one
    return nearest(*_named(opened, engines.read_lists(opened.engine, asked, asked.all(), count, rows)), count)


def read_parts(
    shards: Sequence[Wanted], asked: engines.Asked, chosen: Sequence[NDArray[np.bool_]], count: int
) -> Scored:
    """The rows of some parts of clustered shards that score best by their codes, so many of each shard or more."""
    found = []
    for (opened, rows), some in zip(shards, chosen, strict=True):
        lists = asked.some(opened.parts, some)
        found.append(_named(opened, engines.read_lists(opened.in_parts, asked, lists, count, rows)))
    return joined(found)


def side_by_side(do: Callable[[Wanted], Done], shards: Sequence[Wanted]) -> list[Done]:
    """What is done with each shard, with several at once where there are many: faiss lets go of Python's lock."""
    if len(shards) < SIDE_BY_SIDE_FROM:
        return list(map(do, shards))
    from concurrent.futures import ThreadPoolExecutor

    from archive.runtimes.processors import processors

    with ThreadPoolExecutor(processors()) as threads:
        return list(threads.map(do, shards))


def _named(opened: Opened, found: engines.Found) -> Scored:
    """Rows of a shard by the ids of their segments."""
    rows, scores = found
    return opened.content.ids[rows], scores
