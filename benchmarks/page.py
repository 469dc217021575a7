"""How soon the page shows something, and how long a warm query takes: `python -m benchmarks.page [PHOTOS]`.

The archive is made up: one picture under many digests, with vectors drawn by chance, and the built-in pair for the
words. That measures catalog, index, server and browser; what a query finds means nothing.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import product
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING

import click
import numpy as np

from archive import bootstrap, indexing, parts, shelving
from archive.catalog.writer import NewPhoto
from archive.settings import PairChoice, Settings
from archive.types import CaptureSource, CaptureTime, Pack, Query
from archive.web.library import Library
from archive.web.server import serve
from tests import coloured_photos
from tests.web.browser import chromium, come_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Page

    from archive.web.server import Entrance

PHOTOS = 10_000
SEGMENTS = 8
EVERY = timedelta(seconds=30)
PAINTS = 7
FIRST_PAINT = """() => new Promise((done) => new PerformanceObserver((seen) => {
  for (const one of seen.getEntriesByName("first-contentful-paint")) done(one.startTime);
}).observe({ type: "paint", buffered: true }))"""
QUERIES = 60
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "brown", "silver")
THINGS = ("mug", "key", "book", "bottle", "phone", "shoe", "bag", "lamp")


def make(settings: Settings, photos: int) -> None:
    """Make an archive of that many photos, half a minute apart, the last of them now."""
    random, now = np.random.default_rng(8), datetime.now(UTC)
    picture = coloured_photos.jpeg({"red": (40, 60, 120, 130)})
    with bootstrap.writing(settings) as catalog:
        seeing, pair = parts.observer(settings, PairChoice(name="pocket"), None)
        pair_id = catalog.ensure_pair(pair)
        bootstrap.settle(catalog, seeing, pair_id)
        originals = bootstrap.originals(settings)
        for number in range(photos):
            content = picture + number.to_bytes(8, "big")  # what follows a JPEG's end is not looked at
            new = _photo(number, content, now - EVERY * (photos - number))
            path = originals.path(new.digest, new.suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            catalog.add_photo(new, pair_id, _pack(random, pair.dim))
        index = indexing.index(settings, catalog, pair_id, pair)
        shelving.shelve(catalog, index, pair_id, settings.seal_at)


def _photo(number: int, content: bytes, taken: datetime) -> NewPhoto:
    width, height = coloured_photos.SIZE
    return NewPhoto(
        digest=sha256(content).hexdigest(),
        suffix=".jpg",
        size=len(content),
        capture=CaptureTime(taken, CaptureSource.EXIF, None),
        camera="made up",
        width=width,
        height=height,
        name=f"{number}.jpg".encode(),
        path=f"{number}.jpg".encode(),
        modified=None,
    )


def _pack(random: np.random.Generator, dim: int) -> Pack:
    boxes = np.tile(np.array((40, 60, 120, 130), np.int32), (SEGMENTS, 1))
    boxes[0] = (0, 0, *coloured_photos.SIZE)
    vectors = random.normal(size=(SEGMENTS, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Pack(0, boxes, np.ones(SEGMENTS, np.float32), vectors)


def latencies(library: Library, questions: Sequence[str]) -> Iterator[tuple[str, float]]:
    """What a question costs: milliseconds of the clock and of all processors together, at p50 and p99."""
    walls, processors = [], []
    for words in questions:
        wall, processor = time.perf_counter(), time.process_time()
        library.ask(Query(words))
        processors.append(1000 * (time.process_time() - processor))
        walls.append(1000 * (time.perf_counter() - wall))
    for name, spent in (("wall", walls), ("CPU", processors)):
        for share in (50, 99):
            yield f"{name} p{share}", float(np.percentile(spent, share))


def paints(page: Page, address: str) -> list[float]:
    """Milliseconds to the first contentful paint; the server forbids a browser to keep anything."""
    found = []
    for _ in range(PAINTS):
        page.goto("about:blank")
        page.goto(address)
        found.append(page.evaluate(FIRST_PAINT))
    return found


def _report_paints(settings: Settings) -> None:
    came: Queue[Entrance] = Queue()
    Thread(target=serve, args=(settings, "127.0.0.1", 0, None, came.put), daemon=True).start()
    url = came.get().url
    with chromium() as browser:
        page, _witness = come_in(browser, url)
        for path in ("/", "/?q=red+mug", "/photos", "/photos/1"):
            spent = paints(page, url.partition("/enter")[0] + path)
            click.echo(f"first contentful paint of {path}: median {np.median(spent):.0f} ms, most {max(spent):.0f} ms")


def main() -> None:
    """Make the archive, measure, and print the figures."""
    photos = int(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS
    questions = [f"{colour} {thing}" for colour, thing in product(COLOURS, THINGS)][:QUERIES]
    with TemporaryDirectory() as folder:
        settings = Settings(Path(folder) / "home", Path(folder) / "weights")
        make(settings, photos)
        click.echo(f"{photos:,} photos of {SEGMENTS} segments")
        library = Library(settings)
        library.ask(Query("the first question"))
        for kind in ("new", "repeated"):
            figures = ", ".join(f"{name} {spent:.1f} ms" for name, spent in latencies(library, questions))
            click.echo(f"{kind} questions: {figures}")
        _report_paints(settings)


if __name__ == "__main__":
    main()
