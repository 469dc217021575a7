"""Search: one straight line from words to an answer.

words -> vector -> photos that may matter (the shards say where to look; what no shard holds is looked at whole) ->
scores from the catalog's own vectors -> ranking -> bar -> sightings -> verdict.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from archive import ranking, sightings, verdicts
from archive.errors import ArchiveError, CatalogDamaged
from archive.types import ORDINAL_BITS, Answer, Hit, Searched, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from archive.catalog.reader import CatalogReader
    from archive.protocols import TextEmbedder, VectorIndex
    from archive.ranking import Scores
    from archive.types import Ids, Pack, Photo, Query, Vectors
    from archive.verdicts import Background

FIRST_REACH = 1024
"""Segments asked of the index at first; doubled until the answer can no longer change."""

LAST_REACH = 1 << 16

SAMPLED_PHOTOS = 512
"""Photos whose segments stand for the whole archive when a query's background is measured."""

_RUN = 8

_ALL_DAMAGED = "the vectors of every photo asked about are damaged; run: archive repair"


def search(
    query: Query,
    reader: CatalogReader,
    embedder: TextEmbedder,
    index: VectorIndex,
    remember: Callable[[str, str, Vectors], None],
) -> Answer:
    """Answer a query from the archive as the reader sees it, in one consistent state.

    A text that is embedded now is handed to `remember` with its space, so that the next time costs nothing.

    Raises:
        ArchiveError: nothing was ever ingested.
        CatalogDamaged: of all photos asked about, no vector can be trusted; single damaged ones are passed over.
    """
    answering = reader.answering()
    if answering is None:
        raise ArchiveError("the archive is empty; run `archive ingest FOLDER` first")
    pair_id, pair = answering
    allowed = reader.photos_between(query.after, query.before, query.camera)
    counts = reader.counts(pair_id, allowed.ids)
    searched = Searched(counts.photos, counts.segments, pair.space, allowed.untimed)
    if counts.photos == 0:
        return _empty(query, searched)

    began = perf_counter()
    vector = reader.text_vector(pair.space, query.text)
    if vector is None:
        vector = embedder.embed_text([query.text])
        remember(pair.space, query.text, vector)
    embedded = perf_counter()
    shelf = _Shelf(reader, index, pair_id, allowed.ids)
    scores, background = shelf.everything(vector) if query.everything else shelf.nearest(vector, query.limit)
    if len(scores.photos) == 0:
        raise CatalogDamaged(_ALL_DAMAGED)
    answer = _answer(query, replace(searched, damaged=len(reader.damaged)), scores, background, shelf, vector)
    took = {"embed": _ms(embedded - began), "search": _ms(perf_counter() - embedded)}
    return replace(answer, took_ms=took)


class _Shelf:
    """The packs of one pair that a query may look at, and the two ways to go through them."""

    def __init__(self, reader: CatalogReader, index: VectorIndex, pair_id: int, photos: Ids | None) -> None:
        self._reader = reader
        self._index = index
        self._pair_id = pair_id
        self._photos = photos
        self._penalties = verdicts.penalties(reader.marks())

    def packs_of(self, photos: Iterable[int]) -> dict[int, Pack]:
        """The packs of these photos, by photo id."""
        return self._reader.packs_of(self._pair_id, photos)

    def weighed(self, scores: Scores, background: Background) -> Scores:
        """The scores with marked photos lowered, by so many of the background's standard deviations."""
        return ranking.lowered(scores, self._penalties, background.scale)

    def photos(self, ids: Iterable[int]) -> dict[int, Photo]:
        """The photos of these ids, by id."""
        return self._reader.photos(ids)

    def everything(self, vector: Vectors) -> tuple[Scores, Background]:
        """Score every photo: exact, and as long as the archive is large."""
        packs = (pack for _, pack in self._reader.packs(self._pair_id, photos=self._photos))
        scores, background = ranking.score(packs, vector), self._background(vector)
        return self.weighed(scores, background), background

    def nearest(self, vector: Vectors, limit: int) -> tuple[Scores, Background]:
        """Score the photos that can be among the first `limit` or clear the bar.

        The index is asked for ever more segments until the last of them scores below both: no photo that it has not
        named can then stand higher, since a photo's score is at most its best segment's.
        """
        if len(self._index) == 0:
            return self.everything(vector)
        background = self._background(vector)
        scores = self.weighed(ranking.score(self._outside_shards(), vector), background)
        bar = background.score_at(verdicts.MAYBE_AT)
        reach = FIRST_REACH
        while True:
            matches = self._index.search(vector, reach, self._photos)
            named = np.unique(np.array([match.segment for match in matches], dtype=np.int64) >> ORDINAL_BITS)
            fresh = np.setdiff1d(named, scores.photos)
            found = ranking.score(self.packs_of(fresh).values(), vector)
            scores = ranking.join([scores, self.weighed(found, background)])
            if len(matches) < reach or reach >= LAST_REACH:
                return scores, background
            if matches[-1].score < min(bar, _kth(scores, limit)):
                return scores, background
            reach *= 2

    def _outside_shards(self) -> Iterator[Pack]:
        """The packs that the index cannot search: in no shard, or in a damaged one."""
        for _, pack in self._reader.unsealed_packs(self._pair_id, self._photos):
            yield pack
        for shard in self._index.broken:
            packs = self._reader.packs(self._pair_id, shard.first_pack - 1, self._photos, shard.last_pack)
            for _, pack in packs:
                yield pack

    def _background(self, vector: Vectors) -> Background:
        """How the query scores against the whole archive, whatever part of it is asked about.

        A thing that fills the chosen hour must not become its own background.
        """
        segments = ranking.score(self._sample(), vector).segments
        if len(segments) == 0:
            raise CatalogDamaged(_ALL_DAMAGED)
        return verdicts.background(segments)

    def _sample(self) -> Iterator[Pack]:
        """Packs spread evenly over the archive; all of them while they are so few that no shard holds any."""
        shards = self._reader.shards(self._pair_id)
        if not shards:
            for _, pack in self._reader.packs(self._pair_id):
                yield pack
            return
        for start in np.linspace(0, shards[-1].last_pack, SAMPLED_PHOTOS // _RUN, endpoint=False, dtype=np.int64):
            for _, pack in islice(self._reader.packs(self._pair_id, int(start)), _RUN):
                yield pack


def _kth(scores: Scores, limit: int) -> float:
    """The score of the photo at rank `limit`; below every score while there are fewer."""
    if len(scores.fused) < limit:
        return -np.inf
    return float(np.partition(scores.fused, -limit)[-limit])


def _answer(
    query: Query, searched: Searched, scores: Scores, background: Background, shelf: _Shelf, vector: Vectors
) -> Answer:
    verdict = verdicts.judge(background.height(float(scores.best.max())))
    order = scores.ranked()
    cleared = scores.best[order] >= background.score_at(verdicts.MAYBE_AT)
    listed = order if query.everything else order[cleared]
    # When something is surely seen, only sure photos say when: "last seen" must not rest on a doubtful one.
    sighted = scores.best[listed] >= background.score_at(verdicts.bar(verdict))
    hits = _hits(listed, sighted | (np.arange(len(listed)) < query.limit), scores, background, shelf)
    seen = sightings.group(hit for hit in hits if sighted[hit.rank - 1])
    best = hits[:1] or _hits(order[:1], np.ones(1, bool), scores, background, shelf)
    shown = [hit for hit in hits if hit.rank <= query.limit]
    explained = _explained({hit.rank: hit for hit in [*best, *shown, *(one.hit for one in seen)]}, shelf, vector)
    return Answer(
        query=query,
        verdict=verdict,
        searched=searched,
        hits=tuple(explained[hit.rank] for hit in shown),
        sightings=tuple(replace(one, hit=explained[one.best]) for one in seen),
        best=explained[1],
    )


def _hits(
    listed: NDArray[np.intp], wanted: NDArray[np.bool_], scores: Scores, background: Background, shelf: _Shelf
) -> list[Hit]:
    """The wanted photos of a ranking, as hits that do not yet show their boxes."""
    ranks = np.flatnonzero(wanted)
    photos = shelf.photos(scores.photos[listed[ranks]])
    hits = []
    for rank in ranks:
        place = listed[rank]
        hits.append(
            Hit(
                rank=int(rank) + 1,
                score=float(scores.fused[place]),
                probability=verdicts.probability(background.height(float(scores.best[place]))),
                photo=photos[int(scores.photos[place])],
                boxes=(),
            )
        )
    return hits


def _explained(hits: dict[int, Hit], shelf: _Shelf, vector: Vectors) -> dict[int, Hit]:
    """The same hits by rank, with their boxes."""
    packs = shelf.packs_of(np.array([hit.photo.id for hit in hits.values()], dtype=np.int64))
    return {rank: replace(hit, boxes=ranking.boxes(packs[hit.photo.id], vector)) for rank, hit in hits.items()}


def _empty(query: Query, searched: Searched) -> Answer:
    return Answer(query, Verdict.EMPTY, searched, (), ())


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
