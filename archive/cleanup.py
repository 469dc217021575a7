"""From a segmenter's proposals to a photo's segments: the whole frame first, then things that are worth a vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archive.types import MAX_SEGMENTS, Box, Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Edges = NDArray[np.int64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What survives. Shares and overlaps run from 0 to 1; the figures of the defaults stand at `clean`.

    `least_side` and `least_share` are the smallest thing: its shorter side in pixels, its share of the frame.
    `most_share` is the share of the frame from which a box says no more than the frame does.
    Two boxes are one thing where their IoU exceeds `same_overlap`, or where more than `inside` of one lies in the
    other and their areas' ratio exceeds `alike`.
    `limit` is the most segments of a photo, the frame included.
    """

    least_side: int = 8
    least_share: float = 1 / 5000
    most_share: float = 0.8
    same_overlap: float = 0.6
    inside: float = 0.9
    alike: float = 0.7
    limit: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_SEGMENTS:
            raise ValueError(f"limit must lie between 1 and {MAX_SEGMENTS}, not {self.limit}")

    @property
    def identity(self) -> str:
        """Every setting that changes the segments, for the name under which they are stored."""
        small = f"{self.least_side}px{self.least_share:.3g}"
        same = f"{self.same_overlap:g}i{self.inside:g}a{self.alike:g}"
        return f"clean-{small}-m{self.most_share:g}-s{same}-n{self.limit}"


def clean(regions: Sequence[Region], width: int, height: int, settings: CleanUp = CleanUp()) -> list[Region]:
    """The frame, then the distinct things inside it, the surest first; the order of `regions` does not matter.

    Where more remain than `limit`, the surest stay. On 222 everyday photos, looked at with 1024 px, that finds .749 of
    the labelled things (IoU >= .5; small .53, medium .81, large .93); confidence x sqrt(area) finds .734 (.48, .81,
    .95), and no power of the area finds more. With a `same_overlap` of .7, duplicates leave room for .743 only.
    """
    frame = Region(Box(0, 0, width, height), 1.0)
    edges, confidences = _inside(regions, width, height)
    worth = _worth_a_vector(edges, width * height, settings)
    edges, confidences = _surest_first(edges[worth], confidences[worth])
    kept = _first_of_each_thing(edges, settings)
    return [frame, *(Region(Box(*edges[at].tolist()), float(confidences[at])) for at in kept)]


def _inside(regions: Sequence[Region], width: int, height: int) -> tuple[Edges, NDArray[np.float64]]:
    edges = np.array([region.box for region in regions], dtype=np.int64).reshape(-1, 4)
    confidences = np.array([region.confidence for region in regions], dtype=np.float64)
    return edges.clip(0, [width, height, width, height]), confidences


def _worth_a_vector(edges: Edges, frame: int, settings: CleanUp) -> Flags:
    sides = edges[:, 2:] - edges[:, :2]
    share = sides.prod(axis=1) / frame
    long_enough = sides.min(axis=1) >= max(1, settings.least_side)
    worth: Flags = long_enough & (share >= settings.least_share) & (share < settings.most_share)
    return worth


def _surest_first(edges: Edges, confidences: NDArray[np.float64]) -> tuple[Edges, NDArray[np.float64]]:
    """Equally sure boxes stand from left to right, so that no input order shows through."""
    order = np.lexsort((*edges.T[::-1], -confidences))
    return edges[order], confidences[order]


def _first_of_each_thing(edges: Edges, settings: CleanUp) -> list[int]:
    """Rows that no earlier chosen row repeats, at most so many as leave room for the frame."""
    chosen: list[int] = []
    repeated = np.zeros(len(edges), dtype=bool)
    for at in range(len(edges)):
        if len(chosen) == settings.limit - 1:
            break
        if not repeated[at]:
            chosen.append(at)
            repeated |= _same_thing(edges, at, settings)
    return chosen


def _same_thing(edges: Edges, at: int, settings: CleanUp) -> Flags:
    """For each box, whether it shows what the box `at` shows: bool (n,)."""
    left, top, right, bottom = edges.T
    across = np.minimum(right, right[at]) - np.maximum(left, left[at])
    down = np.minimum(bottom, bottom[at]) - np.maximum(top, top[at])
    shared = across.clip(0) * down.clip(0)
    areas = (right - left) * (bottom - top)
    smaller, larger = np.minimum(areas, areas[at]), np.maximum(areas, areas[at])
    overlapping = shared > settings.same_overlap * (smaller + larger - shared)
    contained = (shared > settings.inside * smaller) & (smaller > settings.alike * larger)
    same: Flags = overlapping | contained
    return same
