"""How an answer looks: as JSON for programs, as words for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from archive import moments
from archive.photos.names import printable
from archive.types import MAX_SEGMENTS, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archive.types import Answer, Box, Clue, Hit, Photo, Query, ScoredBox, Sighting, Since, Why

    Locate = Callable[[Photo], str]

SIGHTINGS_LISTED = 5


def instant(moment: datetime | None) -> str | None:
    """A moment as ISO 8601 in UTC, with a fraction only where there is one."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def as_object(answer: Answer, locate: Locate) -> dict[str, Any]:
    """The answer as the JSON object of the command line's contract; `locate` finds a photo's original."""
    query = answer.query
    return {
        "query": {
            "text": query.text,
            "limit": query.limit,
            "after": instant(query.after),
            "before": instant(query.before),
            "camera": query.camera,
            "all": query.everything,
            "not": list(query.negatives),
            "like": list(query.likes),
            "sort": query.sort.value,
        },
        "verdict": answer.verdict.value,
        "searched": {
            "photos": answer.searched.photos,
            "segments": answer.searched.segments,
            "space": answer.searched.space,
            "pair": answer.searched.pair,
            "untimed": answer.searched.untimed,
        },
        "hits": [_hit_object(hit, locate) for hit in answer.hits],
        "sightings": [_sighting_object(one, locate) for one in answer.sightings],
        "sightings_in_all": answer.sightings_in_all,
        "took_ms": answer.took_ms,
        "taught": [used._asdict() for used in answer.taught],
        "since": None if answer.since is None else _since_object(answer.since, locate),
        "best": None if answer.best is None else _hit_object(answer.best, locate),
    }


def as_words(answer: Answer, locate: Locate, now: datetime, *, photos: bool) -> Iterator[str]:
    """The answer as lines for a person: when and where it was last seen, then earlier; with `photos` each photo too."""
    if answer.verdict is Verdict.EMPTY:
        yield _nothing_there(answer, now)
        return
    if answer.sightings:
        yield from _last_seen(answer, locate, now)
    else:
        yield _not_seen(answer, now)
    if answer.hits and (photos or answer.query.everything):
        yield ""
        yield f"{'':>2}   score  chance  photo"
        for hit in answer.hits:
            yield _hit_line(hit, now)
            yield from _reason(hit.why)


def footnotes(answer: Answer) -> Iterator[str]:
    """What a person should know about an answer besides the answer."""
    searched = answer.searched
    yield (
        f"searched {searched.photos:,} photos, {searched.segments:,} segments with the pair {searched.pair}, "
        f"in {answer.took_ms['total']:.0f} ms"
    )
    if searched.untimed:
        yield f"{searched.untimed:,} photos of unknown time were left out by the time range"
    for name, pictures, waiting in answer.taught:
        if pictures:
            yield f"looked for {name} as it was taught, by {_counted(pictures, 'picture')}"
        if waiting:
            yield f"{_counted(waiting, 'picture')} of {name} wait{'s' if waiting == 1 else ''} for `archive reembed`"
    yield from losses(answer)


def losses(answer: Answer) -> Iterator[str]:
    """What an answer could not take into account because it is damaged."""
    searched = answer.searched
    if searched.damaged:
        yield f"{searched.damaged:,} photos were passed over, their vectors are damaged; run: archive repair"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def timed(photo: Photo) -> str:
    """Where a photo's time comes from, and how wrong it may be."""
    error_ms = photo.captured_error_ms
    return photo.captured_at_source.value + ("" if error_ms is None else f", {moments.within(error_ms)}")


def photo_object(photo: Photo, locate: Locate) -> dict[str, Any]:
    """A photo as it stands in the JSON object."""
    return {
        "id": photo.id,
        "digest": photo.digest,
        "name": photo.name,
        "path": locate(photo),
        "captured_at": instant(photo.captured_at),
        "captured_at_source": photo.captured_at_source.value,
        "captured_at_error_ms": photo.captured_error_ms,
        "camera": photo.camera,
        "width": photo.width,
        "height": photo.height,
    }


def _hit_object(hit: Hit, locate: Locate) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "score": round(hit.score, 6),
        "probability": round(hit.probability, 4),
        "photo": photo_object(hit.photo, locate),
        "boxes": [_box_object(box) for box in hit.boxes],
        **({} if hit.why is None else {"why": _why_object(hit.why)}),
    }


def _sighting_object(sighting: Sighting, locate: Locate) -> dict[str, Any]:
    hit = sighting.hit
    return {
        "first": instant(sighting.first),
        "last": instant(sighting.last),
        "photos": sighting.photos,
        "best": sighting.best,
        "probability": round(hit.probability, 4),
        "photo": photo_object(hit.photo, locate),
        "boxes": [_box_object(box) for box in hit.boxes],
    }


def _since_object(since: Since, locate: Locate) -> dict[str, Any]:
    return {
        "there": None if since.there is None else photo_object(since.there, locate),
        "gone": None if since.gone is None else photo_object(since.gone, locate),
        "compared": since.compared,
    }


def _why_object(why: Why) -> dict[str, Any]:
    return {
        "matched": "frame" if why.whole_frame else "segment",
        "box": _box_object(why.matched),
        "probe": why.probe,
        "height": round(why.height, 3),
        "frame_score": round(why.frame_score, 6),
        "clues": [
            {
                "label": clue.label,
                "score": round(clue.score, 6),
                "height": round(clue.height, 3),
                "against": clue.speaks_against,
            }
            for clue in why.clues
        ],
    }


def rectangle(segment: int, box: Box) -> dict[str, Any]:
    """A segment's box as it stands in the JSON object."""
    return {"segment": segment, "left": box.left, "top": box.top, "right": box.right, "bottom": box.bottom}


def _box_object(scored: ScoredBox) -> dict[str, Any]:
    return {**rectangle(scored.segment, scored.box), "score": round(scored.score, 6)}


def _nothing_there(answer: Answer, now: datetime) -> str:
    chosen = _range(answer.query, now)
    return f"There is no photo{chosen}." if chosen else "There is no photo in the archive yet."


def _range(query: Query, now: datetime) -> str:
    """What part of the archive was asked about, in words that follow a noun; empty where all of it was."""
    limits = [
        f" after {moments.calendar(query.after, now)}" if query.after else "",
        f" before {moments.calendar(query.before, now)}" if query.before else "",
        f" by camera {printable(query.camera)}" if query.camera else "",
    ]
    return "".join(limits)


def _not_seen(answer: Answer, now: datetime) -> str:
    searched, best = answer.searched, answer.best
    score = "" if best is None else f"; the best scored {best.score:.2f}"
    hint = "" if answer.query.everything else ", show it with --all"
    photos = _counted(searched.photos, "photo") + _range(answer.query, now)
    return f"Not seen: {photos} searched, nothing cleared the bar{score}{hint}."


def _last_seen(answer: Answer, locate: Locate, now: datetime) -> Iterator[str]:
    last, *earlier = answer.sightings
    doubt = "" if answer.verdict is Verdict.SEEN else "Maybe seen. "
    yield f"{doubt}Last seen {_when(last, now)}"
    yield f"  {_best(last, now)}  time by {timed(last.hit.photo)}"
    yield f"  {locate(last.hit.photo)}"
    yield from _reason(last.hit.why)
    if answer.since:
        yield from _since(answer.since, locate, now)
    if earlier:
        yield ""
        yield "Before that"
        for sighting in earlier[:SIGHTINGS_LISTED]:
            yield f"  {_when(sighting, now)}  {_best(sighting, now)}"
            yield from _reason(sighting.hit.why)
        if (more := answer.sightings_in_all - 1 - SIGHTINGS_LISTED) > 0:
            yield f"  and {more:,} more; see each photo with --photos"


def _since(since: Since, locate: Locate, now: datetime) -> Iterator[str]:
    """What later photos of the place support, and no more."""
    if since.there and since.there.captured_at:
        yield f"  Still there {moments.describe(since.there.captured_at, now)}: {printable(since.there.name)}"
        yield f"  {locate(since.there)}"
    if since.gone and since.gone.captured_at:
        gone = moments.describe(since.gone.captured_at, now)
        yield f"  The place was photographed again {gone}, without it: {printable(since.gone.name)}"
        yield f"  {locate(since.gone)}"


def _reason(why: Why | None) -> Iterator[str]:
    if why is None:
        return
    what = "the whole photo" if why.whole_frame else f"segment {why.matched.segment & (MAX_SEGMENTS - 1)}"
    yield f"       because {what} answers {why.probe!r}: {why.matched.score:.3f}, height {why.height:.1f}"
    yield from (f"         {_clue(clue)}" for clue in why.clues)


def _clue(clue: Clue) -> str:
    against = "not " if clue.speaks_against else ""
    return f"{against}{clue.label}: cosine {clue.score:.3f}, z {clue.height:.1f}"


def _when(sighting: Sighting, now: datetime) -> str:
    if sighting.last is None:
        return "at an unknown time"
    return moments.describe(sighting.last, now)


def _best(sighting: Sighting, now: datetime) -> str:
    """How many photos a sighting has and since when, its best photo, and the number that `--like-hit` takes."""
    hit, photos = sighting.hit, _counted(sighting.photos, "photo")
    first, last = (None if one is None else moments.calendar(one, now) for one in (sighting.first, sighting.last))
    since = "" if first == last else f" from {first} on"
    return f"{photos}{since}, best {printable(hit.photo.name)}  {_where(hit)}  hit {hit.rank}, {hit.probability:.0%}"


def _where(hit: Hit) -> str:
    left, top, right, bottom = hit.boxes[0].box
    return f"box {left},{top} to {right},{bottom}"


def _hit_line(hit: Hit, now: datetime) -> str:
    taken, error_ms = hit.photo.captured_at, hit.photo.captured_error_ms
    when = "unknown time" if taken is None else moments.calendar(taken, now)
    when += "" if error_ms is None else f" {moments.within(error_ms)}"
    return (
        f"{hit.rank:>2}.  {hit.score:.3f}  {hit.probability:>5.0%}  {printable(hit.photo.name)}  {when}  {_where(hit)}"
    )
