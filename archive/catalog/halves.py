"""Vectors as they are stored, turned into numbers to compute with: a megabyte and more of them for each answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
"""What each half stands for. To look one up takes half the time that numpy needs to convert it."""


def as_floats(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The numbers that the bits of halves stand for, in the same shape."""
    floats: NDArray[np.float32] = _EVERY.take(halves)
    return floats
