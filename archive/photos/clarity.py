"""Whether a picture shows its thing well enough to learn it from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from archive.types import Box, Pixels

LEAST_SIDE = 32
"""Pixels of the shorter side below which a tower sees little more than a colour."""

LEAST_DETAIL = 0.03
"""Variance of the Laplacian over variance of the brightness. Over the frames of a hand-held pan it ranks as their
labelled sharpness does (0.96), and the most blurred twentieth lies below 0.04; of everyday things, one box in a hundred
lies below 0.09."""

_LOOKED_AT = 256
_EVEN = 4.0


def doubts(pixels: Pixels, box: Box) -> list[str]:
    """What is wrong with a box as a picture of a thing, in words; nothing where it is fine.

    The variance of the Laplacian measures focus (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy",
    2000); divided by the variance of the brightness it does not depend on contrast.
    """
    found = []
    if min(box.width, box.height) < LEAST_SIDE:
        found.append(f"it is tiny, {box.width} x {box.height} pixels; a closer photo teaches more")
    elif detail(pixels, box) < LEAST_DETAIL:
        found.append("it is blurred; a sharper photo teaches more")
    return found


def detail(pixels: Pixels, box: Box) -> float:
    """How much of a box's contrast is fine detail; 1 where it is all one colour, which has no focus."""
    cut = Image.fromarray(pixels[box.top : box.bottom, box.left : box.right]).convert("L")
    cut.thumbnail((_LOOKED_AT, _LOOKED_AT))
    grey = np.asarray(cut, dtype=np.float32)
    if grey.var() < _EVEN:
        return 1.0
    middle = 4 * grey[1:-1, 1:-1]
    laplacian = middle - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(laplacian.var() / grey.var())
