"""How an answer looks: as JSON for programs, as words for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from archive import moments
from archive.photos.names import printable
from archive.types import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from archive.types import Answer, Hit, Photo, ScoredBox, Sighting

    Locate = Callable[[Photo], Path]

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
        },
        "verdict": answer.verdict.value,
        "searched": {
            "photos": answer.searched.photos,
            "segments": answer.searched.segments,
            "space": answer.searched.space,
        },
        "hits": [_hit_object(hit, locate) for hit in answer.hits],
        "sightings": [
            {"first": instant(one.first), "last": instant(one.last), "photos": one.photos, "best": one.best}
            for one in answer.sightings
        ],
        "took_ms": answer.took_ms,
    }


def as_words(answer: Answer, locate: Locate, now: datetime) -> Iterator[str]:
    """The answer as lines for a person: when and where it was last seen, earlier sightings, then the photos."""
    if answer.verdict is Verdict.EMPTY:
        yield _nothing_there(answer)
        return
    if answer.sightings:
        yield from _last_seen(answer, locate, now)
    else:
        yield _not_seen(answer)
    if answer.hits:
        yield ""
        yield f"{'':>2}   score  chance  photo"
        yield from (_hit_line(hit, now) for hit in answer.hits)


def footnotes(answer: Answer) -> Iterator[str]:
    """What a person should know about an answer besides the answer."""
    searched = answer.searched
    yield f"searched {searched.photos:,} photos, {searched.segments:,} segments, in {answer.took_ms['total']:.0f} ms"
    if searched.untimed:
        yield f"{searched.untimed:,} photos of unknown time were left out by the time range"
    yield from losses(answer)


def losses(answer: Answer) -> Iterator[str]:
    """What an answer could not take into account because it is damaged."""
    searched = answer.searched
    if searched.damaged:
        yield f"{searched.damaged:,} photos were passed over, their vectors are damaged; run: archive repair"


def _hit_object(hit: Hit, locate: Locate) -> dict[str, Any]:
    photo = hit.photo
    return {
        "rank": hit.rank,
        "score": round(hit.score, 6),
        "probability": round(hit.probability, 4),
        "photo": {
            "id": photo.id,
            "digest": photo.digest,
            "name": photo.name,
            "path": str(locate(photo)),
            "captured_at": instant(photo.captured_at),
            "captured_at_source": photo.captured_at_source.value,
            "camera": photo.camera,
            "width": photo.width,
            "height": photo.height,
        },
        "boxes": [_box_object(box) for box in hit.boxes],
    }


def _box_object(scored: ScoredBox) -> dict[str, Any]:
    left, top, right, bottom = scored.box
    return {
        "segment": scored.segment,
        "left": left,
        "top": top,
        "right": right,
        "bottom": bottom,
        "score": round(scored.score, 6),
    }


def _nothing_there(answer: Answer) -> str:
    query = answer.query
    limits = [
        f"after {instant(query.after)}" if query.after else "",
        f"before {instant(query.before)}" if query.before else "",
        f"by camera {printable(query.camera)}" if query.camera else "",
    ]
    chosen = " ".join(limit for limit in limits if limit)
    if not chosen:
        return "There is no photo in the archive yet."
    return f"There is no photo {chosen}."


def _not_seen(answer: Answer) -> str:
    searched, best = answer.searched, answer.best
    score = "" if best is None else f"; the best scored {best.score:.2f}"
    hint = "" if answer.query.everything else ", show it with --all"
    return f"Not seen: {searched.photos:,} photos searched, nothing cleared the bar{score}{hint}."


def _last_seen(answer: Answer, locate: Locate, now: datetime) -> Iterator[str]:
    last, *earlier = answer.sightings
    doubt = "" if answer.verdict is Verdict.SEEN else "Maybe seen. "
    yield f"{doubt}Last seen {_when(last, now)}"
    yield f"  {printable(last.hit.photo.name)}  {_where(last.hit)}"
    yield f"  {locate(last.hit.photo)}"
    if earlier:
        yield ""
        yield "Before that"
        for sighting in earlier[:SIGHTINGS_LISTED]:
            photos = "1 photo" if sighting.photos == 1 else f"{sighting.photos} photos"
            yield f"  {_when(sighting, now)}  {photos}  {printable(sighting.hit.photo.name)}"
        if len(earlier) > SIGHTINGS_LISTED:
            yield f"  and {len(earlier) - SIGHTINGS_LISTED} more"


def _when(sighting: Sighting, now: datetime) -> str:
    if sighting.first is None or sighting.last is None:
        return "at an unknown time"
    return moments.describe(sighting.last, now)


def _where(hit: Hit) -> str:
    left, top, right, bottom = hit.boxes[0].box
    return f"box {left},{top} to {right},{bottom}"


def _hit_line(hit: Hit, now: datetime) -> str:
    taken = hit.photo.captured_at
    when = "unknown time" if taken is None else moments.calendar(taken, now)
    return (
        f"{hit.rank:>2}.  {hit.score:.3f}  {hit.probability:>5.0%}  {printable(hit.photo.name)}  {when}  {_where(hit)}"
    )
