"""What faiss does for a shard: two kinds of index over row numbers, built once and read without a copy.

flat       all rows as float16, which is how the catalog stores them: scores are exact
clustered  rows in coarse cells, 8 bits for each number: a search reads a part of the cells and scores are near
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from archive.indexes.rows import CHUNK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.indexes.container import HashedFile
    from archive.types import Vectors

PROBES = 256
"""Cells that a search reads. Words lie outside the cloud of pictures and need more cells than pictures do.

Made-up words in 1,024 cells of 100,000 vectors found 82 to 98 % of their true ten in 64 cells and 97 to 99.8 % in 256.
"""

CANDIDATES = 8
"""Rows that a search looks at for each row that it may return.

It acts on limits of some hundreds and more; below, all limits read the same cells, so that a short answer is the
beginning of a longer one.
"""

MOST_CELLS = 4096
"""Training costs rows x cells; four million rows in this many cells are still a thousand each."""

SAMPLE = 262_144
"""Rows that the cells are trained on."""

RANGE_SAMPLE = 65_536
"""Rows that the range of each of the 8-bit numbers is taken from."""

ROWS_PER_CELL = 39
"""Fewer training rows than this make poor cells: faiss warns below it."""

FEWEST_IN_CELL = 8
"""A cell of fewer rows is dropped, so that no centre that outlives a forgotten photo is nearly its vector."""

_ITERATIONS = 10
_SEED = 20
_BYTES_AT_ONCE = 1 << 20


def flat(vectors: Vectors) -> Any:  # noqa: ANN401  (faiss's types stay inside the adapter)
    """A faiss index that compares every row."""
    import faiss

    dim = vectors.shape[1]
    engine = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    return _filled(engine, vectors)


def clustered(vectors: Vectors, centres: Vectors) -> Any:  # noqa: ANN401
    """A faiss index over trained cells, whose centres it carries along: it needs no other file."""
    import faiss

    count, dim = centres.shape
    coarse = faiss.IndexFlatIP(dim)
    coarse.add(centres)
    kind = faiss.ScalarQuantizer.QT_8bit
    engine = faiss.IndexIVFScalarQuantizer(coarse, dim, count, kind, faiss.METRIC_INNER_PRODUCT)
    engine.train(_sample(vectors, RANGE_SAMPLE))
    return _filled(engine, vectors)


def train_cells(vectors: Vectors) -> Vectors:
    """The centres of coarse cells for vectors like these: unit rows. The same vectors give the same centres."""
    import faiss

    sample = _sample(vectors, SAMPLE)
    count = max(1, min(int(4 * math.sqrt(len(vectors))), MOST_CELLS, len(sample) // ROWS_PER_CELL))
    clusters = faiss.Kmeans(
        vectors.shape[1], count, niter=_ITERATIONS, seed=_SEED, spherical=True, min_points_per_centroid=1
    )
    clusters.train(sample)
    _, owners = clusters.index.search(sample, 1)
    sizes = np.bincount(owners[:, 0], minlength=count)
    centres: Vectors = clusters.centroids[sizes >= min(FEWEST_IN_CELL, sizes.max())]
    return centres


def write(engine: Any, file: HashedFile) -> None:  # noqa: ANN401
    """Write the faiss index. faiss's own file writer loses the error of a full disk; this one raises OSError."""
    import faiss

    faiss.write_index(engine, faiss.PyCallbackIOWriter(file, _BYTES_AT_ONCE))


def read(content: NDArray[np.uint8]) -> Any:  # noqa: ANN401
    """The faiss index in verified bytes. It uses them in place: keep them as long as the index.

    Raises:
        RuntimeError: this version of faiss does not know the kind of index.
    """
    import faiss

    return faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(content), content.size))


def search(
    engine: Any,  # noqa: ANN401
    query: Vectors,
    limit: int,
    wanted: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and scores of at least the `limit` best, and of all that score the same as the last of these.

    With `wanted` only those rows count, inside the search. faiss keeps any of several equal rows, so the edge is
    widened until it stands between two different scores.
    """
    selected = engine.ntotal if wanted is None else int(np.count_nonzero(wanted))
    if selected == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    parameters = _parameters(engine, limit, selected, wanted)
    asked = min(limit + 1, selected)
    while True:
        scores, rows = (result[0] for result in engine.search(query, asked, params=parameters))
        found = int(np.count_nonzero(rows >= 0))
        if asked == selected or found < asked or scores[-1] < scores[limit - 1]:
            return rows[:found], scores[:found]
        asked = min(4 * asked, selected)


def probes(cells: int, rows: int, selected: int, limit: int) -> int:
    """How many of the cells to read, when `selected` of all rows count.

    A filter leaves fewer rows in each cell: more cells are read, so that as many rows are looked at as without it.
    """
    enough = max(PROBES * rows / cells, CANDIDATES * limit)
    return min(cells, math.ceil(cells * enough / selected))


def _parameters(engine: Any, limit: int, selected: int, wanted: NDArray[np.bool_] | None) -> Any:  # noqa: ANN401
    import faiss

    selector = None if wanted is None else faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))
    if isinstance(engine, faiss.IndexIVF):
        count = probes(engine.nlist, engine.ntotal, selected, limit)
        return faiss.SearchParametersIVF(sel=selector, nprobe=count)
    return faiss.SearchParameters(sel=selector)


def _filled(engine: Any, vectors: Vectors) -> Any:  # noqa: ANN401
    for start in range(0, len(vectors), CHUNK):
        engine.add(vectors[start : start + CHUNK])
    return engine


def _sample(vectors: Vectors, most: int) -> Vectors:
    if len(vectors) <= most:
        return vectors
    rows = np.random.default_rng(_SEED).choice(len(vectors), most, replace=False, shuffle=False)
    return vectors[np.sort(rows)]
