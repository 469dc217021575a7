"""Cutting a segment out of its photo for the embedder: whole, square, with some of what surrounds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from archive.types import Box

if TYPE_CHECKING:
    from archive.types import Pixels

CONTEXT = 0.15
"""How much of its own width and height a box grows on each side: things are recognised by where they lie, too."""

NEUTRAL = (124, 117, 104)
"""The average colour of photographs: the towers' own normalisation turns it to zero, so the padding says nothing."""


def square(pixels: Pixels, box: Box, context: float = CONTEXT) -> Pixels:
    """The box with `context` around it, as far as the photo reaches, centred on a neutral square.

    Nothing of the box is ever cut off or squeezed, so both ends of a pen survive. A photo that is square already
    comes back as it is; any other crop is copied once.
    """
    part = _grown(box, context, width=pixels.shape[1], height=pixels.shape[0])
    cut = pixels[part.top : part.bottom, part.left : part.right]
    if part.width == part.height:
        return np.ascontiguousarray(cut)
    side = max(part.width, part.height)
    padded = np.empty((side, side, 3), dtype=np.uint8)
    padded.reshape(side, -1)[:] = np.tile(np.array(NEUTRAL, dtype=np.uint8), side)  # row by row: forty times as fast
    left, top = (side - part.width) // 2, (side - part.height) // 2
    padded[top : top + part.height, left : left + part.width] = cut
    return padded


def _grown(box: Box, context: float, *, width: int, height: int) -> Box:
    across, down = math.ceil(box.width * context), math.ceil(box.height * context)
    return Box(
        max(0, box.left - across),
        max(0, box.top - down),
        min(width, box.right + across),
        min(height, box.bottom + down),
    )
