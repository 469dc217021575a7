"""Search: one straight line from a question to an answer.

words and examples -> probes -> photos that may matter (the shards say where to look; what no shard holds is looked at
whole) -> scores from the catalog's own vectors -> ranking -> bar -> sightings -> verdict.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive import aftermath, probes, ranking, sightings, verdicts
from archive.errors import ArchiveError, CatalogDamaged
from archive.scanning import ALL_DAMAGED, Scan
from archive.types import Answer, Example, Hit, Searched, Sort, Used, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from archive.aftermath import Compare
    from archive.catalog.reader import CatalogReader
    from archive.kept import Kept
    from archive.probes import Probes
    from archive.protocols import TextEmbedder, VectorIndex
    from archive.ranking import Scores
    from archive.things import Thing
    from archive.types import Pack, Query, Sighting, Vectors
    from archive.verdicts import Calibration

    Remember = Callable[[str, str, Vectors], None]


SIGHTINGS_TOLD = 50
"""Sightings that an answer tells, the latest, unless everything is asked for: of what is seen daily there are hundreds,
and to read what each shows takes longer than all else."""


class _LaidOut(NamedTuple):
    """What an answer is made of: the hits to show, the sightings, and by rank all the hits that show boxes."""

    verdict: Verdict
    shown: list[Hit]
    sightings: tuple[Sighting, ...]
    sightings_in_all: int
    boxed: dict[int, Hit]


def search(
    query: Query,
    reader: CatalogReader,
    embedder: TextEmbedder,
    index: VectorIndex,
    remember: Remember,
    examples: Sequence[Example] = (),
    compare: Compare | None = None,
    calibration: Calibration = verdicts.UNMEASURED,
    kept: Kept | None = None,
) -> Answer:
    """Answer a query from the archive as the reader sees it, in one consistent state.

    `examples` are pictures of what is asked for, in the space that answers. A text that is embedded now is handed to
    `remember` with its space, so that the next time costs nothing. With `compare` later photos of the place of the last
    sighting are looked at, too. `calibration` says what scores mean in that space. What is `kept` is read once for many
    questions.

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
    searched = Searched(counts.photos, counts.segments, pair.space, pair.name, allowed.untimed)
    if counts.photos == 0:
        return _empty(query, searched)

    began = perf_counter()
    negatives = _embedded(query.negatives, reader, embedder, remember)
    words = _embedded([query.text] if query.text else [], reader, embedder, remember)
    things = [thing for thing in reader.things(pair.space) if probes.names(query.text, thing.name)]
    embedded = perf_counter()
    scan = Scan(reader, index, pair_id, allowed.ids, kept)
    shown = [*examples, *_exemplars(things)]
    sampled = shown or query.explain or not calibration.ignores_background
    asked = probes.compose(
        words[0] if words else None, shown, negatives, scan.sample() if sampled else None, calibration
    )
    answer = _answer(query, searched, scan, asked)
    answer = answer._replace(searched=searched._replace(damaged=len(reader.damaged)))
    if compare and answer.sightings and answer.sightings[0].last:
        later = reader.photos_between(answer.sightings[0].last + sightings.GAP, query.before).ids
        if later is not None:
            answer = answer._replace(since=aftermath.after(answer.sightings[0], later, scan, asked, compare))
    took = {"embed": _ms(embedded - began), "search": _ms(perf_counter() - embedded)}
    return answer._replace(taught=tuple(map(_used, things)), took_ms=took)


def _exemplars(things: Sequence[Thing]) -> list[Example]:
    return [
        Example(f"{thing.name} #{number}", one.vector)
        for thing in things
        for number, one in enumerate(thing.exemplars, 1)
        if one.vector is not None
    ]


def _used(thing: Thing) -> Used:
    ready = sum(one.vector is not None for one in thing.exemplars)
    return Used(thing.name, ready, len(thing.exemplars) - ready)


def _embedded(texts: Sequence[str], reader: CatalogReader, embedder: TextEmbedder, remember: Remember) -> list[Example]:
    """Texts with their vectors: those that were asked before need no tower."""
    found = []
    for text in texts:
        vector = reader.text_vector(embedder.space, text)
        if vector is None:
            vector = embedder.embed_text([text])
            remember(embedder.space, text, vector)
        found.append(Example(text, vector))
    return found


def _answer(query: Query, searched: Searched, scan: Scan, asked: Probes) -> Answer:
    """What the scores amount to.

    A photo whose pack proves damaged when its boxes are read counts no more. What was left out for its sake is scored.
    """
    limit = None if query.sort is Sort.NEWEST else query.limit
    scores = scan.everything(asked) if query.everything else scan.nearest(asked, limit)
    lost: set[int] = set()
    while len(scores.photos):
        laid_out = _laid_out(query, scores, scan, asked)
        shown = {hit.photo.id for hit in laid_out.boxed.values()}
        packs = scan.packs_of(shown)
        if len(packs) == len(shown):
            return _told(query, searched, laid_out, packs, asked)
        lost |= shown - packs.keys()
        scores = (scores if query.everything else scan.nearest(asked)).without(lost)
    raise CatalogDamaged(ALL_DAMAGED)


def _laid_out(query: Query, scores: Scores, scan: Scan, asked: Probes) -> _LaidOut:
    background = asked.background
    verdict = verdicts.judge(background.height(float(scores.best.max())))
    order = scores.ranked()
    cleared = scores.best[order] >= background.score_at(verdicts.MAYBE_AT)
    listed = order if query.everything else order[cleared]
    # When something is surely seen, only sure photos say when: "last seen" must not rest on a doubtful one.
    sighted = scores.best[listed] >= background.score_at(verdicts.bar(verdict))
    wanted = sighted | (np.arange(len(listed)) < query.limit) | (query.sort is Sort.NEWEST)
    hits = _hits(listed, wanted, scores, scan, asked)
    seen = _sightings([hit for hit in hits if sighted[hit.rank - 1]], scan)
    best = hits[:1] or _hits(order[:1], np.ones(1, bool), scores, scan, asked)
    shown = _sorted(hits, query.sort)[: query.limit]
    told = seen if query.everything else seen[:SIGHTINGS_TOLD]
    boxed = {hit.rank: hit for hit in [*best, *shown, *(one.hit for one in told)]}
    return _LaidOut(verdict, shown, told, len(seen), boxed)


def _told(query: Query, searched: Searched, laid_out: _LaidOut, packs: Mapping[int, Pack], asked: Probes) -> Answer:
    boxed = _boxed(laid_out.boxed, packs, query, asked)
    return Answer(
        query=query,
        verdict=laid_out.verdict,
        searched=searched,
        hits=tuple(boxed[hit.rank] for hit in laid_out.shown),
        sightings=tuple(one._replace(hit=boxed[one.best]) for one in laid_out.sightings),
        sightings_in_all=laid_out.sightings_in_all,
        best=boxed[1],
    )


def _sightings(hits: list[Hit], scan: Scan) -> tuple[Sighting, ...]:
    frames = scan.frames(hit.photo.id for hit in hits)

    def alike(one: Hit, other: Hit) -> float:
        return float(frames[one.photo.id] @ frames[other.photo.id])

    return sightings.group(hits, alike)


def _hits(listed: NDArray[np.intp], wanted: NDArray[np.bool_], scores: Scores, scan: Scan, asked: Probes) -> list[Hit]:
    """The wanted photos of a ranking, as hits that do not yet show their boxes."""
    ranks = np.flatnonzero(wanted)
    photos = scan.photos(scores.photos[listed[ranks]])
    hits = []
    for rank in ranks:
        place = listed[rank]
        hits.append(
            Hit(
                rank=int(rank) + 1,
                score=float(scores.fused[place]),
                probability=verdicts.probability(asked.background.height(float(scores.best[place]))),
                photo=photos[int(scores.photos[place])],
                boxes=(),
            )
        )
    return hits


def _sorted(hits: list[Hit], sort: Sort) -> list[Hit]:
    """Hits in the order that was asked for; those of unknown time come last among the newest."""
    if sort is Sort.RELEVANCE:
        return hits
    timed = [(hit.photo.captured_at, -hit.rank, hit) for hit in hits if hit.photo.captured_at is not None]
    timed.sort(key=lambda one: one[:2], reverse=True)
    return [*(hit for _, _, hit in timed), *(hit for hit in hits if hit.photo.captured_at is None)]


def _boxed(hits: Mapping[int, Hit], packs: Mapping[int, Pack], query: Query, asked: Probes) -> dict[int, Hit]:
    """The same hits by rank, with their boxes, and with their reasons where those were asked for."""
    boxes = ranking.boxes([packs[hit.photo.id] for hit in hits.values()], asked)
    return {
        rank: hit._replace(boxes=shown, why=ranking.why(packs[hit.photo.id], asked) if query.explain else None)
        for (rank, hit), shown in zip(hits.items(), boxes, strict=True)
    }


def _empty(query: Query, searched: Searched) -> Answer:
    return Answer(query, Verdict.EMPTY, searched, hits=(), sightings=())


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
