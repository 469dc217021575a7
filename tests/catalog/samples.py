"""Small photos, packs and pairs for the catalog's tests, the same in every run."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from archive.catalog.lock import writer_lock
from archive.catalog.writer import Catalog, NewPhoto
from archive.types import CaptureSource, CaptureTime, Pack, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.catalog.driver import Place

DIM = 8
WIDTH, HEIGHT = 640, 480
PAIR = Pair("tiny", "grid/v1", "colours/v1", DIM, "grid", "colours")
OTHER_PAIR = Pair("other", "whole/v1", "colours/v1", DIM, "whole", "colours")


def pack(seed: int = 0, segments: int = 3, photo_id: int = 0) -> Pack:
    """Some segments, the whole frame first."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, 200, (segments, 2))
    boxes = np.hstack([corners, corners + random.integers(1, 200, (segments, 2))]).astype(np.int32)
    boxes[0] = (0, 0, WIDTH, HEIGHT)
    vectors = random.normal(size=(segments, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Pack(photo_id, boxes, np.linspace(1, 0.5, segments, dtype=np.float32), vectors)


def digest(number: int) -> str:
    """The digest of the photo with that number."""
    return sha256(f"photo {number}".encode()).hexdigest()


def new_photo(number: int = 1, at: datetime | None = None, camera: str | None = None) -> NewPhoto:
    """A photo as an ingest meets it; without `at` nobody knows when it was taken."""
    source = CaptureSource.UNKNOWN if at is None else CaptureSource.EXIF
    return NewPhoto(
        digest=digest(number),
        suffix=".jpg",
        size=1000 + number,
        capture=CaptureTime(at, source, None if at is None else 60),
        camera=camera,
        width=WIDTH,
        height=HEIGHT,
        name=f"{number}.jpg".encode(),
        path=f"card/{number}.jpg".encode(),
        modified=1_700_000_000.25,
    )


def noon(day: int) -> datetime:
    """Noon of a day, counted from the first of January 2026."""
    return datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day - 1)


@contextmanager
def writing(place: Place) -> Iterator[Catalog]:
    """The catalog for a writer; a file has one at a time."""
    lock = writer_lock(place.parent) if isinstance(place, Path) else nullcontext()
    with lock, Catalog.open(place) as catalog:
        yield catalog


def fill(path: Place, photos: int, pair: Pair = PAIR) -> int:
    """Make a catalog with photos 1 to n, taken at noon of the first days of January; the id of its pair."""
    with writing(path) as catalog:
        pair_id = catalog.ensure_pair(pair)
        catalog.set_wanted(pair_id)
        catalog.set_answering(pair_id)
        for number in range(1, photos + 1):
            catalog.add_photo(new_photo(number, noon(number)), pair_id, pack(number))
    return pair_id
