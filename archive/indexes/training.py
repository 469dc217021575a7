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

SAMPLE = 262_144
"""Rows that are learned from at the most."""

CODED_SAMPLE = 16_384
"""Rows that the steps of the codes are learned from."""

ROWS_PER_CELL = 256
"""At a million vectors, sixteen times as many cells give the same answers, hold their rows in blocks that are half
empty, and take two to three times as long: to begin with a cell costs the kernel as much as some eighty rows.
"""
FEWEST_IN_CELL = 8
"""A cell of fewer rows is dropped, so that no mean that outlives a forgotten photo is nearly its vector."""

FEWEST_WORDS = 64
"""Fewer say nothing about what is asked; then every direction counts the same."""

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
    centres = _centres(np.ascontiguousarray(coded[:, :NEAR]))
    owners = cells_of(coded, centres)
    middles = _means(coded, owners, len(centres))
    some = _some(len(coded), CODED_SAMPLE)
    steps = learn(coded[some] - middles[owners[some]])
    parts = (mean, codes, asks, middles, *steps)
    return Training(*(np.ascontiguousarray(part, np.float32) for part in parts))


def cells_of(coded: Vectors, middles: Vectors) -> NDArray[np.int64]:
    """The number of the nearest middle, for each row; it is looked for by the first dimensions of both."""
    centres = np.ascontiguousarray(middles[:, :NEAR])
    halves = np.einsum("ij,ij->i", centres, centres) / 2
    owners = np.empty(len(coded), np.int64)
    for start in range(0, len(coded), CHUNK):
        rows = coded[start : start + CHUNK, : centres.shape[1]]
        owners[start : start + CHUNK] = (rows @ centres.T - halves).argmax(axis=1)
    return owners


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


def neighbourhoods(placed: Vectors, count: int, iterations: int) -> Vectors:
    """The means (count, near) of so many groups of neighbours: k-means, all rows of `placed` in each iteration."""
    import faiss

    clusters = faiss.Kmeans(
        placed.shape[1],
        count,
        niter=iterations,
        seed=_SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=len(placed),
    )
    clusters.train(placed)
    centres: Vectors = clusters.centroids
    return centres


def _centres(placed: Vectors) -> Vectors:
    """Means of so many neighbours."""
    cells = max(1, len(placed) // ROWS_PER_CELL)
    centres = neighbourhoods(placed, cells, _ITERATIONS)
    sizes = np.bincount(cells_of(placed, centres), minlength=cells)
    enough: Vectors = centres[sizes >= min(FEWEST_IN_CELL, sizes.max())]
    return enough


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
