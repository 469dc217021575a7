"""Pooling: what one look of a network says of each part of a photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Glance

    Floats = NDArray[np.float32]

AROUND = 0.6
"""The IoU from which a box of the network speaks for a region."""

STRIDES = (8, 16, 32)
SAMPLES = 3
"""Places at which a region's features are read, across and down."""


def evidence(glance: Glance, edges: NDArray[np.int32]) -> Floats:
    """How sure the network is of each class for each box (n, 4): the most that any box around it says, (n, classes)."""
    kinds = glance.scores.shape[1] - 1
    sure = np.zeros((len(edges), kinds), np.float32)
    if not len(glance.boxes) or not len(edges):
        return sure
    sure[0] = glance.scores[:, :kinds].max(axis=0)
    for row, box in enumerate(edges[1:], 1):
        around = _overlaps(box.astype(np.float32), glance.boxes) > AROUND
        sure[row] = glance.scores[around, :kinds].max(axis=0, initial=0)
    return sure


def _overlaps(box: Floats, boxes: Floats) -> Floats:
    """The IoU of one box (4,) with each of several (n, 4): float32 (n,)."""
    shared = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    overlaps: Floats = shared / np.maximum((box[2:] - box[:2]).prod() + areas - shared, 1e-9)
    return overlaps


def features(glance: Glance, edges: NDArray[np.int32], sure: Floats) -> Floats:
    """What the meaning of each box (n, 4) is read from: its pooled features and its evidence, float32 (n, 448 + 80)."""
    return np.concatenate([_pooled(glance, edges), np.sqrt(sure)], axis=1)


def _pooled(glance: Glance, edges: NDArray[np.int32]) -> Floats:
    """The levels' features in each box, the mean of some places read between pixels: float32 (n, 448).

    He, Gkioxari, Dollár and Girshick, "Mask R-CNN" (2017), RoIAlign with 3 x 3 bins of one sample, averaged.
    """
    boxes = edges * glance.scale
    places = (np.arange(SAMPLES) + 0.5) / SAMPLES
    columns = []
    for level, stride in zip(glance.levels, STRIDES, strict=True):
        _, height, width = level.shape
        across = ((boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * places) / stride - 0.5).clip(0, width - 1)
        down = ((boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * places) / stride - 0.5).clip(0, height - 1)
        columns.append(_read_between(level, across, down).mean(axis=(2, 3)).T)
    pooled: Floats = np.concatenate(columns, axis=1).astype(np.float32)
    return pooled


def _read_between(level: Floats, across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear values of a level (c, height, width) at the crossings of places (n, s): (c, n, s, s)."""
    left, top = across.astype(int), down.astype(int)
    right, bottom = np.minimum(left + 1, level.shape[2] - 1), np.minimum(top + 1, level.shape[1] - 1)
    rightward, downward = (across - left)[:, None, :], (down - top)[:, :, None]

    def at(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        return level[:, rows[:, :, None], columns[:, None, :]]

    upper = at(top, left) * (1 - rightward) + at(top, right) * rightward
    lower = at(bottom, left) * (1 - rightward) + at(bottom, right) * rightward
    values: NDArray[np.float64] = upper * (1 - downward) + lower * downward
    return values
