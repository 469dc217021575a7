"""From what a detector computes to the regions that a segmenter returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.types import Box, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Pixels


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
    """Rows of boxes (n, 4), the surest first, that no surer one repeats with a greater IoU; at most `limit`."""
    chosen: list[int] = []
    rest = np.arange(len(boxes))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    while len(rest) and len(chosen) < limit:
        at, rest = rest[0], rest[1:]
        chosen.append(at)
        across, down = (
            (np.minimum(boxes[at, 2:], boxes[rest, 2:]) - np.maximum(boxes[at, :2], boxes[rest, :2])).clip(0).T
        )
        shared = across * down
        rest = rest[~(shared > overlap * (areas[at] + areas[rest] - shared))]
    return np.array(chosen, dtype=np.intp)
