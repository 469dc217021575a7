"""The space of the pair that pools: 256 dimensions, each with a meaning.

    0 to 79     how much it is each of the network's eighty classes
    80 to 90    how much of it has each basic colour
    91 to 253   what it means otherwise
    254, 255    what is missing to a length of one: the former of a text, the latter of a picture

A text and a picture never share the last two, so their inner product is the weighted sum of three likenesses, and a
picture about which nothing is sure stays far from every word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Vectors

    Floats = NDArray[np.float32]

CLASSES = slice(0, 80)
HUES = slice(80, 91)
MEANING = slice(91, 254)
TEXT_SLACK, PICTURE_SLACK = 254, 255
DIM = 256

CLASS_LENGTH, HUE_LENGTH, MEANING_LENGTH = 0.75, 0.30, 0.55
"""Lengths of a picture's three parts; their squares sum to just under one."""


def picture_rows(evidence: Floats, hues: Floats, meaning: Floats) -> Vectors:
    """Unit rows (n, 256) of pictures: class evidence (n, 80) and hue shares (n, 11) from 0 to 1, meanings (n, 163)."""
    rows = np.zeros((len(evidence), DIM), np.float32)
    rows[:, CLASSES] = CLASS_LENGTH * evidence / np.maximum(1, np.linalg.norm(evidence, axis=1, keepdims=True))
    rows[:, HUES] = HUE_LENGTH * hues
    rows[:, MEANING] = MEANING_LENGTH * unit(meaning)
    rows[:, PICTURE_SLACK] = missing(rows)
    return rows


def missing(rows: Floats) -> Floats:
    """What each row (n, d) lacks to a length of one, float32 (n,)."""
    lengths: Floats = np.sqrt((1 - np.einsum("ij,ij->i", rows, rows)).clip(0)).astype(np.float32)
    return lengths


def unit(rows: Floats) -> Floats:
    """Rows divided by their lengths; a row of zeros stays one."""
    scaled: Floats = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return scaled
