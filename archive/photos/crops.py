"""Cutting a segment out of its photo for the embedder: whole, square, with some of what surrounds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from archive.types import Box, Pixels

CONTEXT = 0.15
"""How much of its own width and height a box grows on each side: things are recognised by where they lie, too."""

NEUTRAL = (124, 117, 104)
"""The average colour of photographs: the towers' own normalisation turns it to zero, so the padding says nothing."""

LARGEST = 1024
"""The longest side of a crop, in pixels: more than any tower sees, and a bound on the square of a long photo."""

REACH = 2
"""Pixels of a smaller picture over which one of its edges is felt: so far does a bicubic filter reach."""

GAP = 1.5
"""Averages of whole pixels make a crop smaller first, down to so many times the wanted side; the filter does the rest.

Without them it takes a third longer. They move the vectors of the tests' own pair by a cosine of .9998."""


def square(pixels: Pixels, box: Box, context: float = CONTEXT, side: int | None = None) -> Pixels:
    """The box with `context` around it, as far as the photo reaches, centred on a neutral square.

    Nothing of the box is ever cut off or squeezed, so both ends of a pen survive; what is longer than LARGEST is made
    smaller as a whole. A photo that is square already comes back as it is; any other crop is copied once.

    With `side`, which is what a tower looks at, a larger crop is made smaller to it without a square of the photo's own
    pixels on the way. What was cut lies where it would in such a square that was made smaller afterwards, to a fraction
    of a pixel: half a pixel is a mean cosine of .995.
    """
    cut = _cut(pixels, box, context)
    if side is None:
        return _centred(_shrunk(cut))
    return _centred(cut) if max(cut.shape) <= side else _fitted(cut, side)


def _cut(pixels: Pixels, box: Box, context: float) -> Pixels:
    height, width = pixels.shape[:2]
    across, down = math.ceil(box.width * context), math.ceil(box.height * context)
    return pixels[
        max(0, box.top - down) : min(height, box.bottom + down),
        max(0, box.left - across) : min(width, box.right + across),
    ]


def _shrunk(cut: Pixels) -> Pixels:
    height, width = cut.shape[:2]
    longest = max(width, height)
    if longest <= LARGEST:
        return cut
    size = max(1, round(width * LARGEST / longest)), max(1, round(height * LARGEST / longest))
    return np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0))


def _centred(cut: Pixels) -> Pixels:
    height, width = cut.shape[:2]
    if width == height:
        return np.ascontiguousarray(cut)
    side = max(width, height)
    return _on_neutral(cut, side, side, (side - height) // 2, (side - width) // 2)


def _fitted(cut: Pixels, side: int) -> Pixels:
    """The cut on a neutral square of that side; only as much padding is made smaller with it as its edges need."""
    height, width = cut.shape[:2]
    longest, shortest = max(width, height), min(width, height)
    scale = longest / side
    before = (longest - shortest) // 2  # pixels of padding, were the square whole
    after = longest - shortest - before
    first = max(0, math.floor(before / scale - REACH))
    last = min(side, math.ceil((before + shortest) / scale + REACH))
    rim = math.ceil((2 * REACH + 1) * scale)
    lead, trail = min(rim, before), min(rim, after)
    near = max(0.0, first * scale - before + lead)
    far = min(float(lead + shortest + trail), last * scale - before + lead)
    if width < height:
        padded = _on_neutral(cut, height, lead + width + trail, 0, lead)
        return _on_neutral(_resized(padded, last - first, side, (near, 0, far, height)), side, side, 0, first)
    padded = _on_neutral(cut, lead + height + trail, width, lead, 0)
    return _on_neutral(_resized(padded, side, last - first, (0, near, width, far)), side, side, first, 0)


def _resized(pixels: Pixels, width: int, height: int, part: tuple[float, float, float, float]) -> Pixels:
    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box=part, reducing_gap=GAP))


def _on_neutral(part: Pixels, height: int, width: int, top: int, left: int) -> Pixels:
    if part.shape[:2] == (height, width):
        return part
    padded = np.empty((height, width, 3), dtype=np.uint8)
    padded.reshape(height, -1)[:] = np.tile(np.array(NEUTRAL, dtype=np.uint8), width)  # row by row: forty times as fast
    padded[top : top + part.shape[0], left : left + part.shape[1]] = part
    return padded
