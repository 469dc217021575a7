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

from archive.indexes.container import Training
from archive.indexes.rows import CHUNK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Vectors

    Square = NDArray[np.float64]

KEPT = 192
"""Dimensions that are coded, at half a byte each.

Of the true ten of words, 50 candidates by these codes hold 99 % among 61,000 vectors of the built-in pair and 96 %
among vectors made up like a larger tower's; by one bit for each of all dimensions (RaBitQ) they hold 71 % and 99 %.
"""

NEAR = 128
"""Dimensions in which a vector's cell is looked for; 4,096 cells in these and in all 512 are equally good."""

MOST_CELLS = 4096
SAMPLE = 131_072
"""Rows that are learned from at the most."""

ROWS_PER_CELL = 32
FEWEST_IN_CELL = 8
"""A cell of fewer rows is dropped, so that no mean that outlives a forgotten photo is nearly its vector."""

FEWEST_WORDS = 64
"""Fewer say nothing about what is asked; then every direction counts the same."""

_IN_CACHE = 256
"""Rows whose products with all centres stay in the processor's cache until the highest was found."""

_RIDGE = 0.02
_ITERATIONS = 6
_SEED = 20


def train(vectors: Vectors, words: Vectors) -> Training:
    """Learn from unit rows of pictures (n, dim) and of words (m, dim); the same rows give the same training."""
    sample = _sample(vectors)
    mean = sample.mean(axis=0)
    covariance = _moment(sample - mean)
    codes, asks = _balanced(covariance, _asked(words, sample.shape[1]))
    places = np.linalg.eigh(covariance)[1][:, ::-1][:, :NEAR].T
    centred = sample - mean
    placed = _projected(centred, places)
    centres = _centres(placed)
    coded = _projected(centred, codes)
    owners = nearest_cells(placed, centres)
    middles, spreads = _means(coded, owners, len(centres)), _means(coded**2, owners, len(centres))
    spread = min(len(places), len(codes))
    spreads = np.maximum(spreads - middles**2, 0)[:, :spread]
    return Training(*(np.ascontiguousarray(part, np.float32) for part in
                      (mean, codes, asks, places, centres, middles, spreads)))  # fmt: skip


def nearest_cells(placed: Vectors, centres: Vectors) -> NDArray[np.int64]:
    """The number of the nearest centre, for each row."""
    half = np.einsum("ij,ij->i", centres, centres) / 2
    turned = np.ascontiguousarray(centres.T)
    owners = np.empty(len(placed), np.int64)
    for start in range(0, len(placed), _IN_CACHE):
        rows = slice(start, start + _IN_CACHE)
        heights = placed[rows] @ turned
        heights -= half
        owners[rows] = heights.argmax(axis=1)
    return owners


def _balanced(covariance: Square, asked: Square) -> tuple[Square, Square]:
    """The first rows of A and of A^-T that make both moments the same diagonal, largest first."""
    left, right = np.linalg.cholesky(covariance), np.linalg.cholesky(asked)
    turned, sizes, other = np.linalg.svd(right.T @ left)
    scale = np.sqrt(sizes)[:, np.newaxis]
    codes = scale * other @ np.linalg.inv(left)
    asks = scale * turned.T @ np.linalg.inv(right)
    return codes[:KEPT], asks[:KEPT]


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
    import faiss

    count = max(1, min(MOST_CELLS, len(placed) // ROWS_PER_CELL))
    clusters = faiss.Kmeans(
        placed.shape[1], count, niter=_ITERATIONS, seed=_SEED, min_points_per_centroid=1, max_points_per_centroid=1024
    )
    clusters.train(placed)
    centres: Vectors = clusters.centroids
    sizes = np.bincount(nearest_cells(placed, centres), minlength=count)
    kept: Vectors = centres[sizes >= min(FEWEST_IN_CELL, sizes.max())]
    return kept


def _means(rows: Vectors, owners: NDArray[np.int64], cells: int) -> Vectors:
    """The mean row of each cell; a cell that nothing belongs to lies at the mean of all."""
    order = np.argsort(owners, kind="stable")
    sizes = np.bincount(owners, minlength=cells)
    held = np.flatnonzero(sizes)
    means = np.zeros((cells, rows.shape[1]), np.float32)
    starts = (np.cumsum(sizes) - sizes)[held]
    means[held] = np.add.reduceat(rows[order], starts, axis=0) / sizes[held, np.newaxis]
    return means


def _projected(rows: Vectors, onto: Square) -> Vectors:
    return np.ascontiguousarray(rows @ onto.T, np.float32)


def _sample(vectors: Vectors) -> Vectors:
    if len(vectors) <= SAMPLE:
        return vectors
    rows = np.random.default_rng(_SEED).choice(len(vectors), SAMPLE, replace=False, shuffle=False)
    sample: Vectors = vectors[np.sort(rows)]
    return sample
