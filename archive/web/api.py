"""The JSON API under /api/v1: the objects that `--json` prints, and pictures by a photo's id."""

# No `from __future__ import annotations`: FastAPI reads these annotations when the routes are made.
import json
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from archive import answers, erasure, moments, wire
from archive.catalog.browsing import Place
from archive.errors import UsageError
from archive.types import ORDINAL_BITS, Box, Sort, ordinal_of, photo_of
from archive.types import Query as Question
from archive.web import schema
from archive.web.library import Library
from archive.web.schema import LARGEST_ID, MOST_FORGOTTEN

LONGEST_TEXT = 512
MOST_HITS = 500
MOST_PHOTOS = 200
MOST_WORDS = 8
PLACE = r"^(-?[0-9]{1,18}|unknown)\.[0-9]{1,15}$"

PhotoId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A photo's id.")]
Time = Annotated[
    str | None, Query(max_length=40, description="ISO 8601, or as people say it: 14:02, 2h, 3d, today, yesterday.")
]
Words = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
SegmentId = Annotated[int, Field(ge=0, le=LARGEST_ID << ORDINAL_BITS)]
ForgottenIds = Annotated[
    tuple[Annotated[int, Field(ge=1, le=LARGEST_ID)], ...],
    Query(min_length=1, max_length=MOST_FORGOTTEN, description="Photos, by their ids."),
]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": schema.Problem, "description": "Neither the token nor the cookie came along."},
    403: {"model": schema.Problem, "description": "Asked by a page of another origin."},
    413: {"model": schema.Problem, "description": "The body is too large."},
    414: {"model": schema.Problem, "description": "The address is too long."},
    421: {"model": schema.Problem, "description": "Asked under another name than this server's."},
    422: {"model": schema.Problem, "description": "What was asked makes no sense."},
    503: {"model": schema.Problem, "description": "Something of the archive is wrong; the message says what to do."},
}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": schema.Problem, "description": "There is no such photo."}}
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}}


class JsonResponse(JSONResponse):
    """JSON in ASCII: a file's name may hold bytes that are no text, which nothing but an escape can carry."""

    def render(self, content: object) -> bytes:
        """The bytes of an object."""
        return json.dumps(content).encode("ascii")


class Asked(NamedTuple):
    """A question, and the segments that it shows as examples."""

    query: Question
    like: tuple[int, ...]


def _question(
    text: Annotated[str, Query(max_length=LONGEST_TEXT, description="What to look for.")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_HITS, description="Photos to list.")] = 10,
    after: Time = None,
    before: Time = None,
    camera: Annotated[str | None, Query(max_length=200, description="Only photos of this camera.")] = None,
    negatives: Annotated[
        tuple[Words, ...], Query(alias="not", max_length=MOST_WORDS, description="Reject things that show this.")
    ] = (),
    like: Annotated[
        tuple[SegmentId, ...], Query(max_length=MOST_WORDS, description="Segments that show what is meant.")
    ] = (),
    sort: Annotated[Sort, Query(description="The order of the photos.")] = Sort.RELEVANCE,
    *,
    everything: Annotated[bool, Query(alias="all", description="Rank every photo, whatever the verdict.")] = False,
    explain: Annotated[bool, Query(include_in_schema=False)] = False,
) -> Asked:
    question = asked(text, limit, after, before, camera, negatives, like, everything=everything)
    return Asked(question._replace(sort=sort, explain=explain), like)


def routes(library: Library) -> APIRouter:
    """The routes of the API, over one archive."""
    api = APIRouter(prefix="/api/v1", responses=PROBLEMS, default_response_class=JsonResponse)
    _add_questions(api, library)
    _add_photos(api, library)
    _add_forgetting(api, library)

    @api.get("/progress", responses={200: {"model": schema.ProgressObject}}, summary="How far a running ingest is.")
    def progress() -> Response:
        now, count = library.progress()
        done, total = (now.done, now.total) if now else (0, 0)
        return JsonResponse({"running": now is not None, "done": done, "total": total, "photos": count})

    return api


def _add_questions(api: APIRouter, library: Library) -> None:
    @api.get("/query", responses={200: {"model": schema.AnswerObject}}, summary="Ask where something was last seen.")
    def query(question: Annotated[Asked, Depends(_question)]) -> Response:
        return JsonResponse(answers.as_object(library.ask(*question), library.locate))

    @api.get("/answer", include_in_schema=False)
    def answer(question: Annotated[Asked, Depends(_question)]) -> Response:
        """The same for `archive query`, without loss; the next `archive query` may point at its hits."""
        return JsonResponse(wire.packed(library.ask(*question, is_last=True)))


def _add_photos(api: APIRouter, library: Library) -> None:
    @api.get("/photos", responses={200: {"model": schema.PhotoPage}}, summary="Photos, going back in time.")
    def photos(
        start: Annotated[str | None, Query(alias="from", pattern=PLACE, description="The `next` of a page.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_PHOTOS, description="Photos on the page.")] = 50,
    ) -> Response:
        page = library.page(place(start), limit)
        found = [answers.photo_object(photo, library.locate) for photo in page.photos]
        return JsonResponse({"photos": found, "next": str(page.next) if page.next else None})

    @api.get(
        "/photos/{photo_id}",
        responses={200: {"model": schema.PhotoWithSegments}, **MISSING},
        summary="A photo and everything that was found in it.",
    )
    def photo(photo_id: PhotoId) -> Response:
        found = library.photo(photo_id)
        if found is None:
            return no_such_photo()
        segments = [
            {**answers.rectangle(one.id, one.box), "confidence": one.confidence} for one in library.segments(photo_id)
        ]
        return JsonResponse({"photo": answers.photo_object(found, library.locate), "segments": segments})

    @api.get("/photos/{photo_id}/thumbnail", responses={**JPEG, **MISSING}, summary="A small picture of a photo.")
    def thumbnail(photo_id: PhotoId) -> Response:
        return picture(library.thumbnail(photo_id))

    @api.get("/photos/{photo_id}/view", responses={**JPEG, **MISSING}, summary="A large picture of a photo.")
    def view(photo_id: PhotoId) -> Response:
        return picture(library.view(photo_id))

    @api.post(
        "/photos/{photo_id}/lesson",
        responses={200: {"model": schema.TaughtObject}, **MISSING},
        summary="Teach a thing of one's own by a part of a photo.",
    )
    def lesson(photo_id: PhotoId, told: schema.Lesson) -> Response:
        photo = library.photo(photo_id)
        if photo is None:
            return no_such_photo()
        count, doubts = library.teach(photo, told.name, Box(told.left, told.top, told.right, told.bottom))
        return JsonResponse({"name": told.name, "pictures": count, "doubts": doubts})


def _add_forgetting(api: APIRouter, library: Library) -> None:
    @api.get("/forget", responses={200: {"model": schema.ForgetPreview}}, summary="What erasing photos would take.")
    def preview(photo: ForgottenIds) -> Response:
        photos = library.to_forget(photo)
        found = [answers.photo_object(one, library.locate) for one in photos]
        return JsonResponse({"photos": found, "words": list(erasure.preview(photos, datetime.now(UTC)))})

    @api.post("/forget", responses={200: {"model": schema.ReceiptObject}}, summary="Erase photos for good.")
    def forget(told: schema.ToForget) -> Response:
        return JsonResponse(library.forget(told.photos).as_object())


def asked(
    text: str,
    limit: int,
    after: str | None,
    before: str | None,
    camera: str | None,
    negatives: tuple[str, ...] = (),
    like: tuple[int, ...] = (),
    *,
    everything: bool,
) -> Question:
    """The question that these words make up.

    Raises:
        UsageError: they make none.
    """
    words = text.strip()
    if not (words or like):
        raise UsageError("ask with words, such as: my keys")
    now = datetime.now(UTC)
    return Question(
        text=words,
        limit=limit,
        after=moments.parse(after, now) if after else None,
        before=moments.parse(before, now) if before else None,
        camera=camera or None,
        everything=everything,
        negatives=tuple(filter(None, (one.strip() for one in negatives))),
        likes=tuple(f"thing {ordinal_of(segment)} of photo {photo_of(segment)}" for segment in like),
    )


def place(text: str | None) -> Place | None:
    """The place that a page's address names.

    Raises:
        UsageError: it names none.
    """
    if text is None:
        return None
    found = Place.parse(text)
    if found is None:
        raise UsageError("`from` is not the `next` of a page")
    return found


def picture(content: bytes | None) -> Response:
    """A JPEG, or the news that there is none."""
    return no_such_photo() if content is None else Response(content, media_type="image/jpeg")


def no_such_photo() -> Response:
    """The answer where an id names no photo."""
    return JsonResponse({"error": "there is no such photo"}, status_code=404)
