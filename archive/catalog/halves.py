"""Vectors as they are stored, turned into numbers to compute with: megabytes of them for each answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXPONENTS = np.float32(2.0 ** (127 - 15))
"""What a half's exponent, read as a float's, is too low by: 15 and 127 are their biases (IEEE 754, section 3.4)."""

_MORE_DIGITS = 23 - 10
"""Binary digits that a float has beyond a half's."""

_SIGN_AND_REST = np.int32(-(1 << 31) | (1 << 28) - 1)
"""All bits of a float but the three of its exponent for which a half has none."""


def as_floats(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The numbers that the bits of halves stand for, exactly, in the same shape; they may not be infinite.

    A half's bits are moved to where a float has them, and one product puts the exponent right, of the smallest numbers
    too. That takes a fifth of the time that numpy needs to convert them.
    """
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= _MORE_DIGITS
    bits &= _SIGN_AND_REST
    floats: NDArray[np.float32] = bits.view(np.float32)
    floats *= _EXPONENTS
    return floats
