"""What clustered shards learn once for each space, and keep however much the archive grows.

Words lie outside the cloud of pictures, so what is lost of a vector must be what words do not ask about. For any
invertible A the product of A x and A^-T q is that of x and q; A is chosen so that the covariance of the vectors and the
second moment of the words become one and the same diagonal, largest first. The first dimensions then hold what products
are made of, and the others can go. (The same idea as LeanVec's for queries that are unlike the vectors: Tepper et al.,
"LeanVec: Searching Vectors Faster by Making Them Fit", 2024.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.indexes.codes import kept, learn
from archive.indexes.container import Training
from archive.indexes.rows import CHUNK, floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Halves, Vectors

    Square = NDArray[np.float64]

NEAR = 64
"""Dimensions in which a vector's cell is looked for: the first, which hold most of what words ask about."""

MOST_CELLS = 16_384
SAMPLE = 262_144
"""Rows that are learned from at the most."""

CODED_SAMPLE = 16_384
"""Rows that the steps of the codes are learned from."""

ROWS_PER_CELL = 16
FEWEST_IN_CELL = 8
"""A cell of fewer rows is dropped, so that no mean that outlives a forgotten photo is nearly its vector."""

FEWEST_WORDS = 64
"""Fewer say nothing about what is asked; then every direction counts the same."""

_GROUPS_LOOKED_IN = 12
"""Groups of cells, the nearest to a row, in which its cell is looked for: 99 % of rows get their nearest cell.

With 8 it is 98 %, and one more of a hundred true best lies in a cell that is not read; with all it takes five times as
long.
"""

_RIDGE = 0.02
_ITERATIONS = 6
_SEED = 20


def train(vectors: Vectors | Halves, words: Vectors) -> Training:
    """Learn from unit rows of pictures (n, dim) and of words (m, dim); the same rows give the same training."""
    sample = floats(vectors[_some(len(vectors), SAMPLE)])
    mean = sample.mean(axis=0)
    centred = sample - mean
    codes, asks = _balanced(_moment(centred), _asked(words, sample.shape[1]))
    coded = np.ascontiguousarray(centred @ codes.T, np.float32)
    cells = Grouped(_centres(np.ascontiguousarray(coded[:, :NEAR])))
    owners = cells.nearest(coded)
    middles = _means(coded, owners, len(cells))
    leading = coded[:, : cells.near]
    spreads = np.maximum(_means(leading**2, owners, len(cells)) - middles[:, : cells.near] ** 2, 0)
    some = _some(len(coded), CODED_SAMPLE)
    steps = learn(coded[some] - middles[owners[some]])
    parts = (mean, codes, asks, middles, spreads, *steps)
    return Training(*(np.ascontiguousarray(part, np.float32) for part in parts))


class Grouped:
    """Cells in groups of neighbours, so that a row need not be compared with each.

    `centres` (cells, near): a row belongs to the nearest by its first dimensions.
    """

    def __init__(self, centres: Vectors) -> None:
        count = max(1, round(len(centres) ** 0.5))
        self._groups = _clustered(centres, count) if count > 1 else centres[:1]
        grouped = _nearest(centres, self._groups)
        self._members = np.argsort(grouped, kind="stable")
        self._edges = np.searchsorted(grouped[self._members], np.arange(len(self._groups) + 1))
        self._centres = np.ascontiguousarray(centres[self._members])
        self._halves = np.einsum("ij,ij->i", self._centres, self._centres) / 2

    def __len__(self) -> int:
        return len(self._centres)

    @property
    def near(self) -> int:
        """Dimensions that are looked at."""
        return int(self._centres.shape[1])

    def nearest(self, coded: Vectors) -> NDArray[np.int64]:
        """The number of the nearest centre, for each row; for one of a hundred, of one that is nearly so."""
        owners = np.empty(len(coded), np.int64)
        for start in range(0, len(coded), CHUNK):
            rows = np.ascontiguousarray(coded[start : start + CHUNK, : self.near])
            owners[start : start + CHUNK] = self._members[self._places(rows)]
        return owners

    def _places(self, rows: Vectors) -> NDArray[np.int64]:
        """The nearest of the centres in their grouped order."""
        looked_in = min(_GROUPS_LOOKED_IN, len(self._groups))
        groups = np.argpartition(_heights(rows, self._groups), -looked_in, axis=1)[:, -looked_in:].ravel()
        order = np.argsort(groups, kind="stable")
        looking = order // looked_in
        begins = np.searchsorted(groups[order], np.arange(len(self._groups) + 1))
        best, places = np.full(len(rows), -np.inf, np.float32), np.zeros(len(rows), np.int64)
        for group in range(len(self._groups)):
            which, members = looking[begins[group] : begins[group + 1]], slice(*self._edges[group : group + 2])
            if not len(which) or members.start == members.stop:
                continue
            found = rows[which] @ self._centres[members].T - self._halves[members]
            highest = found.argmax(axis=1)
            height = found[np.arange(len(which)), highest]
            better = height > best[which]
            best[which[better]], places[which[better]] = height[better], highest[better] + members.start
        return places


def _balanced(covariance: Square, asked: Square) -> tuple[Square, Square]:
    """The first rows of A and of A^-T that make both moments the same diagonal, largest first."""
    left, right = np.linalg.cholesky(covariance), np.linalg.cholesky(asked)
    turned, sizes, other = np.linalg.svd(right.T @ left)
    scale = np.sqrt(sizes)[:, np.newaxis]
    codes = scale * other @ np.linalg.inv(left)
    asks = scale * turned.T @ np.linalg.inv(right)
    return codes[: kept(len(codes))], asks[: kept(len(asks))]


def _asked(words: Vectors, dim: int) -> Square:
    return np.eye(dim) if len(words) < FEWEST_WORDS else _moment(words)


def _moment(rows: Vectors) -> Square:
    """The second moment of rows, lifted a little in every direction so that it has an inverse."""
    dim = rows.shape[1]
    moment = np.zeros((dim, dim))
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        moment += chunk.T @ chunk
    moment /= len(rows)
    lift = max(float(np.trace(moment)), 1e-6) / dim
    lifted: Square = moment + _RIDGE * lift * np.eye(dim)
    return lifted


def _centres(placed: Vectors) -> Vectors:
    """Means of so many neighbours: k-means, each round of which looks for a row's cell in the nearest groups only."""
    count = max(1, min(MOST_CELLS, len(placed) // ROWS_PER_CELL))
    centres = placed[np.sort(np.random.default_rng(_SEED).choice(len(placed), count, replace=False))]
    for _ in range(_ITERATIONS):
        owners = Grouped(centres).nearest(placed)
        held = np.bincount(owners, minlength=count) > 0
        centres = np.where(held[:, np.newaxis], _means(placed, owners, count), centres)
    sizes = np.bincount(Grouped(centres).nearest(placed), minlength=count)
    enough: Vectors = centres[sizes >= min(FEWEST_IN_CELL, sizes.max())]
    return enough


def _clustered(rows: Vectors, count: int) -> Vectors:
    import faiss

    clusters = faiss.Kmeans(
        rows.shape[1],
        count,
        niter=_ITERATIONS,
        seed=_SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),
    )
    clusters.train(np.ascontiguousarray(rows))
    centres: Vectors = clusters.centroids
    return centres


def _nearest(rows: Vectors, centres: Vectors) -> NDArray[np.int64]:
    nearest: NDArray[np.int64] = _heights(rows, centres).argmax(axis=1)
    return nearest


def _heights(rows: Vectors, centres: Vectors) -> Vectors:
    """How near each row is to each centre: the nearest stands highest."""
    heights: Vectors = rows @ centres.T - np.einsum("ij,ij->i", centres, centres) / 2
    return heights


def _means(rows: Vectors, owners: NDArray[np.int64], cells: int) -> Vectors:
    """The mean row of each cell; a cell that nothing belongs to lies at the mean of all."""
    order = np.argsort(owners, kind="stable")
    sizes = np.bincount(owners, minlength=cells)
    held = np.flatnonzero(sizes)
    means = np.zeros((cells, rows.shape[1]), np.float32)
    starts = (np.cumsum(sizes) - sizes)[held]
    means[held] = np.add.reduceat(rows[order], starts, axis=0) / sizes[held, np.newaxis]
    return means


def _some(rows: int, most: int) -> slice | NDArray[np.int64]:
    """Which rows are learned from: all, or so many of them."""
    if rows <= most:
        return slice(None)
    return np.sort(np.random.default_rng(_SEED).choice(rows, most, replace=False, shuffle=False))
