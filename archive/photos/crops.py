"""Cutting a segment out of its photo for the embedder: whole, square, with some of what surrounds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from archive.types import Box

if TYPE_CHECKING:
    from archive.types import Pixels

CONTEXT = 0.15
"""How much of its own width and height a box grows on each side: things are recognised by where they lie, too."""

NEUTRAL = (124, 117, 104)
"""The average colour of photographs: the towers' own normalisation turns it to zero, so the padding says nothing."""


LARGEST = 1024
"""The longest side of a crop, in pixels: more than any tower sees, and a bound on the square of a long photo."""


def square(pixels: Pixels, box: Box, context: float = CONTEXT) -> Pixels:
    """The box with `context` around it, as far as the photo reaches, centred on a neutral square.

    Nothing of the box is ever cut off or squeezed, so both ends of a pen survive; what is longer than LARGEST is made
    smaller as a whole. A photo that is square already comes back as it is; any other crop is copied once.
    """
    part = _grown(box, context, width=pixels.shape[1], height=pixels.shape[0])
    cut = _shrunk(pixels[part.top : part.bottom, part.left : part.right])
    height, width = cut.shape[:2]
    if width == height:
        return np.ascontiguousarray(cut)
    side = max(width, height)
    padded = np.empty((side, side, 3), dtype=np.uint8)
    padded.reshape(side, -1)[:] = np.tile(np.array(NEUTRAL, dtype=np.uint8), side)  # row by row: forty times as fast
    left, top = (side - width) // 2, (side - height) // 2
    padded[top : top + height, left : left + width] = cut
    return padded


def _shrunk(cut: Pixels) -> Pixels:
    height, width = cut.shape[:2]
    longest = max(width, height)
    if longest <= LARGEST:
        return cut
    size = max(1, round(width * LARGEST / longest)), max(1, round(height * LARGEST / longest))
    return np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0))


def _grown(box: Box, context: float, *, width: int, height: int) -> Box:
    across, down = math.ceil(box.width * context), math.ceil(box.height * context)
    return Box(
        max(0, box.left - across),
        max(0, box.top - down),
        min(width, box.right + across),
        min(height, box.bottom + down),
    )
