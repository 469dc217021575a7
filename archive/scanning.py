"""Scanning: going through what one pair has seen, by the index where it can, by brute force where it must."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive import ranking, verdicts
from archive.errors import CatalogDamaged
from archive.kept import Content, Found, Kept
from archive.types import MAX_SEGMENTS, ORDINAL_BITS, Reached

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from numpy.typing import NDArray

    from archive.catalog.reader import CatalogReader
    from archive.kept import Slot
    from archive.probes import Probes
    from archive.protocols import VectorIndex
    from archive.ranking import Scores
    from archive.types import Ids, Pack, Photo, Shard, Vectors

MOST_NAMED = 1 << 20
"""Segments that the index names at the most; a photo that has none of the nearest so many is not found."""

MOST_SCORED = 4096
"""Photos whose packs are read where an index named them: of more, half are those that are likely to rank first, and
half the latest, which tell when a thing was last seen."""

FIRST_COMPARED, MOST_COMPARED = 256, 1 << 16
"""Segments that are compared with a picture at first, and at the most; four times as many until the last lies below the
bar."""

COMPARED_OFF = 0.01
"""How far the scores of a search that looks at stored vectors are off at the most."""

ALIKE_REACH, FRAMES_AT_ONCE = 2048, 64
"""Segments asked of the index where photos of one place are looked for, and how many of their frames are read at once.
"""

LIKELY = 64
"""Photos whose packs are read however low the index puts them, the likeliest: it may put what is rare too low."""

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
        self._frames: dict[int, NDArray[np.float32]] = {}

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
        known |= {photo: self._frames[photo] for photo in wanted & self._frames.keys()}
        return known | self._reader.frames_of(self._pair_id, sorted(wanted - known.keys()))

    def alike(self, photo: int, level: float, most: int) -> list[int]:
        """The photos whose whole frames are most alike that of a photo, with a cosine of at least `level`, best first.

        Those that the index names are read from the likeliest on, until no other can be one of so many.
        """
        frame = self.frames([photo])[photo]
        found = {pack.photo_id: float(pack.vectors[0] @ frame) for pack in self._outside_shards(self._photos)}
        if len(self._index):
            least = level - self._index.nearness
            named = self._index.reaching(frame[np.newaxis], least, ALIKE_REACH, self._photos, self._reader.wearers)
            named = named.only(_are_frames(named.segments))
            for start in range(0, len(named.segments), FRAMES_AT_ONCE):
                nearest = sorted(found.values())[-most:]
                if len(nearest) == most and nearest[0] > named.scores[start] + self._index.nearness:
                    break
                photos = set((named.segments[start : start + FRAMES_AT_ONCE] >> ORDINAL_BITS).tolist())
                found |= {other: float(row @ frame) for other, row in self.frames(photos - found.keys()).items()}
        near = sorted((-cosine, other) for other, cosine in found.items() if cosine >= level)
        return [other for _, other in near[:most]]

    def score(self, packs: Iterable[Pack], probes: Probes) -> Scores:
        """The scores of packs, marked photos lowered by so many of the background's standard deviations."""
        return self._lowered(ranking.score(packs, probes), probes)

    def _lowered(self, scores: Scores, probes: Probes) -> Scores:
        if not len(scores.photos):
            return scores
        penalties = verdicts.penalties(self._reader.marks(scores.photos))
        return ranking.lowered(scores, penalties, probes.background.scale)

    def everything(self, probes: Probes) -> Scores:
        """Score every photo: exact, and as long as the archive is large."""
        if not self._reader.shards(self._pair_id):
            return self.score(self._outside_shards(self._photos), probes)
        return self.score((pack for _, pack in self._reader.packs(self._pair_id, photos=self._photos)), probes)

    def nearest(self, probes: Probes, limit: int | None = None) -> Scores:
        """Score the photos that can clear the bar, and those that are likely to be the best of all where none does.

        The index names every segment that can clear it, and a photo's score is at most its best segment's. Below the
        bar nothing is proved: of what was never there a thousand photos show about as little. Of what is everywhere,
        only the best and the latest photos are scored (see `MOST_SCORED`). With a `limit`, and where one is surely
        seen, doubtful photos need not be scored but for those that can be among the best so many.
        """
        few = self._photos is not None and len(self._photos) <= SCANNED_WHOLE
        if few or len(self._index) == 0:
            return self.everything(probes)
        scores = self.score(self._outside_shards(self._photos), probes)
        off = COMPARED_OFF if probes.has_examples else self._index.nearness
        maybe, sure = (probes.background.score_at(bar) - off for bar in (verdicts.MAYBE_AT, verdicts.SEEN_AT))
        ask = self._compared if probes.has_examples else self._coded
        found = [ask(row[np.newaxis], maybe) for row in probes.rows]
        named = _named(found, has_examples=probes.has_examples)
        named = named.only(~np.isin(named.photos, scores.photos))
        clearing = self._best_and_latest(named.only(named.best >= maybe), sure)
        whole, likely = clearing.photos, named.photos[:LIKELY]
        if not probes.has_examples and not probes.negatives:
            segments = found[0].only(found[0].scores >= maybe).segments
            scores, whole = self._by_segments(scores, clearing, segments, probes, sure, limit)
            # Where none clears the bar, the best of those that might have is told all the same.
            has_cleared = (scores.best >= probes.background.score_at(verdicts.MAYBE_AT)).any()
            likely = likely[~np.isin(likely, clearing.photos if has_cleared else scores.photos)]
        packs = self.packs_of(np.union1d(whole, likely).tolist())
        scores = ranking.join([scores, self.score(packs.values(), probes)])
        # All that the index names may be damaged, or erased since it was written.
        return scores if len(scores.photos) else self.everything(probes)

    def _by_segments(
        self, scores: Scores, clearing: _Named, segments: Ids, probes: Probes, sure: float, limit: int | None
    ) -> tuple[Scores, Ids]:
        """Those scores and more that the named segments tell, and the photos of which all of their packs is needed.

        First come the photos that may be sure and those that may rank first.
        """
        first = clearing.best >= sure
        first[:limit] = True
        told, whole = self._told(clearing.photos[first], segments, probes)
        scores = ranking.join([scores, told])
        rest = ~first
        if limit is not None and (scores.best >= probes.background.score_at(verdicts.SEEN_AT)).any():
            rest &= clearing.most >= ranking.last_of(scores.fused, limit)
        told, others = self._told(clearing.photos[rest], segments, probes)
        return ranking.join([scores, told]), np.concatenate([whole, others])

    def _told(self, photos: Ids, named: Ids, probes: Probes) -> tuple[Scores, Ids]:
        """The scores of photos as far as their frames and their `named` segments tell them, for words.

        A photo's best segment is named where it clears the bar. Of the others some may clear it by their frames, or are
        damaged: they come second, and all of their packs is needed.
        """
        photos = np.sort(photos)
        named = named[np.isin(named >> ORDINAL_BITS, photos)]
        wanted = np.union1d(photos << ORDINAL_BITS, named)
        segments, vectors = self._reader.vectors_of(self._pair_id, self._index.dim, wanted)
        cosines, places = probes.measure(vectors).cosines, np.searchsorted(photos, segments >> ORDINAL_BITS)
        whole = _are_frames(segments)
        frame, segment = (np.full(len(photos), -np.inf, np.float32) for _ in range(2))
        frame[places[whole]] = cosines[whole]
        np.maximum.at(segment, places[~whole], cosines[~whole])
        self._frames |= dict(zip((segments[whole] >> ORDINAL_BITS).tolist(), vectors[whole], strict=True))
        bar = probes.background.score_at(verdicts.MAYBE_AT)
        is_there = np.isfinite(frame)
        told = is_there & (segment >= bar)
        unsure = ~is_there | ~told & (frame >= bar)
        scores = ranking.of_words(photos[told], frame[told], segment[told])
        return self._lowered(scores, probes), photos[unsure]

    def _coded(self, vector: Vectors, least: float) -> Reached:
        """The segments that score so much with the vector (1, dim) of words, and some of the nearest."""
        return self._index.reaching(vector, least, MOST_NAMED, self._photos, self._reader.wearers)

    def _compared(self, vector: Vectors, least: float) -> Reached:
        """The same for the vector of a picture: an index that is made for words tells pictures apart poorly."""
        count = FIRST_COMPARED
        while True:
            matches = self._index.search(vector, count, self._photos, self._reader.wearers)
            if count >= MOST_COMPARED or len(matches) < count or matches[-1].score < least:
                segments, scores = zip(*matches, strict=True) if matches else ((), ())
                return Reached(np.array(segments, np.int64), np.array(scores, np.float32))
            count *= 4

    def _best_and_latest(self, clearing: _Named, sure: float) -> _Named:
        """All photos that can clear the bar, or so many of them, the latest of those that score `sure` among them."""
        if len(clearing.photos) <= MOST_SCORED:
            return clearing
        seen = clearing.only(clearing.best >= sure)
        telling = (seen if len(seen.photos) else clearing).photos.tolist()
        latest = np.array(self._reader.latest(telling, MOST_SCORED // 2), np.int64)
        chosen = np.isin(clearing.photos, latest)
        chosen[: MOST_SCORED // 2] = True
        return clearing.only(chosen)

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

    best  float32 (p,): their nearest segment of all
    most  float32 (p,): the most that they can be ranked by
    """

    photos: Ids
    best: NDArray[np.float32]
    most: NDArray[np.float32]

    def only(self, which: NDArray[np.bool_] | NDArray[np.intp] | slice) -> _Named:
        """Some of them."""
        return _Named(self.photos[which], self.best[which], self.most[which])


def _are_frames(segments: Ids) -> NDArray[np.bool_]:
    frames: NDArray[np.bool_] = segments & (MAX_SEGMENTS - 1) == 0
    return frames


def _named(found: list[Reached], *, has_examples: bool) -> _Named:
    segments = np.concatenate([one.segments for one in found])
    scores = np.concatenate([one.scores for one in found])
    last = max((float(one.scores[-1]) for one in found if len(one.scores)), default=-np.inf)
    photos, places = np.unique(segments >> ORDINAL_BITS, return_inverse=True)
    frame, segment = (np.full(len(photos), -np.inf, np.float32) for _ in range(2))
    is_frame = _are_frames(segments)
    np.maximum.at(frame, places[is_frame], scores[is_frame])
    np.maximum.at(segment, places[~is_frame], scores[~is_frame])
    best = np.maximum(frame, segment)
    # Of a photo with no segment but its frame, the frame is all of the score. What was not named is at most the last.
    mixed = np.where(np.isneginf(segment), frame, ranking.fused(np.maximum(frame, np.float32(last)), segment))
    most = best if has_examples else mixed
    return _Named(photos, best, most).only(np.lexsort((-photos, -most)))
