"""The objects of the API, as its OpenAPI describes them. What is sent is what `archive --json` prints."""

# No `from __future__ import annotations`: pydantic reads these annotations when the classes are made.
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LARGEST_ID = 2**50
MOST_FORGOTTEN = 200


class Object(BaseModel):
    """What all objects share: nothing is in them that is not described."""

    model_config = ConfigDict(extra="forbid")


class Problem(Object):
    """Why there is no answer."""

    error: str


class PhotoObject(Object):
    """One photo; times are UTC, width and height those of the upright picture.

    `captured_at_error_ms` is the most by which its time may be wrong, null where nobody can tell.
    """

    id: int
    digest: str
    name: str
    path: str
    captured_at: str | None
    captured_at_source: Literal["exif", "journal", "name", "mtime", "unknown"]
    captured_at_error_ms: int | None
    camera: str | None
    width: int
    height: int


class Rectangle(Object):
    """A segment's place in pixels of the upright photo; right and bottom are exclusive."""

    segment: int
    left: int
    top: int
    right: int
    bottom: int


class ScoredRectangle(Rectangle):
    """A segment that answers, with its cosine."""

    score: float


class FoundSegment(Rectangle):
    """A segment of a photo, with how sure the segmenter was of it; the first is the whole frame."""

    confidence: float


class HitObject(Object):
    """A photo that answers, with the boxes that explain why, best first."""

    rank: int
    score: float
    probability: float
    photo: PhotoObject
    boxes: list[ScoredRectangle]


class SightingObject(Object):
    """One run of photos that show the thing at one place and time; `best` is the rank of its best photo."""

    first: str | None
    last: str | None
    photos: int
    best: int
    probability: float
    photo: PhotoObject
    boxes: list[ScoredRectangle]


class AskedObject(Object):
    """The question as it was understood."""

    text: str
    limit: int
    after: str | None
    before: str | None
    camera: str | None
    all: bool
    negatives: list[str] = Field(alias="not")
    like: list[str]
    sort: Literal["relevance", "newest"]


class SearchedObject(Object):
    """What was looked at."""

    photos: int
    segments: int
    space: str
    pair: str
    untimed: int


class UsedObject(Object):
    """A taught thing that the question named: how many of its pictures helped, and how many wait for a reindex."""

    name: str
    pictures: int
    waiting: int


class SinceObject(Object):
    """What later photos of the place show: the latest with the thing still there, the first without it."""

    there: PhotoObject | None
    gone: PhotoObject | None
    compared: int


class AnswerObject(Object):
    """The answer, as `archive query --json` prints it."""

    query: AskedObject
    verdict: Literal["seen", "maybe", "not_seen", "empty"]
    searched: SearchedObject
    hits: list[HitObject]
    sightings: list[SightingObject]
    sightings_in_all: int
    took_ms: dict[str, float]
    taught: list[UsedObject]
    since: SinceObject | None
    best: HitObject | None


class Lesson(Object):
    """A part of a photo that shows a thing of one's own, to be found by that name from now on."""

    name: str = Field(min_length=1, max_length=100)
    left: int = Field(ge=0)
    top: int = Field(ge=0)
    right: int = Field(ge=1)
    bottom: int = Field(ge=1)


class TaughtObject(Object):
    """How many pictures the thing has now, and what is doubtful about the new one."""

    name: str
    pictures: int
    doubts: list[str]


class ToForget(Object):
    """The photos that are to be erased for good; each id is one of `archive query --json`."""

    photos: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] = Field(min_length=1, max_length=MOST_FORGOTTEN)


class ForgetPreview(Object):
    """What would be erased, and the words in which `archive forget` says it."""

    photos: list[PhotoObject]
    words: list[str]


class VerifiedObject(Object):
    """How many files were looked through for what may be left, and those in which something was found."""

    files: int
    residue: list[str]


class ReceiptObject(Object):
    """What was erased, in numbers; the purge is pending while somebody reads an older state of the archive."""

    photos: int
    files: int
    bytes: int
    shards_written: int
    purge: Literal["done", "pending"]
    verified: VerifiedObject | None


class PhotoPage(Object):
    """Photos going back in time; `next` is where the following page begins, null on the last one."""

    photos: list[PhotoObject]
    next: str | None


class PhotoWithSegments(Object):
    """A photo and everything that was found in it."""

    photo: PhotoObject
    segments: list[FoundSegment]


class ProgressObject(Object):
    """A running ingest: files that are done of those that were found, and photos that are in the archive by now."""

    running: bool
    done: int
    total: int
    photos: int
