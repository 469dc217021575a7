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
from archive.reuse import NOTHING, Footprint, Gate, Step, is_same, stamp, stood_at
from archive.types import Pack, Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from archive.protocols import Embedder, Reused, Segmenter
    from archive.types import Box, Pixels, Region, Vectors


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
        return self.embedder.embed_images([self._crop(pixels, box, ordinal) for ordinal, box in enumerate(boxes)])

    def observe_all(
        self, photos: Iterable[Seen], workers: int, reused: Reused | None = None
    ) -> Iterator[tuple[Seen, Pack]]:
        """Observe photos side by side, `workers` at a time; they come back in order, and few are held in memory.

        With `reused`, what a photo before it has shown already is not looked at again, and is counted there. Where the
        iterable ends in an error of the archive, as when a card is pulled, what it gave before that is still observed
        and returned.
        """
        failure: ArchiveError | None = None
        waiting: deque[tuple[Seen, Waiting]] = deque()
        rest = iter(photos)
        with ThreadPoolExecutor(workers, thread_name_prefix="observer") as pool:
            line = _Line(self, pool, reused)
            try:
                while failure is None:
                    try:
                        photo = next(rest)
                    except StopIteration:
                        break
                    except ArchiveError as error:
                        failure = error
                        break
                    waiting.append((photo, line.begin(photo.pixels)))
                    if len(waiting) > workers:
                        yield line.finish(*waiting.popleft())
                while waiting:
                    yield line.finish(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)
        if failure is not None:
            raise failure

    def observe_after(self, pixels: Pixels, before: Step | None, step: Step) -> tuple[Pack, int]:
        """As `observe`, but for what the photo before shows as well; returns how many vectors are that one's, too."""
        try:
            height, width = pixels.shape[:2]
            regions = clean(self.segmenter.segment(pixels), width, height, self.cleanup)
            old = before.footprint.result() if before else NOTHING
            pieces = [self._piece(pixels, region, ordinal, old) for ordinal, region in enumerate(regions)]
            step.footprint.set_result(Footprint([one.box for one in pieces], [one.stamp for one in pieces]))
        except BaseException:
            step.footprint.set_result(NOTHING)
            raise
        fresh = [ordinal for ordinal, one in enumerate(pieces) if one.crop is not None]
        vectors = np.empty((len(pieces), self.embedder.dim), np.float32)
        if fresh:
            vectors[fresh] = self.embedder.embed_images([one.crop for one in pieces if one.crop is not None])
        if len(fresh) < len(pieces) and before is not None and before.pack is not None:
            rows = before.pack.result()[0].vectors
            carried = [(ordinal, one.old) for ordinal, one in enumerate(pieces) if one.crop is None]
            vectors[[ordinal for ordinal, _ in carried]] = rows[[at for _, at in carried]]
        boxes = np.array([one.box for one in pieces], dtype=np.int32)
        confidences = np.array([region.confidence for region in regions], dtype=np.float32)
        return Pack(0, boxes, confidences, vectors), len(pieces) - len(fresh)

    def _piece(self, pixels: Pixels, region: Region, ordinal: int, old: Footprint) -> _Piece:
        """A segment as it was before, where its place shows the same, else with a crop to be embedded."""
        at = stood_at(region.box, old.boxes) if ordinal else (0 if old.boxes and old.boxes[0] == region.box else None)
        if at is not None and is_same(stamp(self._crop(pixels, old.boxes[at], ordinal)), old.stamps[at]):
            return _Piece(old.boxes[at], old.stamps[at], None, at)
        crop = self._crop(pixels, region.box, ordinal)
        return _Piece(region.box, stamp(crop), crop, -1)

    def _crop(self, pixels: Pixels, box: Box, ordinal: int) -> Pixels:
        """What the embedder is shown of a segment; the whole frame, ordinal 0, has nothing around it."""
        return square(pixels, box, self.context if ordinal else 0.0, self.embedder.side)

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


@dataclass(frozen=True, slots=True)
class _Piece:
    """A segment on its way to its vector: from `crop`, or without one the vector `old` of the photo before."""

    box: Box
    stamp: NDArray[np.int16]
    crop: Pixels | None
    old: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A photo that is being looked at, or that `repeats` one which is."""

    observed: Future[tuple[Pack, int]]
    repeats: bool


class _Line:
    """Photos in their order: each learns what the one before it has shown."""

    def __init__(self, observer: Observer, pool: ThreadPoolExecutor, reused: Reused | None) -> None:
        self._observer = observer
        self._pool = pool
        self._reused = reused
        self._gate = Gate()
        self._last: Waiting | None = None
        self._step: Step | None = None

    def begin(self, pixels: Pixels) -> Waiting:
        """Have a photo looked at, if need be."""
        if self._reused is not None and self._gate.repeats(pixels) and self._last is not None:
            return Waiting(self._last.observed, repeats=True)
        if self._reused is None or isinstance(self._observer.embedder, RegionEmbedder):
            observed = self._pool.submit(self._anew, pixels)
        else:
            before, self._step = self._step, Step()
            observed = self._pool.submit(self._observer.observe_after, pixels, before, self._step)
            self._step.pack = observed
        self._last = Waiting(observed, repeats=False)
        return self._last

    def finish(self, photo: Seen, waiting: Waiting) -> tuple[Seen, Pack]:
        """A photo with its pack, once it is there."""
        pack, carried = waiting.observed.result()
        if self._reused is not None:
            carried = len(pack) if waiting.repeats else carried
            self._reused.count(vectors=len(pack), carried=carried, repeats=waiting.repeats)
        return photo, pack

    def _anew(self, pixels: Pixels) -> tuple[Pack, int]:
        return self._observer.observe(pixels), 0
