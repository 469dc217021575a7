"""How much a photo can show: nothing is dropped for it, but what shows little must not outrank what shows the thing.

The bars were set on 70 photos of everyday scenes, and on the same photos smeared along a row or a column. Sharpness is
the steepest step of any colour between neighbours in a picture 512 pixels long (its 99.9th percentile, in the direction
that has less), as a share of the picture's contrast. The whole photos lie at 0.082 to 0.86; smeared over 4 % of their
length they lie at 0.013 to 0.087, nine of ten below the bar; of those smeared over 2 % few do. The lowest contrast of
the whole photos is 153.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from archive.types import Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Pixels

    Glance: TypeAlias = NDArray[np.int16]

BLACK_BELOW = 24
"""A photo whose brightest hundredth is darker (of 255) shows nothing."""

COVERED_BELOW = 32
"""Less contrast than this between the darkest and the brightest hundredth: a finger, a sleeve, a white wall."""

BLURRED_BELOW = 0.075

SAME_WITHIN = 8
"""Two photos are near duplicates if no colour of any of 48 x 36 parts differs by more (of 255)."""

_LONG = 512
_PARTS = (48, 36)


def marks_of(pixels: Pixels) -> list[Mark]:
    """What keeps a photo from showing much; empty for most."""
    picture = _small(pixels)
    darkest, brightest = np.percentile(picture, [1, 99], axis=(0, 1))
    if brightest.max() < BLACK_BELOW:
        return [Mark.BLACK]
    contrast = float((brightest - darkest).max())
    down, across = (_steepest(picture, axis) / max(contrast, 1.0) for axis in (0, 1))
    if contrast < COVERED_BELOW or max(down, across) < BLURRED_BELOW:
        return [Mark.COVERED]  # a finger before the lens lets light and shade through, but no edge in any direction
    return [Mark.BLURRED] if min(down, across) < BLURRED_BELOW else []


def glance(pixels: Pixels) -> Glance:
    """A photo as 36 x 48 colours, to compare it with another."""
    return np.asarray(Image.fromarray(pixels).resize(_PARTS, Image.Resampling.BOX), np.int16)


def is_near_duplicate(one: Glance, other: Glance) -> bool:
    """Whether two glances show the same: nothing that is a fiftieth of the picture has come, gone or moved."""
    return bool(np.abs(one - other).max() <= SAME_WITHIN)


def _small(pixels: Pixels) -> NDArray[np.int16]:
    """The picture at most 512 pixels long, its three colours apart: green on grey is not seen in their mean."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((_LONG, _LONG), Image.Resampling.BOX)
    return np.asarray(picture, np.int16)


def _steepest(picture: NDArray[np.int16], axis: int) -> float:
    if picture.shape[axis] < 2:
        return 0.0
    return float(np.percentile(np.abs(np.diff(picture, axis=axis)).max(axis=2), 99.9))


class Look:
    """Looks at each photo that is kept, and remembers the one before it, to tell a near duplicate."""

    def __init__(self) -> None:
        self._before: Glance | None = None

    def marks(self, pixels: Pixels, *, damaged: bool) -> tuple[Mark, ...]:
        """What may keep this photo from showing a thing."""
        marks = [*([Mark.DAMAGED] if damaged else []), *marks_of(pixels)]
        seen = glance(pixels)
        if self._before is not None and is_near_duplicate(seen, self._before):
            return (*marks, Mark.DUPLICATE)
        self._before = seen  # of a run of duplicates the first is compared with, so that slow change is seen
        return tuple(marks)
