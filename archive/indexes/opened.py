"""Shards that were opened: what is asked of one, and of many of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from archive.indexes import container, engines
from archive.indexes.rows import joined, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from archive.indexes.rows import Scored
    from archive.types import Vectors

Done = TypeVar("Done")

SIDE_BY_SIDE_FROM = 4
"""Clustered shards from which several are read at once."""


class Opened(NamedTuple):
    """A healthy shard in memory; `content` keeps the mapped bytes alive that `engine` reads."""

    content: container.ShardContent
    engine: Any

    @property
    def is_clustered(self) -> bool:
        """Whether it has cells."""
        return engines.is_clustered(self.engine)


Wanted: TypeAlias = tuple[Opened, "NDArray[np.bool_] | None"]
"""A shard, and which of its rows count: all where that is None."""


def flat_best(shards: Sequence[Wanted], query: Vectors, limit: int) -> Scored:
    """The nearest rows of flat shards, best first."""
    return _best(((opened, engines.search(opened.engine, query, limit, rows)) for opened, rows in shards), limit)


def read(shards: Sequence[Wanted], asked: engines.Asked, cells: engines.SomeCells, count: int) -> Scored:
    """The rows of some cells of clustered shards that score best by their codes, best first."""

    def read_one(one: Wanted) -> tuple[Opened, engines.Found]:
        opened, rows = one
        return opened, engines.read_cells(opened.engine, asked, cells, count, rows)

    return _best(side_by_side(read_one, shards), count)


def side_by_side(do: Callable[[Wanted], Done], shards: Sequence[Wanted]) -> list[Done]:
    """What is done with each shard, with several at once where there are many: faiss lets go of Python's lock."""
    if len(shards) < SIDE_BY_SIDE_FROM:
        return list(map(do, shards))
    from concurrent.futures import ThreadPoolExecutor

    from archive.runtimes.processors import processors

    with ThreadPoolExecutor(processors()) as threads:
        return list(threads.map(do, shards))


def _best(found: Iterable[tuple[Opened, engines.Found]], limit: int) -> Scored:
    """The `limit` best of what several shards found, best first."""
    return nearest(*joined([(opened.content.ids[rows], scores) for opened, (rows, scores) in found]), limit)
