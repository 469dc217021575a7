"""Which of the basic colours a part of a photo has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Pixels

    Floats = NDArray[np.float32]

COLOURS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
"""Basic colour terms of English (Berlin and Kay, "Basic Color Terms", 1969)."""

_LONGEST = 192
"""The longer side, in pixels, at which colours are counted."""

_RIM = 0.15
"""The share of a box on each side that is left out: it shows what lies behind the thing."""

_HUE_ENDS = (8, 24, 38, 85, 128, 148, 172)
_HUE_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "red")
"""Where one colour's hues end and the next one's begin, of Pillow's 256."""


def hue_shares(pixels: Pixels, boxes: NDArray[np.int32]) -> Floats:
    """The share of each box (n, 4) that has each colour, without its rim: float32 (n, 11), rows that sum to one."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, _LONGEST / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    named = _named(np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)))
    sums = np.zeros((len(COLOURS), size[1] + 1, size[0] + 1), np.int64)
    sums[:, 1:, 1:] = (named[None] == np.arange(len(COLOURS))[:, None, None]).cumsum(axis=1).cumsum(axis=2)
    rim = (boxes[:, 2:] - boxes[:, :2]) * _RIM
    inner = np.concatenate([boxes[:, :2] + rim, boxes[:, 2:] - rim], axis=1)
    inner *= np.tile([size[0] / width, size[1] / height], 2)
    left, top = np.floor(inner[:, :2]).astype(int).T.clip(0, np.array(size)[:, None] - 1)
    right, bottom = np.maximum(np.ceil(inner[:, 2:]).astype(int).T, [left + 1, top + 1])
    right, bottom = right.clip(max=size[0]), bottom.clip(max=size[1])
    counts = sums[:, bottom, right] - sums[:, top, right] - sums[:, bottom, left] + sums[:, top, left]
    shares: Floats = (counts / counts.sum(axis=0)).T.astype(np.float32)
    return shares


def _named(pixels: Pixels) -> NDArray[np.intp]:
    """The place in COLOURS of each pixel's colour, (height, width)."""
    hue, saturation, value = np.asarray(Image.fromarray(pixels).convert("HSV")).transpose(2, 0, 1).astype(int)
    places = np.array([COLOURS.index(colour) for colour in _HUE_COLOURS], np.intp)
    names: NDArray[np.intp] = places[np.searchsorted(_HUE_ENDS, hue, side="right")]
    warm = (hue < 30) | (hue > 245)
    names[warm & (saturation < 130) & (value > 180)] = COLOURS.index("pink")
    names[(hue >= 5) & (hue < 35) & (value < 150)] = COLOURS.index("brown")
    names[saturation < 45] = COLOURS.index("grey")
    names[(saturation < 45) & (value > 195)] = COLOURS.index("white")
    names[(value < 50) | ((saturation < 60) & (value < 75))] = COLOURS.index("black")
    return names
