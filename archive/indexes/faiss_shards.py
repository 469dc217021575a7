"""FAISS as a cache: immutable shard files that the catalog's manifest names and that can all be built again."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive import sealing
from archive.disk import sync
from archive.indexes import container, engines
from archive.indexes.rows import belonging_to, checked, checked_query, matches, nearest
from archive.types import Shard

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from archive.types import Ids, Match, Vectors

IVF_AT = 65_536
"""Vectors from which a shard is clustered. Below it, comparing every row takes a few milliseconds and is exact."""


class _Opened(NamedTuple):
    """A healthy shard in memory; `content` keeps the mapped bytes alive that `engine` reads."""

    content: container.ShardContent
    engine: Any


class FaissIndex:
    """A VectorIndex over the shard files of one folder, which belongs to one pair.

    `shards` is what the manifest names. A file is read, and its sha256 checked, when something is first asked of it.
    One that is missing or damaged is no error: it stands in `broken`, and the caller searches its packs in the
    catalog. Scores of clustered shards are near, not exact; the caller ranks again by the catalog's vectors.

    Only the holder of the archive's writer lock may call `add`, `remove` and `sweep`. Wearers are not kept apart.
    """

    largest = sealing.LARGEST

    def __init__(self, folder: Path, dim: int, shards: Sequence[Shard] = (), *, ivf_at: int = IVF_AT) -> None:
        self._folder = folder
        self._dim = dim
        self._ivf_at = ivf_at
        self._shards = {shard.name: shard for shard in shards}
        self._opened: dict[str, _Opened | None] = {}
        self._opening = Lock()

    def __len__(self) -> int:
        return sum(len(opened.content.ids) for opened in self._healthy())

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def broken(self) -> list[Shard]:
        """The shards that cannot be searched: file missing, truncated, altered, or of another dimension."""
        self._healthy()
        return [shard for name, shard in self._shards.items() if self._opened.get(name) is None]

    def add(self, ids: Ids, vectors: Vectors, packs: tuple[int, int], wearers: Ids | None = None) -> Shard:
        """Build one shard file, on the disk when this returns. `vectors` may be a mapped file: it is read in parts.

        Raises:
            OSError: it could not be written, as on a full disk. Nothing is left behind.
        """
        ids, vectors = checked(ids, vectors, self._dim)
        first, last = packs
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = engines.flat(vectors) if len(ids) < self._ivf_at else engines.clustered(vectors, self._cells(vectors))
        name = container.new_shard_name(first, last)
        with container.durable(self._folder, name) as file:
            container.write_head(file, ids, self._dim)
            engines.write(engine, file)
        shard = Shard(name, file.sha256, file.size, len(ids), first, last)
        self._shards[name] = shard
        return shard

    def remove(self, shard: Shard) -> None:
        """Forget a shard and erase its file; one that is already gone is no error."""
        self._shards.pop(shard.name, None)
        self._opened.pop(shard.name, None)
        path = self._folder / shard.name
        if path.exists():
            path.unlink()
            sync(self._folder)

    def search(
        self, vector: Vectors, limit: int, photos: Ids | None = None, wearers: Sequence[int] | None = None
    ) -> list[Match]:
        """The nearest segments of all healthy shards, best first; equal scores stand in order of id."""
        query = checked_query(vector, self._dim)
        if limit <= 0:
            return []
        ids, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        for content, engine in self._healthy():
            wanted = None if photos is None else belonging_to(photos, content.ids)
            rows, near_scores = engines.search(engine, query, limit, wanted)
            ids, scores = np.concatenate((ids, content.ids[rows])), np.concatenate((scores, near_scores))
        return matches(*nearest(ids, scores, limit))

    def sweep(self, keep: Collection[str]) -> list[str]:
        """Erase the folder's files that are neither named in `keep` nor in use, and return their names.

        Such files are what a killed process leaves: parts of a file, and shards that no manifest came to name.
        """
        if not self._folder.exists():
            return []
        cells = container.read_cells(self._folder, self._dim)
        staying = {*keep, cells.name} if cells else set(keep)
        orphans = sorted(path for path in self._folder.iterdir() if path.is_file() and path.name not in staying)
        for path in orphans:
            path.unlink()
        if orphans:
            sync(self._folder)
        return [path.name for path in orphans]

    def _healthy(self) -> list[_Opened]:
        """Every shard that can be searched, oldest pack first."""
        with self._opening:
            for shard in self._shards.values():
                if shard.name not in self._opened:
                    self._opened[shard.name] = self._open(shard)
            return [opened for name in self._shards if (opened := self._opened[name])]

    def _open(self, shard: Shard) -> _Opened | None:
        content = container.read_shard(self._folder, shard, self._dim)
        if content is None:
            return None
        try:
            engine = engines.read(content.engine)
        except RuntimeError:  # the bytes are as written, by a faiss that this one does not understand
            return None
        return _Opened(content, engine)

    def _cells(self, vectors: Vectors) -> Vectors:
        """The centres that all clustered shards of the folder share; trained on the first vectors that need them."""
        cells = container.read_cells(self._folder, self._dim)
        if cells:
            return cells.centres
        centres = engines.train_cells(vectors)
        container.write_cells(self._folder, centres)
        return centres
