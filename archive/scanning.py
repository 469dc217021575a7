"""Scanning: going through what one pair has seen, by the index where it can, by brute force where it must."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive import ranking, verdicts
from archive.errors import CatalogDamaged
from archive.kept import Content, Found, Kept
from archive.types import MAX_SEGMENTS, ORDINAL_BITS, ordinal_of, photo_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from numpy.typing import NDArray

    from archive.catalog.reader import CatalogReader
    from archive.kept import Slot
    from archive.probes import Probes
    from archive.protocols import VectorIndex
    from archive.ranking import Scores
    from archive.types import Ids, Match, Pack, Photo, Shard, Vectors

FIRST_REACH = 256
"""Segments asked of the index at first; four times as many until the answer can no longer change.

The index reads the stored vectors of twice as many: of 1,024 it takes longer than all else that a question costs, and
most questions are answered by far fewer.
"""

LAST_REACH = 1 << 16

ALIKE_REACH = 1024
"""Segments asked of the index where photos of one place are looked for."""

FIRST_SCORED = 64
"""Photos below the bar that are read first, of those that the index names; then twice as many, while they matter."""

NEARNESS = 0.01
"""How far a score of the index may lie from the catalog's own: 8 bits for each number are some thousandths off."""

SAMPLED_PHOTOS = 512
"""Photos whose segments stand for the whole archive when a query's background is measured."""

ALL_DAMAGED = "the vectors of every photo asked about are damaged; run: archive repair"

SCANNED_WHOLE = 512
"""Photos asked about, up to which their packs are looked through without the index: so many take few milliseconds."""

MOST_READ = 2048
"""Packs of one question that stay at hand until it is answered: those that clear the bar are wanted again."""

MOST_KEPT = 1 << 16
"""Vectors outside every shard that are kept decoded from one question to the next; 64 MB at 256 dimensions."""

_RUN = 8


class Scan:
    """The packs of one pair that a query may look at, and the ways to go through them."""

    def __init__(
        self, reader: CatalogReader, index: VectorIndex, pair_id: int, photos: Ids | None, kept: Kept | None = None
    ) -> None:
        self._reader = reader
        self._index = index
        self._pair_id = pair_id
        self._photos = photos
        self._kept = kept or Kept()
        self._read: dict[int, Pack] = {}

    def within(self, photos: Ids) -> Scan:
        """The same, among these photos (sorted ids) only."""
        return Scan(self._reader, self._index, self._pair_id, photos, self._kept)

    def packs_of(self, photos: Iterable[int]) -> dict[int, Pack]:
        """The packs of these photos, by photo id."""
        wanted = set(photos)
        missing = self._reader.packs_of(self._pair_id, sorted(wanted - self._read.keys()))
        if len(self._read) + len(missing) <= MOST_READ:
            self._read |= missing
        return missing | {photo: self._read[photo] for photo in wanted & self._read.keys()}

    def photos(self, ids: Iterable[int]) -> dict[int, Photo]:
        """The photos of these ids, by id."""
        return self._reader.photos(ids)

    def frames(self, photos: Iterable[int]) -> dict[int, NDArray[np.float32]]:
        """The vectors (dim,) of whole photos, by photo id."""
        wanted = set(photos)
        known = {photo: self._read[photo].vectors[0] for photo in wanted & self._read.keys()}
        return known | self._reader.frames_of(self._pair_id, sorted(wanted - known.keys()))

    def alike(self, photo: int, level: float) -> list[tuple[int, float]]:
        """Photos whose whole frame has at least this cosine with that of a photo, the most alike first."""
        frame = self.frames([photo])[photo][np.newaxis]
        found = {pack.photo_id: float(pack.vectors[0] @ frame[0]) for pack in self._outside_shards(self._photos)}
        if len(self._index):
            for match in self._search(frame, ALIKE_REACH):
                if ordinal_of(match.segment) == 0:
                    found[photo_of(match.segment)] = match.score
        near = [(other, cosine) for other, cosine in found.items() if cosine >= level]
        return sorted(near, key=lambda one: (-one[1], one[0]))

    def score(self, packs: Iterable[Pack], probes: Probes) -> Scores:
        """The scores of packs, marked photos lowered by so many of the background's standard deviations."""
        scores = ranking.score(packs, probes)
        penalties = verdicts.penalties(self._reader.marks(scores.photos))
        return ranking.lowered(scores, penalties, probes.background.scale)

    def everything(self, probes: Probes) -> Scores:
        """Score every photo: exact, and as long as the archive is large."""
        if not self._reader.shards(self._pair_id):
            return self.score(self._outside_shards(self._photos), probes)
        return self.score((pack for _, pack in self._reader.packs(self._pair_id, photos=self._photos)), probes)

    def nearest(self, probes: Probes) -> Scores:
        """Score the photos that can clear the bar or be the best of all.

        The index is asked for ever more segments until the last of them scores below both: no photo that it has not
        named can then stand higher, since a photo's score is at most its best segment's.
        """
        few = self._photos is not None and len(self._photos) <= SCANNED_WHOLE
        if few or len(self._index) == 0:
            return self.everything(probes)
        scores = self.score(self._outside_shards(self._photos), probes)
        bar = probes.background.score_at(verdicts.MAYBE_AT)
        reach = FIRST_REACH
        while True:
            found = [self._search(row[np.newaxis], reach) for row in probes.rows]
            scores = self._join_found(scores, found, probes, bar)
            if reach >= LAST_REACH or any(len(matches) < reach for matches in found):
                return scores
            if max(matches[-1].score for matches in found) < _least(scores, bar):
                return scores
            reach *= 4

    def _join_found(self, scores: Scores, found: list[list[Match]], probes: Probes, bar: float) -> Scores:
        """Scores and those of the photos that the index has named, as far as they clear the bar or are best of all."""
        named = _named(found, has_examples=probes.has_examples)
        named = named.only(~np.isin(named.photos, scores.photos))
        clears = named.best >= bar - NEARNESS
        scores = self._join(scores, named.photos[clears], probes)
        return self._join_best(scores, named.only(~clears), probes)

    def _join_best(self, scores: Scores, named: _Named, probes: Probes) -> Scores:
        """Scores and those of named photos that may be better than all of them, the likeliest first.

        Half of a score is the frame's, which is read first: it is little, and tells most of them off.
        """
        start, count = 0, FIRST_SCORED
        while start < len(named.photos) and named.most[start] >= _best(scores):
            some = named.only(slice(start, start + count))
            photos = some.photos[self._most(some, probes) >= _best(scores)]
            scores = self._join(scores, photos, probes)
            start, count = start + count, 2 * count
        return scores

    def _most(self, named: _Named, probes: Probes) -> NDArray[np.float32]:
        """The most that each photo can score, its frame being what it is."""
        if probes.has_examples:
            return named.most
        frames = self.frames(named.photos.tolist())
        present = np.array([photo in frames for photo in named.photos.tolist()], bool)
        most = np.full(len(present), -np.inf, np.float32)
        rows = np.array([frames[photo] for photo in named.photos[present].tolist()], np.float32)
        if len(rows):
            most[present] = ranking.fused(probes.measure(rows).unjudged, named.segment[present])
        return np.where(np.isneginf(named.segment), named.most, most)

    def _join(self, scores: Scores, photos: Ids, probes: Probes) -> Scores:
        if not len(photos):
            return scores
        return ranking.join([scores, self.score(self.packs_of(photos.tolist()).values(), probes)])

    def sample(self) -> Vectors:
        """Segments (n, dim) of photos spread evenly over the whole archive, whatever part of it is asked about.

        A thing that fills the chosen hour must not become its own background. They are all there are while they are so
        few that no shard holds any, and those outside the shards where all that a shard holds were erased.

        Raises:
            CatalogDamaged: no vector of them can be trusted.
        """
        sampled = self._kept_while(self._kept.sample, self._sampled_from(), self._sampled)
        if not len(sampled):
            raise CatalogDamaged(ALL_DAMAGED)
        return sampled

    def _sampled_from(self) -> Hashable:
        """What the sample depends on; None where nothing tells whether it is the same as before."""
        tally, shards = self._reader.tally(self._pair_id), self._reader.shards(self._pair_id)
        if tally is None:
            return None
        if not shards:
            return (self._pair_id, tally.changed)
        # New packs come after those of every shard: what is sampled stays until one is erased.
        return (self._pair_id, tally.erased, shards[0].first_pack, shards[-1].last_pack)

    def _sampled(self) -> Vectors:
        packs = list(self._spread(self._reader.shards(self._pair_id))) or list(self._outside_shards(None))
        return np.concatenate([np.empty((0, self._index.dim), np.float32), *(pack.vectors for pack in packs)])

    def _search(self, vector: Vectors, limit: int) -> list[Match]:
        return self._index.search(vector, limit, self._photos, self._reader.wearers)

    def _spread(self, shards: list[Shard]) -> Iterator[Pack]:
        """Packs in runs at even distances over all that the shards cover."""
        if not shards:
            return
        edges = np.linspace(shards[0].first_pack - 1, shards[-1].last_pack, SAMPLED_PHOTOS // _RUN + 1, dtype=np.int64)
        for before, last in pairwise(edges.tolist()):
            yield from self._reader.first_packs(self._pair_id, before, last, _RUN)

    def _outside_shards(self, photos: Ids | None) -> Iterator[Pack]:
        """The packs that the index cannot search, in no shard or in a damaged one; with `photos`, only theirs."""
        yield from self._unsealed(photos)
        for shard in self._index.broken:
            packs = self._reader.packs(self._pair_id, shard.first_pack - 1, photos, shard.last_pack)
            for _, pack in packs:
                yield pack

    def _unsealed(self, photos: Ids | None) -> Iterator[Pack]:
        tally, shards = self._reader.tally(self._pair_id), tuple(self._reader.shards(self._pair_id))
        vectors = sum(span.vectors for span in self._reader.unsealed(self._pair_id))
        if tally is None or vectors > MOST_KEPT:
            for _, pack in self._reader.unsealed_packs(self._pair_id, photos):
                yield pack
            return
        packs = self._kept_while(
            self._kept.outside,
            (self._pair_id, tally.changed, shards),
            lambda: [pack for _, pack in self._reader.unsealed_packs(self._pair_id)],
        )
        allowed = None if photos is None else set(photos.tolist())
        for pack in packs:
            if allowed is None or pack.photo_id in allowed:
                yield pack

    def _kept_while(self, slot: Slot[Content], made_from: Hashable, read: Callable[[], Content]) -> Content:
        """What was read when things stood like that, or what is read now; altered packs count as met either way."""

        def met() -> Found[Content]:
            before, self._reader.damaged = self._reader.damaged, set()
            try:
                return Found(read(), frozenset(self._reader.damaged))
            finally:
                self._reader.damaged = before

        found = met() if made_from is None else slot.get(made_from, met)
        self._reader.damaged |= found.damaged
        return found.content


class _Named(NamedTuple):
    """What the index says of photos, those first that can score most.

    best     float32 (p,): their nearest segment of all
    segment  float32 (p,): their nearest segment but the frame; minus infinity where only the frame was named
    most     float32 (p,): the most that they can score, if what was not named is no nearer than the last that was
    """

    photos: Ids
    best: NDArray[np.float32]
    segment: NDArray[np.float32]
    most: NDArray[np.float32]

    def only(self, which: NDArray[np.bool_] | NDArray[np.intp] | slice) -> _Named:
        """Some of them."""
        return _Named(self.photos[which], self.best[which], self.segment[which], self.most[which])


def _named(found: list[list[Match]], *, has_examples: bool) -> _Named:
    segments = np.array([match.segment for matches in found for match in matches], np.int64)
    scores = np.array([match.score for matches in found for match in matches], np.float32)
    last = max((matches[-1].score for matches in found if matches), default=-np.inf)
    photos, places = np.unique(segments >> ORDINAL_BITS, return_inverse=True)
    frame, segment = (np.full(len(photos), -np.inf, np.float32) for _ in range(2))
    is_frame = segments & (MAX_SEGMENTS - 1) == 0
    np.maximum.at(frame, places[is_frame], scores[is_frame])
    np.maximum.at(segment, places[~is_frame], scores[~is_frame])
    best = np.maximum(frame, segment)
    # Of a photo with no segment but its frame, the frame is all of the score.
    mixed = np.where(np.isneginf(segment), frame, ranking.fused(np.maximum(frame, np.float32(last)), segment))
    named = _Named(photos, best, segment, best if has_examples else mixed)
    return named.only(np.lexsort((-named.photos, -named.most)))


def _best(scores: Scores) -> float:
    """What the index must say of a photo at least for it to be better than all of these."""
    return float(scores.fused.max(initial=-np.inf)) - NEARNESS


def _least(scores: Scores, bar: float) -> float:
    """What the index must say of a photo at least for it to matter: to clear the bar, or to be the best of all."""
    return min(bar - NEARNESS, _best(scores))
