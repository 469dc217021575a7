"""How soon the page shows something, and how long a warm query takes: `python -m benchmarks.page [PHOTOS]`.

The archive is made up (`benchmarks.synthetic`), with one picture under many digests. That measures catalog, index,
server and browser; what a query finds means nothing.
"""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING

import click
import numpy as np

from archive.settings import Settings
from archive.types import Query
from archive.web.library import Library
from archive.web.server import serve
from benchmarks import synthetic
from tests import coloured_photos
from tests.web.browser import chromium, come_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Page

    from archive.web.server import Entrance

PHOTOS = 10_000
PAINTS = 7
FIRST_PAINT = """() => new Promise((done) => new PerformanceObserver((seen) => {
  for (const one of seen.getEntriesByName("first-contentful-paint")) done(one.startTime);
}).observe({ type: "paint", buffered: true }))"""
QUERIES = 60
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "brown", "silver")
THINGS = ("mug", "key", "book", "bottle", "phone", "shoe", "bag", "lamp")


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
        synthetic.make(settings, photos, coloured_photos.jpeg({"red": (40, 60, 120, 130)}))
        click.echo(f"{photos:,} photos of {synthetic.SEGMENTS} segments")
        library = Library(settings)
        library.ask(Query("the first question"))
        for kind in ("new", "repeated"):
            figures = ", ".join(f"{name} {spent:.1f} ms" for name, spent in latencies(library, questions))
            click.echo(f"{kind} questions: {figures}")
        _report_paints(settings)


if __name__ == "__main__":
    main()
