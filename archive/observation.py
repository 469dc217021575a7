"""Observation: what a pair sees in one photo, from upright pixels to the vectors of its segments."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from archive.cleanup import CleanUp, clean
from archive.errors import ArchiveError
from archive.photos.crops import square
from archive.protocols import RegionEmbedder
from archive.types import Pack, Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from archive.protocols import Embedder, Segmenter
    from archive.types import Box, Pixels, Vectors


class HasPixels(Protocol):
    """Anything that carries the pixels of one photo."""

    @property
    def pixels(self) -> Pixels:
        """The upright photo."""


Seen = TypeVar("Seen", bound=HasPixels)

CONTEXT = 0.15
"""How much of a segment's surroundings its crop shows, as a share of the box's width and height on each side."""


@dataclass(frozen=True, slots=True)
class Observer:
    """A segmenter and an embedder at work, with the clean-up and the crops between them."""

    segmenter: Segmenter
    embedder: Embedder
    cleanup: CleanUp = field(default_factory=CleanUp)
    context: float = CONTEXT

    def observe(self, pixels: Pixels) -> Pack:
        """All segments of one photo, the whole frame first; the pack's photo id is 0 until the photo has one."""
        height, width = pixels.shape[:2]
        regions = clean(self.segmenter.segment(pixels), width, height, self.cleanup)
        return Pack(
            photo_id=0,
            boxes=np.array([region.box for region in regions], dtype=np.int32),
            confidences=np.array([region.confidence for region in regions], dtype=np.float32),
            vectors=self.embed(pixels, [region.box for region in regions]),
        )

    def embed(self, pixels: Pixels, boxes: Sequence[Box]) -> Vectors:
        """One unit row for each box of a photo, in order; the first is the whole frame."""
        if isinstance(self.embedder, RegionEmbedder):
            return self.embedder.embed_regions(pixels, boxes)
        crops = [square(pixels, box, 0.0 if ordinal == 0 else self.context) for ordinal, box in enumerate(boxes)]
        return self.embedder.embed_images(crops)

    def observe_all(self, photos: Iterable[Seen], workers: int) -> Iterator[tuple[Seen, Pack]]:
        """Observe photos side by side, `workers` at a time; they come back in order, and few are held in memory.

        Where the iterable ends in an error of the archive, as when a card is pulled, what it gave before that is still
        observed and returned.
        """
        failure: ArchiveError | None = None
        waiting: deque[tuple[Seen, Future[Pack]]] = deque()
        rest = iter(photos)
        with ThreadPoolExecutor(workers, thread_name_prefix="observer") as pool:
            try:
                while failure is None:
                    try:
                        photo = next(rest)
                    except StopIteration:
                        break
                    except ArchiveError as error:
                        failure = error
                        break
                    waiting.append((photo, pool.submit(self.observe, photo.pixels)))
                    if len(waiting) > workers:
                        yield _first(waiting)
                while waiting:
                    yield _first(waiting)
            finally:
                pool.shutdown(cancel_futures=True)
        if failure is not None:
            raise failure

    def pair(self, name: str, segmenter_source: str, embedder_source: str) -> Pair:
        """The pair that this observer is, identified to the byte: whatever changes a box or a vector is in it."""
        return Pair(
            name=name,
            segmenter=f"{self.segmenter.name}/{self.cleanup.identity}/context{self.context:g}",
            space=self.embedder.space,
            dim=self.embedder.dim,
            segmenter_source=segmenter_source,
            embedder_source=embedder_source,
        )


def _first(waiting: deque[tuple[Seen, Future[Pack]]]) -> tuple[Seen, Pack]:
    photo, observed = waiting.popleft()
    return photo, observed.result()
