"""What the page and the API show of the archive: every question opens the catalog as it is at that moment."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from archive import asking, bootstrap, custody, progress, viewing
from archive.catalog.browsing import Place
from archive.erasure import Which
from archive.errors import UsageError
from archive.thumbnails import Thumbnails
from archive.web.kept import KeptParts, KeptPictures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from archive.catalog.summary import Summary
    from archive.erasure import Receipt
    from archive.progress import Progress
    from archive.settings import Settings
    from archive.types import Answer, Box, Mark, Photo, Query, Segment

VIEWS_KEPT = 32
CAMERAS_LISTED = 12
ANSWERED_AT_ONCE = 2
"""Questions that are worked on at once; others wait for them. One thread alone runs Python, and where eight take turns
at it, two thirds of the answers come in the time, the last after twice as long. Those of a cluster wait for others.
"""

YEAR = timedelta(days=371)


class PhotoPage(NamedTuple):
    """Photos going back in time, and the place where the next page begins; None on the last one."""

    photos: list[Photo]
    next: Place | None


class Surroundings(NamedTuple):
    """The photos just before one, in the order in which they were taken, and just after it."""

    before: list[Photo]
    after: list[Photo]


class Library:
    """The archive of one home, for as long as a server runs. Each method may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.locate = bootstrap.locate(settings)
        self._originals = bootstrap.originals(settings)
        self._thumbnails = Thumbnails(settings.thumbnails)
        self._thumbnails.sweep()
        self._kept = KeptParts()
        self._views = KeptPictures(VIEWS_KEPT)
        self._few = nullcontext() if settings.cluster else BoundedSemaphore(ANSWERED_AT_ONCE)
        self._days: tuple[object, dict[date, int]] | None = None

    def warm(self) -> None:
        """Begin to load what every question needs; an archive without photos needs nothing."""
        if bootstrap.is_begun(self.settings):
            self._kept.warm(self.settings)

    def is_empty(self) -> bool:
        """Whether nothing was ever ingested."""
        if not bootstrap.is_begun(self.settings):
            return True
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            return not reader.photos_earlier(None, 1)

    def ask(self, query: Query, like: Sequence[int] = (), *, is_last: bool = False) -> Answer:
        """Answer a query with parts that are kept warm; `like` are segments that show what is meant."""
        supply = self._kept.supply
        with self._few:
            began = perf_counter()
            answer = asking.ask(query, self.settings, like_segments=like, supply=supply, is_last=is_last)
        total = round((perf_counter() - began) * 1000, 1)
        spent = answer.took_ms.get("embed", 0.0) + answer.took_ms.get("search", 0.0)
        took = {"load": round(total - spent, 1), "embed": 0.0, "search": 0.0, **answer.took_ms, "total": total}
        return answer._replace(took_ms=took)

    def teach(self, photo: Photo, name: str, box: Box) -> tuple[int, list[str]]:
        """Keep a part of a photo as a picture of the thing of that name; see `bootstrap.teach`.

        Raises:
            UsageError: the box does not lie in the photo, or the name has no letter.
            ArchiveBusy: an ingest is running.
        """
        name = " ".join(name.split())
        if not any(letter.isalnum() for letter in name):
            raise UsageError("name the thing in words, such as: my keys")
        if not (0 <= box.left < box.right <= photo.width and 0 <= box.top < box.bottom <= photo.height):
            raise UsageError(f"the box does not lie in the photo, which has {photo.width} x {photo.height} pixels")
        told = f"{bootstrap.local(self.settings, photo)}@{','.join(map(str, box))}"
        count, doubts = bootstrap.teach(self.settings, name, [told], [])
        return count, [doubt.removeprefix(f"{told}: ") for doubt in doubts]

    def to_forget(self, photo_ids: Sequence[int]) -> list[Photo]:
        """The photos of these ids, for a person to look at before they are forgotten.

        Raises:
            UsageError: one of them is not there.
        """
        return custody.to_forget(self.settings, Which([str(photo_id) for photo_id in photo_ids]))

    def forget(self, photo_ids: Sequence[int]) -> Receipt:
        """Erase photos as `archive forget` does, and what is kept here of them.

        Raises:
            UsageError: one of them is not there; nothing was erased.
            CatalogDamaged: the catalog is not sound; nothing was erased.
            ArchiveBusy: another process is writing.
        """
        receipt = custody.forget(self.settings, self.to_forget(photo_ids), verify=False)
        self._kept.let_go()
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            self._views.hold_for(reader.state)
        return receipt

    def photo(self, photo_id: int) -> Photo | None:
        """The photo of that id."""
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            self._views.hold_for(reader.state)
            return reader.photos([photo_id]).get(photo_id)

    def segments(self, photo_id: int) -> list[Segment]:
        """Everything that the answering pair found in a photo, the whole frame first."""
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            answering = reader.answering()
            pack = reader.packs_of(answering[0], [photo_id]).get(photo_id) if answering else None
            return [pack.segment(ordinal) for ordinal in range(len(pack))] if pack else []

    def marks(self, photo_id: int) -> list[Mark]:
        """What may keep a photo from showing a thing, and ranks it lower."""
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            return reader.marks_of(photo_id)

    def page(self, place: Place | None, limit: int) -> PhotoPage:
        """A page of photos going back in time."""
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            photos = reader.photos_earlier(place, limit + 1)
        return PhotoPage(photos[:limit], Place.of(photos[limit - 1]) if len(photos) > limit else None)

    def around(self, photo: Photo, reach: int) -> Surroundings:
        """The photos around one in time."""
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            place = Place.of(photo)
            return Surroundings(reader.photos_earlier(place, reach)[::-1], reader.photos_later(place, reach))

    def days(self, now: datetime) -> dict[date, int]:
        """How many photos were taken on each day of the last year."""
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            seen = (reader.state.nonce, now.astimezone().date())
            if self._days is None or self._days[0] != seen:
                self._days = (seen, reader.days(now - YEAR, now + timedelta(days=1)))
            return self._days[1]

    def cameras(self) -> list[str]:
        """The cameras' names; the first few where there are very many."""
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            return reader.cameras(CAMERAS_LISTED)

    def summary(self) -> tuple[Summary, str, int]:
        """What is in the archive, its uuid, and its generation."""
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            return reader.summary(), reader.state.uuid, reader.state.generation

    def progress(self) -> tuple[Progress | None, int]:
        """The ingest that is running, and how many photos there are by now."""
        if not bootstrap.is_begun(self.settings):
            return progress.read(self.settings.home), 0
        with bootstrap.reading(self.settings, idle=self._kept.idle) as reader:
            return progress.read(self.settings.home), reader.photo_count()

    def thumbnail(self, photo_id: int) -> bytes | None:
        """A small JPEG of a photo; None where there is no such photo."""
        return self._picture(photo_id, lambda photo: viewing.thumbnail(photo, self._originals, self._thumbnails))

    def view(self, photo_id: int) -> bytes | None:
        """A large JPEG of a photo; None where there is no such photo."""
        return self._picture(
            photo_id, lambda photo: self._views.get(photo.digest, lambda: viewing.view(photo, self._originals))
        )

    def _picture(self, photo_id: int, make: Callable[[Photo], bytes]) -> bytes | None:
        photo = self.photo(photo_id)
        if photo is None:
            return None
        picture = make(photo)
        if self.photo(photo_id) is None:  # erased meanwhile: what was just made must go with it
            self._thumbnails.erase(photo.digest)
            return None
        return picture
