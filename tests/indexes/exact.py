"""Every vector compared with the query, in memory: the judge of other indexes."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from archive import sealing
from archive.indexes.rows import CHUNK, belonging_to, checked, checked_query, floats, growing, matches, nearest
from archive.types import Reached, Shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from archive.types import Halves, Ids, Match, Vectors


class ExactIndex:
    """A VectorIndex that is never wrong and keeps nothing: its shards live as long as it does.

    It holds the arrays that it is given, without a copy where their ids are in order; do not write to them later.
    """

    largest = sealing.LARGEST

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._blocks: dict[str, tuple[Ids, Vectors]] = {}
        self._numbers = count(1)

    def __len__(self) -> int:
        return sum(len(ids) for ids, _ in self._blocks.values())

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def nearness(self) -> float:
        """None but for rounding."""
        return 1e-6

    @property
    def broken(self) -> list[Shard]:
        """Always empty: what is in memory can be searched."""
        return []

    def add(self, ids: Ids, vectors: Vectors | Halves, packs: tuple[int, int], wearers: Ids | None = None) -> Shard:
        """Hold the rows. The shard's name is good for `remove` only: it has no file, no sha256 and no size."""
        name = f"memory-{next(self._numbers)}"
        ids, vectors = checked(ids, vectors, self._dim)
        self._blocks[name] = ids, floats(vectors)
        first, last = packs
        return Shard(name=name, sha256="", size=0, count=len(ids), first_pack=first, last_pack=last)

    def remove(self, shard: Shard) -> None:
        """Forget a shard; one that is already gone is no error."""
        self._blocks.pop(shard.name, None)

    def search(
        self, vector: Vectors, limit: int, photos: Ids | None = None, wearers: Sequence[int] | None = None
    ) -> list[Match]:
        """The nearest segments, best first; equal scores stand in order of id."""
        return matches(*self._search(vector, limit, photos))

    def reaching(
        self,
        vector: Vectors,
        least: float,
        limit: int,
        photos: Ids | None = None,
        wearers: Sequence[int] | None = None,
    ) -> Reached:
        """The segments that score so much, and some of the nearest."""
        return Reached(*growing(lambda count: self._search(vector, count, photos), least, limit))

    def _search(self, vector: Vectors, limit: int, photos: Ids | None) -> tuple[Ids, NDArray[np.float32]]:
        query = checked_query(vector, self._dim)[0]
        if limit <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        ids, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        for block_ids, block_vectors in self._blocks.values():
            wanted = None if photos is None else np.flatnonzero(belonging_to(photos, block_ids))
            block_scores = _scores(block_vectors, query, wanted)
            block_ids = block_ids if wanted is None else block_ids[wanted]
            near_ids, near_scores = nearest(block_ids, block_scores, limit)
            ids, scores = np.concatenate((ids, near_ids)), np.concatenate((scores, near_scores))
        return nearest(ids, scores, limit)


def _scores(vectors: Vectors, query: Vectors, wanted: NDArray[np.intp] | None) -> NDArray[np.float32]:
    """Inner products of the query with all rows, or with the wanted ones.

    By einsum, as fast as BLAS here: it sums a row the same way wherever the row stands, so a filter changes no score
    and equal vectors score equal.
    """
    total = len(vectors) if wanted is None else len(wanted)
    scores = np.empty(total, dtype=np.float32)
    for start in range(0, total, CHUNK):
        span = slice(start, start + CHUNK)
        chunk = vectors[span] if wanted is None else vectors[wanted[span]]
        scores[span] = np.einsum("ij,j->i", chunk, query)
    return scores
