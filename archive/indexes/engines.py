"""What faiss does for a shard: two kinds of index over row numbers, built once and read without a copy.

flat       all rows as float16, which is how the catalog stores them: scores are exact
clustered  rows in the cells of a training, half a byte for each dimension that it keeps: a search reads the cells that
           can hold what is looked for, and scores are near
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.indexes.rows import CHUNK
from archive.indexes.training import Grouped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.indexes.container import HashedFile, Training
    from archive.types import Vectors

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

FIRST_CELLS = 64
"""Cells that are read before it is asked which others can matter."""

REACH = 5.0
"""How far above its mean a cell's best row is taken to lie, in standard deviations of its rows' scores.

Cells are read while this is above what was found, where the nearest are looked for. With 4 half as many are read, and
four more of a hundred true best lie in those that are not (a million vectors, 6,800 cells).
"""

FAR_REACH = 9.0
"""The same where all rows are looked for that score so much, however few of them a cell holds.

What is rare lies far out in the cells of what is common: of 4,729 segments of a million made-up ones that clear the
bar for ten words, 997 are missed with 5, 85 with 8, 38 with 9 and 23 with 10, which reads twice as many rows as 9. For
words of what is not there, the first cells are all that is read with any of them.
"""

RANGE_SAMPLE = 8_192
"""Rows that the range of each coded dimension is taken from: the one in which the sixteen steps err least.

From the smallest to the largest that occurs, 96 candidates would hold two more of a hundred true best less.
"""

_BYTES_AT_ONCE = 1 << 20


class Cells:
    """The cells of a training, ranked for one query at a time."""

    def __init__(self, training: Training) -> None:
        self._training = training

    def ask(self, query: Vectors, reach: float = REACH) -> Asked:
        """The query as the coded rows see it, and what each cell can hold."""
        training = self._training
        vector = np.ascontiguousarray(query[0] @ training.asks.T)
        leading = vector[: training.spreads.shape[1]]
        near = training.middles @ vector + np.float32(query[0] @ training.mean)
        heights = near + reach * np.sqrt(training.spreads @ (leading * leading))
        return Asked(vector[np.newaxis], near, heights)


class Asked(NamedTuple):
    """A query over cells.

    vector   float32 (1, kept): what is multiplied with the codes
    near     float32 (cells,): what a row at the middle of each scores
    heights  float32 (cells,): how high the best row of each is taken to score
    """

    vector: Vectors
    near: NDArray[np.float32]
    heights: NDArray[np.float32]

    def first(self) -> NDArray[np.int64]:
        """The numbers of the cells that can hold the best."""
        if len(self.heights) <= FIRST_CELLS:
            return np.arange(len(self.heights))
        return np.argpartition(self.heights, -FIRST_CELLS)[-FIRST_CELLS:]

    def others(self, bar: float, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the other cells that can hold a row that scores as much as that."""
        reaching = self.heights >= bar
        reaching[first] = False
        return np.flatnonzero(reaching)


def flat(vectors: Vectors) -> Any:  # noqa: ANN401  (faiss's types stay inside the adapter)
    """A faiss index that compares every row."""
    import faiss

    dim = vectors.shape[1]
    engine = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(vectors), CHUNK):
        engine.add(vectors[start : start + CHUNK])
    return engine


def clustered(vectors: Vectors, training: Training) -> Any:  # noqa: ANN401
    """A faiss index over the cells of a training, which it does not carry along."""
    import faiss

    cells, kept = training.middles.shape
    middles = faiss.IndexFlatIP(kept)
    middles.add(training.middles)
    engine = faiss.IndexIVFScalarQuantizer(
        middles, kept, cells, faiss.ScalarQuantizer.QT_4bit, faiss.METRIC_INNER_PRODUCT
    )
    places = Grouped(training.middles[:, : training.spreads.shape[1]])
    coded, owners = _placed(vectors[:: max(1, len(vectors) // RANGE_SAMPLE)], training, places)
    engine.sq.rangestat = faiss.ScalarQuantizer.RS_optim
    engine.sq.train(coded - training.middles[owners])
    engine.is_trained = True
    for start in range(0, len(vectors), CHUNK):
        coded, owners = _placed(vectors[start : start + CHUNK], training, places)
        rows = np.arange(start, start + len(coded), dtype=np.int64)
        engine.add_core(len(coded), *map(faiss.swig_ptr, (coded, rows, owners)))
        engine.ntotal = start + len(coded)
    engine.quantizer = faiss.IndexFlatIP(kept)
    return engine


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


def is_clustered(engine: Any) -> bool:  # noqa: ANN401
    """Whether it has cells."""
    return hasattr(engine, "invlists")


def version() -> str:
    """Of faiss."""
    import faiss

    return str(faiss.__version__)


def search(engine: Any, query: Vectors, limit: int, wanted: NDArray[np.bool_] | None) -> Found:  # noqa: ANN401
    """Rows and scores, of a flat index, of at least the `limit` best, and of all that score the same as the last.

    With `wanted` only those rows count, inside the search.
    """
    import faiss

    parameters = faiss.SearchParameters(sel=_selector(wanted))

    def best(asked: int) -> Found:
        scores, rows = (result[0] for result in engine.search(query, asked, params=parameters))
        return rows, scores

    return _to_an_edge(best, limit, engine.ntotal if wanted is None else int(np.count_nonzero(wanted)))


def read_cells(
    engine: Any,  # noqa: ANN401
    asked: Asked,
    cells: NDArray[np.int64],
    limit: int,
    wanted: NDArray[np.bool_] | None,
) -> Found:
    """The same of a clustered index, among the rows of some of its cells."""
    import faiss

    if len(cells) == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    cells = np.ascontiguousarray(cells)
    near = asked.near[cells]
    parameters = faiss.SearchParametersIVF(sel=_selector(wanted), nprobe=len(cells))

    def best(count: int) -> Found:
        rows, scores = np.empty(count, np.int64), np.empty(count, np.float32)
        pointers = map(faiss.swig_ptr, (cells, near, scores, rows))
        as_places = False
        engine.search_preassigned_c(1, faiss.swig_ptr(asked.vector), count, *pointers, as_places, parameters)
        return rows, scores

    return _to_an_edge(best, limit, engine.ntotal if wanted is None else int(np.count_nonzero(wanted)))


def read_reaching(
    engine: Any,  # noqa: ANN401
    asked: Asked,
    cells: NDArray[np.int64],
    least: float,
    wanted: NDArray[np.bool_] | None,
) -> Found:
    """All rows of some cells that score more than that, in no order."""
    import faiss

    if len(cells) == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    cells = np.ascontiguousarray(cells)
    near = asked.near[cells]
    parameters = faiss.SearchParametersIVF(sel=_selector(wanted), nprobe=len(cells))
    result = faiss.RangeSearchResult(1)
    pointers = map(faiss.swig_ptr, (cells, near))
    as_places = False
    engine.range_search_preassigned_c(1, faiss.swig_ptr(asked.vector), least, *pointers, result, as_places, parameters)
    found = int(faiss.rev_swig_ptr(result.lims, 2)[1])
    return tuple(faiss.rev_swig_ptr(part, found).copy() for part in (result.labels, result.distances))


def _to_an_edge(best: Any, limit: int, selected: int) -> Found:  # noqa: ANN401
    """Faiss keeps any of several equal rows, so the edge is widened until it stands between two different scores."""
    if selected == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    asked = min(limit + 1, selected)
    while True:
        rows, scores = best(asked)
        found = int(np.count_nonzero(rows >= 0))
        if asked == selected or found < asked or scores[-1] < scores[limit - 1]:
            return rows[:found], scores[:found]
        asked = min(4 * asked, selected)


def _selector(wanted: NDArray[np.bool_] | None) -> Any:  # noqa: ANN401
    import faiss

    return None if wanted is None else faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))


def _placed(vectors: Vectors, training: Training, places: Grouped) -> tuple[Vectors, NDArray[np.int64]]:
    """What is coded of vectors, and the cell of each."""
    coded: Vectors = np.ascontiguousarray((vectors - training.mean) @ training.codes.T)
    return coded, places.nearest(coded)
