"""An index of shard files, with the catalog's part beside it: the vectors that it was given, by segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.indexes.faiss_shards import FaissIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from archive.types import Halves, Ids, Shard, Vectors


class StoredIndex(FaissIndex):
    """A FaissIndex whose stored vectors are those that were added to it; `forget` takes some away."""

    def __init__(
        self,
        folder: Path,
        dim: int,
        shards: Sequence[Shard] = (),
        *,
        ivf_at: int,
        words: Callable[[], Vectors] | None = None,
    ) -> None:
        super().__init__(folder, dim, shards, ivf_at=ivf_at, stored=self.vectors_of, words=words)
        self._rows: dict[int, Vectors] = {}
        self.asked_for: list[int] = []

    def add(self, ids: Ids, vectors: Vectors | Halves, packs: tuple[int, int], wearers: Ids | None = None) -> Shard:
        """Build the shard, and keep the vectors."""
        shard = super().add(ids, vectors, packs, wearers)
        self._rows.update(zip(ids.tolist(), vectors, strict=True))
        return shard

    def forget(self, segments: Collection[int]) -> None:
        """As if the catalog no longer had these."""
        for segment in segments:
            del self._rows[segment]

    def vectors_of(self, segments: Ids) -> tuple[Ids, Vectors]:
        """What the catalog would give; `asked_for` remembers how many were wanted."""
        self.asked_for.append(len(segments))
        there = [segment for segment in segments.tolist() if segment in self._rows]
        rows = [self._rows[segment] for segment in there]
        return np.array(there, np.int64), np.array(rows, np.float32).reshape(len(rows), self.dim)
