"""The pages: rendered here, escaped by default, and readable before any script has run."""

# No `from __future__ import annotations`: FastAPI reads these annotations when the routes are made.
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from archive import answers, erasure, moments
from archive.catalog.browsing import Place
from archive.errors import ArchiveError, UsageError
from archive.photos.names import printable
from archive.types import Answer, Box, Photo, Verdict, ordinal_of
from archive.web import words
from archive.web.asking import Asking
from archive.web.door import Door
from archive.web.library import Library
from archive.web.schema import LARGEST_ID, MOST_FORGOTTEN

HERE = Path(__file__).parent
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

NEWEST = 24
PHOTOS_ON_A_PAGE = 120
STRIP_REACH = 12
SIGHTINGS_SHOWN = 30
CROP_MARGIN = 0.15
CARD_SHAPE = 4 / 3
LONGEST_ID = len(str(LARGEST_ID))

Form = dict[str, list[str]]


async def _form(request: Request) -> Form:
    """The fields of a form; none where they are too many."""
    try:
        return parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=MOST_FORGOTTEN)
    except ValueError:
        return {}


def routes(library: Library, door: Door) -> APIRouter:
    """The pages of one archive."""
    pages = Pages(library, door)
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", pages.ask)
    router.add_api_route("/photos", pages.photos)
    router.add_api_route("/photos/{photo_id}", pages.photo)
    router.add_api_route("/forget", pages.to_forget)
    router.add_api_route("/forget", pages.forgotten, methods=["POST"])
    router.add_api_route("/enter", pages.enter)
    router.add_api_route("/enter", pages.entered, methods=["POST"])
    router.add_api_route("/static/{name}", pages.static)
    return router


class Pages:
    """What stands at each address."""

    def __init__(self, library: Library, door: Door) -> None:
        self._library = library
        self._door = door
        self._render = renderer(library)
        files = [path for path in (HERE / "static").iterdir() if path.suffix in MEDIA_TYPES]
        self._static = {path.name: path.read_bytes() for path in files}

    def ask(self, request: Request) -> Response:
        """The question and its answer; the newest photos before anything is asked."""
        library, asking = self._library, Asking.of(request.query_params)
        if library.is_empty():
            return self._render("empty.html", asking=asking)
        if not (asking.text or asking.like):
            newest = library.page(None, NEWEST).photos
            return self._render("home.html", asking=asking, days=by_day(newest), months=months(library))
        try:
            answer = library.ask(asking.query, asking.like)
        except UsageError as error:
            return self._render("problem.html", 422, asking=asking, problem=str(error))
        return self._render("answer.html", **_answered(asking, answer), cameras=library.cameras())

    def photos(self, request: Request) -> Response:
        """All photos, going back in time, a page at a time."""
        if self._library.is_empty():
            return self._render("empty.html")
        start = request.query_params.get("from", "")
        place = Place.parse(start) or _end_of(request.query_params.get("day", ""))
        page = self._library.page(place, PHOTOS_ON_A_PAGE)
        return self._render("photos.html", days=by_day(page.photos), next=page.next, months=months(self._library))

    def photo(self, photo_id: str) -> Response:
        """One photo, all that was found in it, and its neighbours in time."""
        named = photo_id.isascii() and photo_id.isdecimal() and int(photo_id) <= LARGEST_ID
        found = self._library.photo(int(photo_id)) if named else None
        if found is None:
            return self._render("problem.html", 404, problem="There is no such photo; it may have been erased.")
        around, segments = self._library.around(found, STRIP_REACH), self._library.segments(found.id)
        # Small ones last, so that they lie on top and can be pointed at.
        stacked = sorted(segments, key=lambda segment: -segment.box.area)
        marks = self._library.marks(found.id)
        return self._render("photo.html", photo=found, around=around, segments=segments, stacked=stacked, marks=marks)

    def to_forget(self, request: Request) -> Response:
        """What would be erased, and the button that does it."""
        try:
            photos = self._library.to_forget(_ids(request.query_params.getlist("photo")))
        except UsageError as error:
            return self._render("problem.html", 422, problem=str(error))
        said = [line.strip() for line in erasure.preview(photos, datetime.now(UTC))]
        return self._render("forget.html", photos=photos, said=said)

    def forgotten(self, form: Annotated[Form, Depends(_form)]) -> Response:
        """The receipt of what was erased just now."""
        try:
            receipt = self._library.forget(_ids(form.get("photo", [])))
        except ArchiveError as error:
            return self._render("problem.html", 422 if isinstance(error, UsageError) else 503, problem=str(error))
        return self._render("forgotten.html", said=list(receipt.in_words()))

    def enter(self) -> Response:
        """The door, for whoever has not come in."""
        return self._render("enter.html", password=self._door.wants_password, problem="")

    def entered(self, form: Annotated[Form, Depends(_form)]) -> Response:
        """The answer that was given at the door: the token or the password."""
        right = self._door.opens(form.get("answer", [""])[0])
        if right:
            return RedirectResponse("/", 303, {"set-cookie": self._door.set_cookie()})
        problem = "Too many wrong answers; wait half a minute." if right is None else "That is not it."
        status = 429 if right is None else 403
        return self._render("enter.html", status, password=self._door.wants_password, problem=problem)

    def static(self, name: str) -> Response:
        """The style sheet, the script and the icon; there are no others."""
        if name not in self._static:
            return Response(status_code=404)
        return Response(self._static[name], media_type=MEDIA_TYPES[Path(name).suffix])


def renderer(library: Library) -> Callable[..., Response]:
    """Renders a template with what all of them need."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "blemish": words.blemish,
        "calendar": lambda moment: moments.calendar(moment, datetime.now(UTC)) if moment else "unknown time",
        "clock": lambda moment: f"{moment.astimezone():%H:%M:%S}" if moment else "",
        "counted": words.counted,
        "crop": crop,
        "distance": lambda moment: moments.distance(moment, datetime.now(UTC)),
        "match": words.match,
        "ordinal": ordinal_of,
        "printable": printable,
        "timed": answers.timed,
        "window": window,
    }
    environment.globals |= {"headline": words.headline, "losses": answers.losses, "Verdict": Verdict}

    def render(name: str, status: int = 200, **context: object) -> Response:
        running, photos = library.progress()
        about = {"asking": Asking(), "running": running, "photo_count": photos}
        return HTMLResponse(environment.get_template(name).render(about | context), status)

    return render


def _ids(named: list[str]) -> list[int]:
    """The photos that a form names.

    Raises:
        UsageError: it names none, or too many at once.
    """
    ids = [int(one) for one in named if one.isascii() and one.isdecimal() and len(one) <= LONGEST_ID]
    if len(ids) != len(named) or not 0 < len(ids) <= MOST_FORGOTTEN:
        raise UsageError(f"name 1 to {MOST_FORGOTTEN} photos by their ids")
    return ids


def by_day(photos: list[Photo]) -> list[tuple[date | None, list[Photo]]]:
    """Photos in their order, under the local day on which they were taken; None for those of unknown time."""
    days = groupby(photos, lambda photo: photo.captured_at.astimezone().date() if photo.captured_at else None)
    return [(day, list(some)) for day, some in days]


def months(library: Library) -> list[tuple[date, list[tuple[date | None, int, int]]]]:
    """The calendar: the first day of each month that has photos, newest first, and its cells.

    A cell is a day, its number of photos, and how many that is for this archive, from 0 to 4. Empty cells put the
    first day under its weekday.
    """
    counts = library.days(datetime.now(UTC))
    most = max(counts.values(), default=1)
    found = []
    for first in sorted({day.replace(day=1) for day in counts}, reverse=True):
        cells: list[tuple[date | None, int, int]] = [(None, 0, 0)] * first.weekday()
        day = first
        while day.month == first.month:
            count = counts.get(day, 0)
            cells.append((day, count, -(-4 * count // most)))
            day += timedelta(days=1)
        found.append((first, cells))
    return found


def crop(box: Box, photo: Photo) -> str:
    """A box with some margin around it, inside its photo, as an SVG's viewBox."""
    margin = round(CROP_MARGIN * max(box.width, box.height))
    left, top = max(0, box.left - margin), max(0, box.top - margin)
    right, bottom = min(photo.width, box.right + margin), min(photo.height, box.bottom + margin)
    return f"{left} {top} {right - left} {bottom - top}"


def window(box: Box, photo: Photo) -> str:
    """The largest part of a photo that has the shape of a card, moved to where the box is, as an SVG's viewBox."""
    width = min(photo.width, round(photo.height * CARD_SHAPE))
    height = min(photo.height, round(photo.width / CARD_SHAPE))
    left = min(max(0, (box.left + box.right - width) // 2), photo.width - width)
    top = min(max(0, (box.top + box.bottom - height) // 2), photo.height - height)
    return f"{left} {top} {width} {height}"


def _answered(asking: Asking, answer: Answer) -> dict[str, Any]:
    """What the answer's template shows: only photos above the slider's bar."""
    hits = [hit for hit in answer.hits if round(hit.probability * 100) >= asking.bar]
    more = asking.more() if len(answer.hits) == asking.limit else None
    last, earlier = answer.sightings[:1], answer.sightings[1 : SIGHTINGS_SHOWN + 1]
    hidden = max(0, answer.sightings_in_all - 1 - len(earlier))
    return {
        "asking": asking,
        "answer": answer,
        "hits": hits,
        "more": more,
        "last": last[0] if last else None,
        "earlier": earlier,
        "hidden": hidden,
    }


def _end_of(day: str) -> Place | None:
    """The place after the last photo of a local day, written as 2026-11-23."""
    try:
        end = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return Place.before(end)
