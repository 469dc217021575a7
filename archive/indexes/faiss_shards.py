"""FAISS as a cache: immutable shard files that the catalog's manifest names and that can all be built again."""

from __future__ import annotations

from copy import copy
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from archive import sealing
from archive.disk import sync
from archive.indexes import container, engines
from archive.indexes.opened import Opened, flat_best, read_all, read_parts, side_by_side
from archive.indexes.rows import (
    at_first,
    belonging_to,
    between,
    checked,
    checked_query,
    growing,
    joined,
    matches,
    nearest,
    reached,
)
from archive.indexes.training import train
from archive.ranking import last_of
from archive.types import Reached, Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

    from archive.indexes.opened import Wanted
    from archive.indexes.rows import Scored
    from archive.types import Halves, Ids, Match, Vectors
    from archive.verified import Verified

    Stored = Callable[[Ids], tuple[Ids, Vectors]]

IVF_AT = 65_536
"""Vectors from which a shard is clustered, and all that follow it. Below it, comparing every row takes a few
milliseconds and is exact."""

CANDIDATES = 48
"""Rows whose stored vectors are compared for a short answer, up to a million. Up to a limit of half of it all answers
compare the same, so that a short answer is the beginning of a longer one; above it, twice the limit is compared.

Of the true ten of words among a million made-up vectors 96.9 % are among the best 32 by their codes, 98.3 % among 40,
98.8 % among 48. Each takes SQLite, which reads the whole pack for it, some 15 microseconds.
"""

MORE_CANDIDATES = 1 / 4
"""The power with which they grow beyond: the scores of ten times the vectors lie closer together."""

FIRST_PARTS = 64
"""Parts that are read before it is asked which others can hold one of the best: of so many rows as are compared for a
short answer, or of the limit where that is more.
"""

EXACT_BELOW = 16_384
"""Where a filter leaves fewer rows of the clustered shards, all their stored vectors are compared."""

NEARNESS = 0.001
"""How far scores of halves are off."""

ALONG, ALONG_AT = 0.28, 256
"""The cosine that a query may have with what a row's code lacks, and the row is still named for all that it can score,
in a space of so many dimensions or more. In fewer any two directions are nearer: cosines go with the root.

Of 8,034 segments of a million made-up ones that clear the bar for 29 words, codes then miss one of three hundred, and
name one and a half times as many in vain; .2 misses ten times as many. To take all codes for equally far off, which
names as many, misses one of thirty: rare things are those that codes lack most of.
"""

WORN_AT = 0.9
"""A training is learned anew once less than this share of its rows is still in the archive."""


class FaissIndex:
    """A VectorIndex over the shard files of one folder, which belongs to one pair.

    `shards` is what the manifest names. A file is read, and its sha256 checked, when something is first asked of it.
    One that is missing or damaged is no error: it stands in `broken`, and the caller searches its packs in the
    catalog. So does a clustered one whose training is missing. What was `verified` before is not hashed again.

    `stored` gives the vectors of sorted segment ids as the catalog has them, and the ids, without those that it no
    longer has: clustered shards name candidates, and these vectors decide. Without it their scores are near, not
    exact. `words` gives vectors of texts like those that are asked, when the first clustered shard is built.

    Only the holder of the archive's writer lock may call `add`, `remove`, `sweep`, `drop` and `unlearn`. Wearers are
    not kept apart.
    """

    largest = sealing.LARGEST

    def __init__(
        self,
        folder: Path,
        dim: int,
        shards: Sequence[Shard] = (),
        *,
        ivf_at: int = IVF_AT,
        stored: Stored | None = None,
        words: Callable[[], Vectors] | None = None,
        verified: Verified | None = None,
    ) -> None:
        self._folder = folder
        self._dim = dim
        self._ivf_at = ivf_at
        self.stored = stored
        self._words = words
        self._verified = verified
        self._shards = {shard.name: shard for shard in shards}
        self._opened: dict[str, Opened | None] = {}
        self._cells: dict[str, engines.Cells] = {}
        self._opening = Lock()

    def over(self, stored: Stored) -> Self:
        """The same opened shards, with other stored vectors to decide by: those of a newer view of the catalog."""
        other = copy(self)
        other.stored = stored
        return other

    def __len__(self) -> int:
        return sum(len(opened.content.ids) for opened in self._healthy())

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def nearness(self) -> float:
        """How far scores are off; of clustered shards the most that a row can score is told."""
        return NEARNESS

    @property
    def broken(self) -> list[Shard]:
        """The shards that cannot be searched: file missing, truncated, altered, or of another dimension."""
        self._healthy()
        return [shard for name, shard in self._shards.items() if self._opened.get(name) is None]

    def add(self, ids: Ids, vectors: Vectors | Halves, packs: tuple[int, int], wearers: Ids | None = None) -> Shard:
        """Build one shard file, on the disk when this returns. `vectors` may be a mapped file: it is read in parts.

        Raises:
            OSError: it could not be written, as on a full disk. Nothing is left behind.
        """
        ids, vectors = checked(ids, vectors, self._dim)
        first, last = packs
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        training = container.read_training(self._folder, self._dim)
        if training is None and len(ids) >= self._ivf_at:
            training = self._learn(vectors, packs)
        needed = None
        if training:
            engine, parts = engines.clustered(vectors, training.training)
            needed = container.Needed(training.mark, parts)
        else:
            engine = engines.flat(vectors)
        name = container.new_shard_name(first, last)
        with container.durable(self._folder, name) as file:
            container.write_head(file, ids, self._dim, engines.version(), needed, engines.unread(engine))
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
        """The nearest segments of all healthy shards, best first; equal scores stand in order of id.

        Where a filter leaves few rows, or the clustered shards name too few that are still there, all are compared.
        """
        query = checked_query(vector, self._dim)
        if limit <= 0:
            return []
        flat, clustered = self._wanted(photos)
        exact = flat_best(flat, query, limit)
        if clustered:
            exact = nearest(*joined([exact, self._clustered(clustered, query, limit, exact[1])]), limit)
        return matches(*exact)

    def reaching(
        self,
        vector: Vectors,
        least: float,
        limit: int,
        photos: Ids | None = None,
        wearers: Sequence[int] | None = None,
    ) -> Reached:
        """The segments that score so much, and some of the nearest; of clustered shards those whose codes allow it."""
        query = checked_query(vector, self._dim)
        if limit <= 0:
            return Reached(*joined([]))
        flat, clustered = self._wanted(photos)
        held = sum(len(opened.content.ids) for opened, _ in flat)
        found = growing(lambda count: flat_best(flat, query, count), least, limit, at_first(held))
        if clustered:
            found = nearest(*joined([found, self._coded(clustered, query, least, limit)]), limit)
        return Reached(*found)

    def sweep(self, keep: Collection[str]) -> list[str]:
        """Erase the folder's files that are neither named in `keep` nor in use, and return their names.

        Such files are what a killed process leaves: parts of a file, and shards that no manifest came to name.
        """
        if not self._folder.exists():
            return []
        training = container.read_training(self._folder, self._dim)
        staying = {*keep, training.name} if training and self._is_needed(training, keep) else set(keep)
        orphans = sorted(path for path in self._folder.iterdir() if path.is_file() and path.name not in staying)
        for path in orphans:
            path.unlink()
        if orphans:
            sync(self._folder)
        return [path.name for path in orphans]

    def drop(self) -> None:
        """Erase the folder, and with it everything that was made of the pair's vectors."""
        self._shards.clear()
        self._opened.clear()
        if self._folder.exists():
            import shutil

            shutil.rmtree(self._folder)
            sync(self._folder.parent)

    @property
    def outdated(self) -> list[Shard]:
        """The shards that an older version wrote, or another faiss: what opens is as good, but is due to be renewed."""
        version = engines.version() if self._shards else ""
        return [shard for shard in self._shards.values() if not container.is_current(self._folder, shard, version)]

    def unlearn(self, still: Callable[[int, int], int]) -> bool:
        """Erase the training if much of what it was learned from is gone; its shards are then broken.

        `still` tells how many vectors the packs from first to last hold now.
        """
        training = container.read_training(self._folder, self._dim)
        if training is None:
            return False
        rows, first, last = training.lesson
        if still(first, last) >= WORN_AT * rows:
            return False
        (self._folder / training.name).unlink()
        sync(self._folder)
        self._opened.clear()
        self._cells.clear()
        return True

    def _clustered(
        self, shards: Sequence[Wanted], query: Vectors, limit: int, flat_scores: NDArray[np.float32]
    ) -> Scored:
        """The nearest rows of clustered shards, best first."""
        left = [(len(opened.content.ids) if rows is None else int(rows.sum())) for opened, rows in shards]
        if self.stored and sum(left) <= EXACT_BELOW:
            every = [opened.content.ids if rows is None else opened.content.ids[rows] for opened, rows in shards]
            return _compared(np.concatenate(every), self.stored, query, limit)
        count = fewest = _fewest(limit, sum(left))
        while True:
            depth = max(limit, CANDIDATES) if count == fewest else count
            ids, scores = self._candidates(shards, query, count, depth, flat_scores)
            found = _compared(ids, self.stored, query, limit) if self.stored else nearest(ids, scores, limit)
            if len(found[0]) >= limit or len(ids) < count:
                return found
            count *= 4

    def _coded(self, shards: Sequence[Wanted], query: Vectors, least: float, limit: int) -> Scored:
        """The rows of clustered shards that can score so much by their codes, and some of the likeliest.

        They come with the most that they can score. All codes are looked through, a million in some 5 ms: what is rare
        lies far out in the cells of what is common, and no bound on cells tells where.
        """
        along = min(1.0, ALONG * max(1.0, ALONG_AT / self._dim) ** 0.5)
        asked = self._shared_cells(shards).ask(query, along)

        def reaching(one: Wanted) -> Scored:
            return growing(lambda count: read_all(one, asked, count), least, limit, at_first(len(one[0].content.ids)))

        return reached(nearest(*joined(side_by_side(reaching, shards)), limit), least)

    def _candidates(
        self,
        shards: Sequence[Wanted],
        query: Vectors,
        count: int,
        depth: int,
        flat_scores: NDArray[np.float32],
    ) -> Scored:
        """So many rows that score best by their codes: of the first parts, then of those that can hold better ones."""
        asked = self._shared_cells(shards).ask(query)
        heights = [asked.heights(opened.parts) for opened, _ in shards]
        lowest = last_of(np.concatenate(heights), FIRST_PARTS)
        first = read_parts(shards, asked, [some >= lowest for some in heights], count)
        bar = last_of(np.concatenate((first[1], flat_scores)), depth)
        others = read_parts(shards, asked, [(some >= bar) & (some < lowest) for some in heights], count)
        return nearest(*joined([first, others]), count)

    def _shared_cells(self, shards: Sequence[Wanted]) -> engines.Cells:
        return self._cells[shards[0][0].content.training.hex()]

    def _wanted(self, photos: Ids | None) -> tuple[list[Wanted], list[Wanted]]:
        """The healthy shards, flat ones and clustered ones, each with the rows that belong to photos.

        Those that hold no segment of the photos are left out.
        """
        wanted: list[Wanted] = []
        for opened in self._healthy():
            ids = opened.content.ids
            if photos is None:
                wanted.append((opened, None))
            elif len(own := between(photos, ids[0], ids[-1])):
                wanted.append((opened, belonging_to(own, ids)))
        flat = [one for one in wanted if not one[0].is_clustered]
        return flat, [one for one in wanted if one[0].is_clustered]

    def _learn(self, vectors: Vectors | Halves, packs: tuple[int, int]) -> container.StoredTraining:
        """The training that all clustered shards of the folder share, from the first vectors that need it."""
        words = self._words() if self._words else np.empty((0, self._dim), np.float32)
        lesson = container.Lesson(len(vectors), *packs)
        return container.write_training(self._folder, train(vectors, words), lesson)

    def _is_needed(self, training: container.StoredTraining, keep: Collection[str]) -> bool:
        """Whether one of the shards that stay was built with the training."""
        return any(container.training_mark(self._folder / name) == training.mark for name in keep)

    def _healthy(self) -> list[Opened]:
        """Every shard that can be searched, oldest pack first."""
        with self._opening:
            for shard in self._shards.values():
                if shard.name not in self._opened:
                    self._opened[shard.name] = self._open(shard)
            return [opened for name in self._shards if (opened := self._opened[name])]

    def _open(self, shard: Shard) -> Opened | None:
        content = container.read_shard(self._folder, shard, self._dim, self._verified)
        if content is None:
            return None
        try:
            engine = engines.read(content.engine)
        except RuntimeError:  # the bytes are as written, by a faiss that this one does not understand
            return None
        if engines.is_clustered(engine) and not self._knows(content.training):
            return None
        return Opened(content, engine)

    def _knows(self, mark: bytes) -> bool:
        """Whether the training of that mark is there, and ready."""
        if mark and mark.hex() not in self._cells:
            stored = container.read_training(self._folder, self._dim, self._verified)
            if stored and stored.mark == mark:
                self._cells[mark.hex()] = engines.Cells(stored.training)
        return mark.hex() in self._cells


def _fewest(limit: int, rows: int) -> int:
    """How many candidates are compared at the least, of so many rows."""
    growth: float = max(1.0, rows / sealing.LARGEST) ** MORE_CANDIDATES
    return max(round(CANDIDATES * growth), 2 * limit)


def _compared(ids: Ids, stored: Stored, query: Vectors, limit: int) -> Scored:
    """The nearest of these by their stored vectors; those that the catalog no longer has are left out."""
    there, vectors = stored(np.sort(ids))
    return nearest(there, np.einsum("ij,j->i", vectors, query[0]), limit)
