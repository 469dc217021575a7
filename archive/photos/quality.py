"""How much a photo can show: nothing is dropped for it, but what shows little must not outrank what shows the thing.

The bars were set on 70 photos of everyday scenes, and on the same photos smeared along a row or a column. Sharpness is
the steepest step between neighbouring pixels of a picture 512 pixels long (its 99.9th percentile, in the direction that
has less), as a share of the picture's contrast: the whole photos lie at 0.077 to 0.82, those smeared over 4 % of their
length at 0.008 to 0.057, over 2 % at 0.016 to 0.089. The lowest contrast of the whole photos is 128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from archive.types import Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Pixels

    Grey: TypeAlias = NDArray[np.float32]

BLACK_BELOW = 24
"""A photo whose brightest hundredth is darker (of 255) shows nothing."""

COVERED_BELOW = 32
"""Less contrast than this between the darkest and the brightest hundredth: a finger, a sleeve, a white wall."""

BLURRED_BELOW = 0.07

SAME_WITHIN = 8
"""Two photos are near duplicates if no part of them, of 48 x 36, differs by more (of 255)."""

_LONG = 512
_PARTS = (48, 36)


def marks_of(pixels: Pixels) -> list[Mark]:
    """What keeps a photo from showing much; empty for most."""
    grey = _grey(pixels)
    darkest, brightest = np.percentile(grey, [1, 99])
    if brightest < BLACK_BELOW:
        return [Mark.BLACK]
    if brightest - darkest < COVERED_BELOW:
        return [Mark.COVERED]
    if _sharpness(grey) / (brightest - darkest) < BLURRED_BELOW:
        return [Mark.BLURRED]
    return []


def glance(pixels: Pixels) -> Grey:
    """A photo as 36 x 48 shades of grey, to compare it with another."""
    return np.asarray(Image.fromarray(pixels).convert("L").resize(_PARTS, Image.Resampling.BOX), np.float32)


def is_near_duplicate(one: Grey, other: Grey) -> bool:
    """Whether two glances show the same: nothing that is a fiftieth of the picture has come, gone or moved."""
    return bool(np.abs(one - other).max() <= SAME_WITHIN)


def _grey(pixels: Pixels) -> Grey:
    picture = Image.fromarray(pixels).convert("L")
    picture.thumbnail((_LONG, _LONG), Image.Resampling.BOX)
    return np.asarray(picture, np.float32)


def _sharpness(grey: Grey) -> float:
    steps = (np.abs(np.diff(grey, axis=axis)) for axis in (0, 1) if grey.shape[axis] > 1)
    return min((float(np.percentile(step, 99.9)) for step in steps), default=0.0)
