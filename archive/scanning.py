"""Scanning: going through what one pair has seen, by the index where it can, by brute force where it must."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from archive import ranking, verdicts
from archive.errors import CatalogDamaged
from archive.types import ORDINAL_BITS, ordinal_of, photo_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from archive.catalog.reader import CatalogReader
    from archive.probes import Probes
    from archive.protocols import VectorIndex
    from archive.ranking import Scores
    from archive.types import Ids, Match, Pack, Photo, Vectors

FIRST_REACH = 1024
"""Segments asked of the index at first; doubled until the answer can no longer change."""

LAST_REACH = 1 << 16

SAMPLED_PHOTOS = 512
"""Photos whose segments stand for the whole archive when a query's background is measured."""

ALL_DAMAGED = "the vectors of every photo asked about are damaged; run: archive repair"

_RUN = 8


class Scan:
    """The packs of one pair that a query may look at, and the ways to go through them."""

    def __init__(self, reader: CatalogReader, index: VectorIndex, pair_id: int, photos: Ids | None) -> None:
        self._reader = reader
        self._index = index
        self._pair_id = pair_id
        self._photos = photos
        self._penalties = verdicts.penalties(reader.marks())

    def within(self, photos: Ids) -> Scan:
        """The same, among these photos (sorted ids) only."""
        return Scan(self._reader, self._index, self._pair_id, photos)

    def packs_of(self, photos: Iterable[int]) -> dict[int, Pack]:
        """The packs of these photos, by photo id."""
        return self._reader.packs_of(self._pair_id, photos)

    def photos(self, ids: Iterable[int]) -> dict[int, Photo]:
        """The photos of these ids, by id."""
        return self._reader.photos(ids)

    def frames(self, photos: Iterable[int]) -> dict[int, NDArray[np.float32]]:
        """The vectors (dim,) of whole photos, by photo id."""
        return self._reader.frames_of(self._pair_id, photos)

    def alike(self, photo: int, level: float) -> list[tuple[int, float]]:
        """Photos whose whole frame has at least this cosine with that of a photo, the most alike first."""
        frame = self.frames([photo])[photo][np.newaxis]
        found = {pack.photo_id: float(pack.vectors[0] @ frame[0]) for pack in self._outside_shards()}
        if len(self._index):
            for match in self._search(frame, FIRST_REACH):
                if ordinal_of(match.segment) == 0:
                    found[photo_of(match.segment)] = match.score
        near = [(other, cosine) for other, cosine in found.items() if cosine >= level]
        return sorted(near, key=lambda one: (-one[1], one[0]))

    def score(self, packs: Iterable[Pack], probes: Probes) -> Scores:
        """The scores of packs, marked photos lowered by so many of the background's standard deviations."""
        return ranking.lowered(ranking.score(packs, probes), self._penalties, probes.background.scale)

    def everything(self, probes: Probes) -> Scores:
        """Score every photo: exact, and as long as the archive is large."""
        return self.score((pack for _, pack in self._reader.packs(self._pair_id, photos=self._photos)), probes)

    def nearest(self, probes: Probes, limit: int) -> Scores:
        """Score the photos that can be among the first `limit` or clear the bar.

        The index is asked for ever more segments until the last of them scores below both: no photo that it has not
        named can then stand higher, since a photo's score is at most its best segment's.
        """
        if len(self._index) == 0:
            return self.everything(probes)
        scores = self.score(self._outside_shards(), probes)
        bar = probes.background.score_at(verdicts.MAYBE_AT)
        reach = FIRST_REACH
        while True:
            found = [self._search(row[np.newaxis], reach) for row in probes.rows]
            fresh = np.setdiff1d(_photos_of(found), scores.photos)
            scores = ranking.join([scores, self.score(self.packs_of(fresh).values(), probes)])
            if reach >= LAST_REACH or any(len(matches) < reach for matches in found):
                return scores
            if max(matches[-1].score for matches in found) < min(bar, _kth(scores, limit)):
                return scores
            reach *= 2

    def sample(self) -> Vectors:
        """Segments (n, dim) of photos spread evenly over the whole archive, whatever part of it is asked about.

        A thing that fills the chosen hour must not become its own background. They are all there are while they are so
        few that no shard holds any, and those outside the shards where all that a shard holds were erased.

        Raises:
            CatalogDamaged: no vector of them can be trusted.
        """
        sampled = list(self._sampled()) or list(self._outside_shards())
        if not sampled:
            raise CatalogDamaged(ALL_DAMAGED)
        return np.concatenate([pack.vectors for pack in sampled])

    def _search(self, vector: Vectors, limit: int) -> list[Match]:
        return self._index.search(vector, limit, self._photos, self._reader.wearers)

    def _sampled(self) -> Iterator[Pack]:
        shards = self._reader.shards(self._pair_id)
        if not shards:
            for _, pack in self._reader.packs(self._pair_id):
                yield pack
            return
        edges = np.linspace(shards[0].first_pack - 1, shards[-1].last_pack, SAMPLED_PHOTOS // _RUN + 1, dtype=np.int64)
        for before, last in pairwise(edges.tolist()):
            yield from self._reader.first_packs(self._pair_id, before, last, _RUN)

    def _outside_shards(self) -> Iterator[Pack]:
        """The packs that the index cannot search: in no shard, or in a damaged one."""
        for _, pack in self._reader.unsealed_packs(self._pair_id, self._photos):
            yield pack
        for shard in self._index.broken:
            packs = self._reader.packs(self._pair_id, shard.first_pack - 1, self._photos, shard.last_pack)
            for _, pack in packs:
                yield pack


def _photos_of(found: Iterable[list[Match]]) -> Ids:
    segments = [match.segment for matches in found for match in matches]
    return np.unique(np.array(segments, dtype=np.int64) >> ORDINAL_BITS)


def _kth(scores: Scores, limit: int) -> float:
    """The score of the photo at rank `limit`; below every score while there are fewer."""
    if len(scores.fused) < limit:
        return -np.inf
    return float(np.partition(scores.fused, -limit)[-limit])
