"""How a clustered shard divides the cells of its training into parts of its own, so that few of its rows are read.

A training is learned once, from the first vectors of an archive, and shards that are many times as large put so many
times as many rows into each of its cells. Codes stay what they are beyond the middle of the cell, and the parts of a
cell follow one another in its list: who reads all of them reads the list as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.indexes.codes import BLOCK
from archive.indexes.training import cells_of, neighbourhoods

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Vectors

ROWS = 256
"""In a part, about. Of ten million made-up vectors 418,000 are in the parts that hold 97 % of the true ten of words. In
parts of 64 rows it is 325,000, but there are four times as many to be ranked and to begin with; of 512, 429,000.
"""

PLACED = 32
"""Dimensions in which parts are told apart, the first. Twice as many find no more."""

_ITERATIONS = 5


def divided(placed: Vectors) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order in which the rows of a cell (n, near) are to stand, and how many of them each part holds.

    A part is whole blocks but for the last one. Parts that follow one another lie side by side in the first dimension,
    and so do their rows, so that those of which a neighbour's block is filled up are the nearest to it.
    """
    count = max(1, round(len(placed) / ROWS))
    centres = placed[:1] if count == 1 else neighbourhoods(placed, count, _ITERATIONS)
    centres = centres[np.argsort(centres[:, 0], kind="stable")]
    owners = cells_of(placed, centres)
    edges = np.cumsum(np.bincount(owners, minlength=count))
    edges[:-1] = np.rint(edges[:-1] / BLOCK) * BLOCK
    edges = np.unique(np.minimum(edges, len(placed)))
    return np.lexsort((placed[:, 0], owners)), np.diff(edges[edges > 0], prepend=0)
