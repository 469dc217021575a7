"""What a photo need not be looked at for, since a photo before it showed the same.

A camera that is worn takes hundreds of photos of one desk. Two things are reused, each only where the pixels are the
same but for noise:

- a whole photo, where no cell of it differs from the last photo that was looked at: it has that one's segments;
- the vector of a segment, where the place that it was cut from shows the same as before: it keeps its box, too.

Compared is always with the pixels from which a vector was made, never with the photo just before, so that slow change
cannot creep past. Things are looked for in every photo that is not a repetition, so a thing that was not there before
is a new segment with a vector of its own.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from archive.types import Box, Pack, Pixels

SAME_WITHIN = 8
"""The most by which a colour of a cell may differ, of 255. The noise of a good sensor moves a cell of 16 pixels by 7
at the most; a thing of 5 x 5 pixels that is 15 brighter or darker than what it lies on moves one by more than 8."""

CELLS = 400
"""Cells along the longer side of a photo: four pixels of 1600, and smaller than anything that gets a segment."""

STAMP = 32
"""Cells along each side of a segment's crop: a tower with patches of 32 pixels sees no finer ones of its own."""

SAME_PLACE = 0.9
"""The IoU from which a segment may be the one that stood there before."""


@dataclass(slots=True)
class Reuse:
    """What an ingest reused: photos that repeat one before them, and vectors that were carried over, of all."""

    photos: int = 0
    carried: int = 0
    vectors: int = 0

    @property
    def rate(self) -> float:
        """The share of all vectors that was not computed anew."""
        return self.carried / self.vectors if self.vectors else 0.0

    def count(self, *, vectors: int, carried: int, repeats: bool) -> None:
        """One more photo."""
        self.photos += repeats
        self.carried += carried
        self.vectors += vectors


class Gate:
    """Tells a photo that repeats the last one that was looked at."""

    def __init__(self) -> None:
        self._cells: NDArray[np.int16] | None = None
        self._size: tuple[int, ...] = ()

    def repeats(self, pixels: Pixels) -> bool:
        """Whether it shows the same; if not, it will be looked at, and later ones are compared with it."""
        cells = np.asarray(Image.fromarray(pixels).reduce(max(1, max(pixels.shape[:2]) // CELLS)), np.int16)
        if self._cells is not None and self._size == pixels.shape and is_same(cells, self._cells):
            return True
        self._cells, self._size = cells, pixels.shape
        return False


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where a photo's vectors were made: boxes, and each crop's stamp int16 (n, 32, 32, 3)."""

    boxes: Sequence[Box]
    stamps: Sequence[NDArray[np.int16]]


NOTHING = Footprint((), ())


class Step:
    """A photo on its way: its footprint is known before its vectors are, so that the next photo need not wait."""

    def __init__(self) -> None:
        self.footprint: Future[Footprint] = Future()
        self.pack: Future[tuple[Pack, int]] | None = None


def stamp(crop: Pixels) -> NDArray[np.int16]:
    """A square crop as 32 x 32 colours."""
    return np.asarray(Image.fromarray(crop).resize((STAMP, STAMP), Image.Resampling.BOX), np.int16)


def is_same(one: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
    """Whether no cell differs by more than noise."""
    return bool(np.abs(one - other).max() <= SAME_WITHIN)


def stood_at(box: Box, before: Sequence[Box]) -> int | None:
    """Which of the boxes before lies where this one lies."""
    overlaps = [_overlap(box, other) for other in before]
    at = max(range(len(overlaps)), key=overlaps.__getitem__, default=None)
    return at if at is not None and overlaps[at] >= SAME_PLACE else None


def _overlap(one: Box, other: Box) -> float:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    if across <= 0 or down <= 0:
        return 0.0
    both = across * down
    return both / (one.width * one.height + other.width * other.height - both)
