"""A segmenter and an embedder for a world of coloured squares: deterministic, readable, and without weights.

A photo of that world is grey, with a few rectangles in named colours. The segmenter finds each of them; the embedder's
space has one axis for each colour, so the cosine of a square and its colour's name is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.types import Box, Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from archive.types import Pixels, Vectors

COLOURS = {
    "grey": (128, 128, 128),
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (30, 60, 220),
    "yellow": (230, 220, 30),
    "white": (250, 250, 250),
    "black": (5, 5, 5),
}
_PALETTE = np.array(list(COLOURS.values()), dtype=np.int32)


def _nearest(pixels: Pixels) -> NDArray[np.intp]:
    """The palette's index of each pixel (height, width)."""
    distance = np.abs(pixels[:, :, None, :].astype(np.int32) - _PALETTE).sum(axis=3)
    nearest: NDArray[np.intp] = distance.argmin(axis=2)
    return nearest


class ColourSegmenter:
    """Finds the bounding box of each colour but grey."""

    name = "colours"

    def segment(self, pixels: Pixels) -> list[Region]:
        """One region for each colour that is in the photo."""
        nearest = _nearest(pixels)
        regions = []
        for index in range(1, len(COLOURS)):
            rows, columns = np.nonzero(nearest == index)
            if len(rows) > 16:
                box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
                regions.append(Region(box, 0.9))
        return regions


class ColourEmbedder:
    """One axis for each colour, and a last one for words that name none."""

    space = "colours@1"
    side: int | None = None
    dim = len(COLOURS) + 1

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        """How much of each colour a crop has."""
        rows = np.zeros((len(crops), self.dim), dtype=np.float32)
        for row, crop in zip(rows, crops, strict=True):
            row[:-1] = np.bincount(_nearest(crop).ravel(), minlength=len(COLOURS))
        return _unit(rows)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """The colours that a text names."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[list(COLOURS).index(word) if word in COLOURS else -1] += 1
        rows[~rows.any(axis=1), -1] = 1
        return _unit(rows)


class TurnedEmbedder(ColourEmbedder):
    """The same colours in a space of its own, each on the axis of the next: a vector of the other says something else.

    Red here is where the other has green, so whoever mixed the two would find the wrong things.
    """

    space = "turned@1"

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        """How much of each colour a crop has."""
        return _turned(super().embed_images(crops))

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """The colours that a text names."""
        return _turned(super().embed_text(texts))


def _turned(rows: Vectors) -> Vectors:
    return np.ascontiguousarray(np.roll(rows, 1, axis=1))


def _unit(rows: Vectors) -> Vectors:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12), dtype=np.float32)
