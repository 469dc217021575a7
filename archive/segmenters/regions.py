"""From what a detector computes to the regions that a segmenter returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.types import Box, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Pixels

AT_ONCE = 256
"""Boxes that are compared with each other together."""


def blue_first(pixels: Pixels) -> Pixels:
    """A copy in BGR, the order in which ultralytics takes arrays."""
    return np.ascontiguousarray(pixels[..., ::-1])


def regions(boxes: NDArray[np.float32], confidences: NDArray[np.float32], pixels: Pixels) -> list[Region]:
    """Boxes (n, 4) in pixels of the photo as regions: on whole pixels, inside the photo, without the empty ones."""
    height, width = pixels.shape[:2]
    edges = np.rint(boxes).clip(0, [width, height, width, height]).astype(int)
    sure = np.clip(confidences, 0.0, 1.0)
    filled = (edges[:, 2] > edges[:, 0]) & (edges[:, 3] > edges[:, 1])
    return [
        Region(Box(*box), confidence)
        for box, confidence in zip(edges[filled].tolist(), sure[filled].tolist(), strict=True)
    ]


def distinct(boxes: NDArray[np.float32], overlap: float, limit: int) -> NDArray[np.intp]:
    """Rows of boxes (n, 4), the surest first, that no surer one repeats with a greater IoU; at most `limit`.

    A part of them at a time, against those that are chosen already: boxes behind the last one chosen are never met.
    """
    chosen = np.empty(0, np.intp)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for start in range(0, len(boxes), AT_ONCE):
        rest = np.arange(start, min(start + AT_ONCE, len(boxes)))
        rest = rest[~_repeated(boxes, areas, chosen, rest, overlap).any(axis=0)]
        repeated = _repeated(boxes, areas, rest, rest, overlap)
        first = np.ones(len(rest), bool)
        for at in range(len(rest)):
            first[at + 1 :] &= ~(first[at] & repeated[at, at + 1 :])
        chosen = np.concatenate([chosen, rest[first]])
        if len(chosen) >= limit:
            break
    return chosen[:limit]


def _repeated(
    boxes: NDArray[np.float32],
    areas: NDArray[np.float32],
    ones: NDArray[np.intp],
    others: NDArray[np.intp],
    overlap: float,
) -> NDArray[np.bool_]:
    """Whether the IoU of each of some boxes, by their rows, with each of others is greater: bool (ones, others)."""
    left, top, right, bottom = boxes.T
    across = np.minimum(right[ones, None], right[others]) - np.maximum(left[ones, None], left[others])
    down = np.minimum(bottom[ones, None], bottom[others]) - np.maximum(top[ones, None], top[others])
    shared = across.clip(0) * down.clip(0)
    repeated: NDArray[np.bool_] = shared > overlap * (areas[ones, None] + areas[others] - shared)
    return repeated
