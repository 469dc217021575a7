"""What a space sees of a photo under many settings: each box is embedded once, and remembered on disk.

Settings differ in few boxes, so most of a variant costs nothing once another has been looked at. Its seconds are
reckoned as if it stood alone: those of its looks, and for each box what a box of its treatment took on average.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from time import process_time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from archive.cleanup import CleanUp, clean
from archive.photos.crops import square
from archive.photos.reading import decode
from archive.types import Box, Pack, Region

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.types import Pixels, Vectors
    from benchmarks.spaces import Space

Treatment = Literal["own", "centre", "square 0", "square 10", "square 25"]
"""How a box becomes a vector: as the pair itself does it, as open_clip's stock centre crop of the tight box, or as a
square crop with so many percent of context."""

CONTEXTS: dict[Treatment, float] = {"square 0": 0.0, "square 10": 0.10, "square 25": 0.25}
TILES_OVERLAP = 0.25
EDGE = 2


@dataclass(frozen=True, slots=True)
class View:
    """Settings under which a photo is seen.

    Several `treatments` are pooled: by `mean` a box has one vector, by `each` it has all of them, and the best counts.
    `floor` is the least confidence of a region. A `tiled` view looks at four overlapping quarters, too, and keeps what
    no inner edge cuts. `whole` stands for the frame alone.
    """

    cleanup: CleanUp
    treatments: tuple[Treatment, ...] = ("own",)
    pooling: Literal["mean", "each"] = "mean"
    floor: float = 0.0
    tiled: bool = False
    whole: bool = False


class Proposed(NamedTuple):
    """Regions of a photo, the part of it in which each was found, and the seconds that it took."""

    regions: list[Region]
    found_in: dict[Box, Box]
    seconds: float


class Look:
    """One photo through the eyes of one space; `folder` holds what was seen before."""

    def __init__(self, space: Space, photo: Path, folder: Path) -> None:
        self._space = space
        self._content = photo.read_bytes()
        name = hashlib.sha256(space.identity.encode() + self._content).hexdigest()[:32]
        self._file = folder / f"{name}.npz"
        self._kept: dict[str, NDArray[Any]] = {}
        if self._file.is_file():
            with np.load(self._file) as kept:
                self._kept = dict(kept)
        self._grown = False

    def save(self) -> None:
        """Remember what was seen, if any of it is new; runs side by side do not write into one another's files."""
        if not self._grown:
            return
        half = self._file.with_suffix(f".{os.getpid()}.npz")
        np.savez(half, **self._kept)  # type: ignore[arg-type]  # numpy takes the names for options
        half.replace(self._file)

    def observe(self, view: View) -> tuple[Pack, float]:
        """The photo's pack under these settings, and the seconds of a CPU that it costs."""
        proposed = self._proposed(tiled=view.tiled)
        width, height = self._size
        enough = [] if view.whole else [one for one in proposed.regions if one.confidence >= view.floor]
        regions = clean(enough, width, height, view.cleanup)
        boxes = [region.box for region in regions]
        treated = [self._treated(treatment, boxes, proposed.found_in) for treatment in view.treatments]
        looked = proposed.seconds if self._space.looks_at_regions or not view.whole else 0.0
        rows, repeats = _pooled([rows for rows, _ in treated], view.pooling)
        pack = Pack(
            photo_id=0,
            boxes=np.array(boxes, np.int32)[repeats],
            confidences=np.array([region.confidence for region in regions], np.float32)[repeats],
            vectors=rows,
        )
        return pack, looked + sum(seconds for _, seconds in treated)

    @cached_property
    def _pixels(self) -> Pixels:
        return decode(self._content).pixels

    @property
    def _size(self) -> tuple[int, int]:
        if "size" not in self._kept:
            height, width = self._pixels.shape[:2]
            self._kept["size"] = np.array([width, height])
        width, height = (int(side) for side in self._kept["size"])
        return width, height

    def _proposed(self, *, tiled: bool) -> Proposed:
        width, height = self._size
        parts = [Box(0, 0, width, height), *(_tiles(width, height) if tiled else ())]
        regions: list[Region] = []
        found_in: dict[Box, Box] = {}
        seconds = 0.0
        for part in parts:
            key = f"regions {tuple(part)}"
            if key not in self._kept:
                self._kept[key], self._kept[f"{key} seconds"] = self._segmented(part)
                self._grown = True
            seconds += float(self._kept[f"{key} seconds"])
            for *edges, confidence in self._kept[key].tolist():
                box = Box(*map(int, edges))
                regions.append(Region(box, confidence))
                found_in.setdefault(box, part)
        return Proposed(regions, found_in, seconds)

    def _segmented(self, part: Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Regions (n, 5) of a part of the photo, in pixels of the photo, and the seconds that they took."""
        _ = self._space.warm
        pixels = self._cut(part)
        began = process_time()
        found = self._space.observer.segmenter.segment(pixels)
        took = process_time() - began
        width, height = self._size
        rows = [(*_moved(one.box, part.left, part.top), one.confidence) for one in found]
        whole = [row for row in rows if _uncut(Box(*row[:4]), part, width, height)]
        return np.array(whole, np.float64).reshape(-1, 5), np.array(took)

    def _treated(self, treatment: Treatment, boxes: Sequence[Box], found_in: dict[Box, Box]) -> tuple[Vectors, float]:
        """A row for each box, the frame first, and the seconds that they take."""
        key = f"rows {treatment}"
        known = {Box(*box): row for row, box in enumerate(self._kept.get(f"{key} boxes", np.zeros((0, 4))).tolist())}
        new = [box for box in dict.fromkeys(boxes) if box not in known]
        if new:
            self._add(key, new, *self._embedded(treatment, new, boxes[0], found_in))
            known |= {box: len(known) + row for row, box in enumerate(new)}
        each = float(self._kept[f"{key} seconds"]) / len(known)
        rows = np.asarray(self._kept[f"{key} vectors"], np.float32)[[known[box] for box in boxes]]
        return rows, each * len(boxes)

    def _add(self, key: str, boxes: Sequence[Box], vectors: Vectors, seconds: float) -> None:
        self._grown = True
        for name, more in (("boxes", np.array(boxes, np.int32)), ("vectors", vectors)):
            old = self._kept.get(f"{key} {name}")
            self._kept[f"{key} {name}"] = more if old is None else np.concatenate([old, more])
        self._kept[f"{key} seconds"] = self._kept.get(f"{key} seconds", np.zeros(())) + seconds

    def _embedded(
        self, treatment: Treatment, boxes: Sequence[Box], frame: Box, found_in: dict[Box, Box]
    ) -> tuple[Vectors, float]:
        _ = self._space.warm
        seconds = 0.0
        rows: dict[Box, Vectors] = {}
        at = {box: found_in.get(box, frame) if self._space.looks_at_regions else frame for box in boxes}
        for part in dict.fromkeys(at.values()):
            mine = [box for box in boxes if at[box] == part]
            pixels = self._cut(part)
            moved = [_moved(box, -part.left, -part.top) for box in mine]
            if self._space.looks_at_regions and treatment == "own":
                self._space.observer.segmenter.segment(pixels)  # its look was counted where its regions were found
            began = process_time()
            rows |= dict(zip(mine, self._vectors(treatment, pixels, moved), strict=True))
            seconds += process_time() - began
        return np.stack([rows[box] for box in boxes]), seconds

    def _vectors(self, treatment: Treatment, pixels: Pixels, boxes: Sequence[Box]) -> Vectors:
        observer = self._space.observer
        frame = Box(0, 0, pixels.shape[1], pixels.shape[0])
        if treatment == "own":
            return observer.embed(pixels, [frame, *boxes])[1:] if boxes[0] != frame else observer.embed(pixels, boxes)
        if treatment == "centre":
            return observer.embedder.embed_images([_centre(pixels, box) for box in boxes])
        context = CONTEXTS[treatment]
        side = observer.embedder.side
        crops = [square(pixels, box, 0 if box == frame else context, side) for box in boxes]
        return observer.embedder.embed_images(crops)

    def _cut(self, part: Box) -> Pixels:
        if (part.width, part.height) == self._size:
            return self._pixels
        return np.ascontiguousarray(self._pixels[part.top : part.bottom, part.left : part.right])


def _pooled(treated: Sequence[Vectors], pooling: str) -> tuple[Vectors, NDArray[np.intp]]:
    """The rows of several treatments as one pack's, the frame first, and which box each row belongs to."""
    once = np.arange(len(treated[0]))
    if len(treated) == 1:
        return treated[0], once
    mean = np.mean(treated, axis=0)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    if pooling == "mean":
        return mean, once
    things = np.concatenate([rows[1:] for rows in treated])
    return np.concatenate([mean[:1], things]), np.concatenate([once[:1], np.tile(once[1:], len(treated))])


def _centre(pixels: Pixels, box: Box) -> Pixels:
    """The square in the middle of a box: what the stock preprocessing leaves of it."""
    side = min(box.width, box.height)
    left, top = box.left + (box.width - side) // 2, box.top + (box.height - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _tiles(width: int, height: int) -> list[Box]:
    across, down = (round(side * (1 + TILES_OVERLAP) / 2) for side in (width, height))
    return [Box(left, top, left + across, top + down) for left in (0, width - across) for top in (0, height - down)]


def _moved(box: Box, across: int, down: int) -> Box:
    return Box(box.left + across, box.top + down, box.right + across, box.bottom + down)


def _uncut(box: Box, part: Box, width: int, height: int) -> bool:
    """Whether a box keeps away from those sides of its part that are not sides of the photo."""
    cut = (
        0 < part.left > box.left - EDGE,
        0 < part.top > box.top - EDGE,
        width > part.right < box.right + EDGE,
        height > part.bottom < box.bottom + EDGE,
    )
    return not any(cut)
