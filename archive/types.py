"""The nouns of the archive: plain, immutable values that every layer shares. Nothing here does I/O.

Pixels   uint8 (height, width, 3): RGB, upright, C-contiguous
Vectors  float32 (n, dim): C-contiguous, unit rows
Halves   float16 (n, dim): the same, as they are stored
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8]
    Vectors: TypeAlias = NDArray[np.float32]
    Halves: TypeAlias = NDArray[np.float16]
    Ids: TypeAlias = NDArray[np.int64]

ORDINAL_BITS = 10
"""A segment id is its photo's id shifted left by this, plus the segment's ordinal in the photo."""

MAX_SEGMENTS = 1 << ORDINAL_BITS
"""Segments that one photo can have, ordinal 0 (the whole frame) included."""


def segment_id(photo_id: int, ordinal: int) -> int:
    """The id of a photo's segment; `ordinal` counts from 0, the whole frame."""
    return photo_id << ORDINAL_BITS | ordinal


def photo_of(segment: int) -> int:
    """The id of the photo that a segment belongs to."""
    return segment >> ORDINAL_BITS


def ordinal_of(segment: int) -> int:
    """A segment's place in its photo; 0 is the whole frame."""
    return segment & (MAX_SEGMENTS - 1)


class Box(NamedTuple):
    """A rectangle in pixels of the upright photo; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """Square pixels."""
        return self.width * self.height


class Region(NamedTuple):
    """What a segmenter proposes: a box that lies inside the photo, and how sure it is, from 0 to 1."""

    box: Box
    confidence: float


class Glance(NamedTuple):
    """What a network saw of one photo in one pass, before anything was chosen.

    boxes   float32 (n, 4): left, top, right, bottom in pixels of the photo, those first that are surest to be a thing
    scores  float32 (n, k): how sure it is of each of its classes, from 0 to 1; the last one means "a thing"
    levels  feature maps, float32 (channels, height, width) each
    scale   pixels of the network's view for each pixel of the photo
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    levels: tuple[NDArray[np.float32], ...]
    scale: float


class CaptureSource(StrEnum):
    """Where a photo's capture time was read, the most trusted first."""

    EXIF = "exif"
    JOURNAL = "journal"
    NAME = "name"
    MTIME = "mtime"
    UNKNOWN = "unknown"


class Mark(StrEnum):
    """What may keep a photo from showing a thing: it is kept, and ranks below photos that show it as well."""

    DAMAGED = "damaged"
    BLACK = "black"
    COVERED = "covered"
    BLURRED = "blurred"
    DUPLICATE = "near_duplicate"


class CaptureTime(NamedTuple):
    """When a photo was taken: an aware UTC moment, or None where nothing plausible was recorded.

    `offset_minutes` is the local time's distance east of UTC, where the photo itself says it. `error_ms` is the most
    by which the moment may be wrong, None where nobody can tell.
    """

    at: datetime | None
    source: CaptureSource
    offset_minutes: int | None = None
    error_ms: int | None = None


class Photo(NamedTuple):
    """One original. `digest` is the sha256 of its bytes in hex; width and height are those of the upright photo.

    `captured_error_ms` is the most by which `captured_at` may be wrong, None where nobody can tell.
    """

    id: int
    digest: str
    name: str
    suffix: str
    captured_at: datetime | None
    captured_at_source: CaptureSource
    camera: str | None
    width: int
    height: int
    captured_error_ms: int | None = None


class Segment(NamedTuple):
    """A region of a stored photo; ordinal 0 of a photo is its whole frame."""

    id: int
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """All segments of one photo under one pair, in ordinal order: the unit in which vectors are stored.

    boxes        int32 (n, 4): left, top, right, bottom
    confidences  float32 (n,)
    vectors      float32 (n, dim), unit rows
    """

    photo_id: int
    boxes: NDArray[np.int32]
    confidences: NDArray[np.float32]
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.boxes)

    def segment(self, ordinal: int) -> Segment:
        """The segment with that ordinal."""
        left, top, right, bottom = (int(edge) for edge in self.boxes[ordinal])
        box = Box(left, top, right, bottom)
        return Segment(segment_id(self.photo_id, ordinal), box, float(self.confidences[ordinal]))


class Pair(NamedTuple):
    """A segmenter and an embedder that answer together.

    `name` is what a person calls it; `segmenter` and `space` identify both parts to the byte (kind, weights digest,
    settings), so packs of two pairs never mix. `segmenter_source` and `embedder_source` say where the parts are
    loaded from: a name of the registry, or a path.
    """

    name: str
    segmenter: str
    space: str
    dim: int
    segmenter_source: str
    embedder_source: str


@dataclass(frozen=True, slots=True)
class Shard:
    """A sealed, immutable file of an index, as the catalog's manifest names it.

    It holds the vectors of the packs `first_pack` to `last_pack`, both included.
    """

    name: str
    sha256: str
    size: int
    count: int
    first_pack: int
    last_pack: int


class Match(NamedTuple):
    """What an index returns: a segment and its score, the inner product with the query."""

    segment: int
    score: float


class Reached(NamedTuple):
    """Segments that an index names for their scores, as arrays: they may be thousands. Best first.

    segments  int64 (n,)
    scores    float32 (n,): the most that the inner product with the query can be
    """

    segments: Ids
    scores: NDArray[np.float32]

    def only(self, which: NDArray[np.bool_]) -> Reached:
        """Some of them."""
        return Reached(self.segments[which], self.scores[which])


class Sort(StrEnum):
    """In which order hits stand; `newest` puts photos of unknown time last."""

    RELEVANCE = "relevance"
    NEWEST = "newest"


class Example(NamedTuple):
    """A picture of what is looked for, as its vector (1, dim), and what a person calls it."""

    label: str
    vector: Vectors


class Query(NamedTuple):
    """What a person asks. `after` is inclusive and `before` exclusive, both aware; None leaves that side open.

    `text` is empty where only examples ask. What `negatives` name must not be what is found. `likes` are the examples
    as they were told; their vectors travel apart. With `everything` each photo is ranked, whatever the verdict; with
    `explain` each hit says why it is one.
    """

    text: str
    limit: int = 10
    after: datetime | None = None
    before: datetime | None = None
    camera: str | None = None
    everything: bool = False
    negatives: tuple[str, ...] = ()
    likes: tuple[str, ...] = ()
    sort: Sort = Sort.RELEVANCE
    explain: bool = False


class Verdict(StrEnum):
    """What the archive can honestly say; `not_seen` searched photos and none cleared the bar, `empty` had none."""

    SEEN = "seen"
    MAYBE = "maybe"
    NOT_SEEN = "not_seen"
    EMPTY = "empty"


class ScoredBox(NamedTuple):
    """A segment of a hit, with its own score."""

    segment: int
    box: Box
    score: float


class Clue(NamedTuple):
    """How near a vector is to one part of a query: its cosine, and how many deviations that lies above the archive's.

    A clue that `speaks_against` is what the query must not find.
    """

    label: str
    score: float
    height: float
    speaks_against: bool


class Why(NamedTuple):
    """Why a photo is a hit: which of its vectors answered, to which probe, and how near that is to each part.

    `frame_score` is the cosine of the whole photo, `height` that of the matched vector in deviations above the archive.
    """

    matched: ScoredBox
    whole_frame: bool
    probe: str
    height: float
    frame_score: float
    clues: tuple[Clue, ...]


class Hit(NamedTuple):
    """A photo that answers a query; `boxes` stand best first, `rank` counts from 1 in the order of relevance."""

    rank: int
    score: float
    probability: float
    photo: Photo
    boxes: tuple[ScoredBox, ...]
    why: Why | None = None


class Sighting(NamedTuple):
    """One run of photos that show the thing at one place and time.

    `hit` is its best photo and `best` the rank of that; a sighting stands even where the limit cuts its hits off.
    """

    first: datetime | None
    last: datetime | None
    photos: int
    best: int
    hit: Hit


class Spot(StrEnum):
    """What a later photo shows where a thing lay."""

    THERE = "there"
    GONE = "gone"


class Since(NamedTuple):
    """What later photos of the place say about a thing after its last sighting.

    `there` is the latest that still shows it, `gone` the first after that which shows the spot without it; `compared`
    counts the later photos of the place that were compared, whatever they told.
    """

    there: Photo | None
    gone: Photo | None
    compared: int


class Searched(NamedTuple):
    """What a query looked at, and the name of the pair that answered.

    `untimed` photos have no known time, so a time range left them out; the vectors of `damaged` ones were altered on
    the disk, so nothing could be compared with them.
    """

    photos: int
    segments: int
    space: str
    pair: str
    untimed: int = 0
    damaged: int = 0


class Used(NamedTuple):
    """A taught thing that a query named: how many of its pictures helped, and how many wait for a reindex."""

    name: str
    pictures: int
    waiting: int


class Answer(NamedTuple):
    """Everything that a query found, before it is printed.

    `sightings` are the latest of `sightings_in_all`. `best` is the top photo; where nothing cleared the bar and `hits`
    is empty, the best of those that were likely to be it, or of all in a small archive. `since` is None where no later
    photo shows the place of the last sighting; `took_ms` has load, embed, search and total.
    """

    query: Query
    verdict: Verdict
    searched: Searched
    hits: tuple[Hit, ...]
    sightings: tuple[Sighting, ...]
    best: Hit | None = None
    taught: tuple[Used, ...] = ()
    since: Since | None = None
    took_ms: Mapping[str, float] = MappingProxyType({})
    sightings_in_all: int = 0
