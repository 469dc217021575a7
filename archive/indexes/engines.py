"""What faiss does for a shard: two kinds of index over row numbers, built once and read without a copy.

flat       all rows as float16, which is how the catalog stores them: scores are exact
clustered  rows in the cells of a training, as codes of half bytes: a search reads all cells, or those that can hold
           what is looked for, and scores are near. faiss's FastScan kernel reads them where they are mapped, which its
           own files do not allow: the lists of an IndexIVFPQ hold blocks as the kernel wants them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.indexes import codes
from archive.indexes.rows import CHUNK, floats
from archive.indexes.training import cells_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.indexes.container import HashedFile, Training
    from archive.types import Halves, Vectors

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

FIRST_CELLS = 16
"""Cells that are read before it is asked which others can matter."""

REACH = 1.3
"""How far from its cell's middle a cell's best row is taken to lie, in standard deviations of the cell's rows: in each
dimension by so many, to the side that is asked for. What a word finds is unlike its cell in all of them at once, and
the root of their squares would want half as many cells again to be read. Cells are read while this is above what was
found.
"""

_IN_ONE_LIST = 11
"""faiss's way of searching, list by list for one query, that keeps many results."""

_BYTES_AT_ONCE = 1 << 20
_CODED_AT_ONCE = 1_024
"""Rows that stay in the processor's cache while they are coded."""


class Cells:
    """The cells of a training, ranked for one query at a time."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._deviations = np.sqrt(training.spreads)
        self._places = codes.places(len(training.codes))

    def ask(self, query: Vectors, along: float = 0.0) -> Asked:
        """The query as the coded rows see it, and what each cell can hold.

        What the codes of rows lack is added as if it had that cosine with the query.
        """
        training = self._training
        vector = training.asks @ query[0]
        middles = training.middles @ vector + np.float32(query[0] @ training.mean)
        table, present = codes.tables(vector, training.steps, self._places, along, float(np.ptp(middles)))
        heights = middles + REACH * (self._deviations @ np.abs(vector[: self._deviations.shape[1]]))
        return Asked(table, middles - np.float32(present), heights)


class Asked(NamedTuple):
    """A query over cells.

    table    float32 (subs, 16): what each step of the codes adds
    near     float32 (cells,): what a row at the middle of each scores, without what the table adds for being there
    heights  float32 (cells,): how high the best row of each is taken to score
    """

    table: NDArray[np.float32]
    near: NDArray[np.float32]
    heights: NDArray[np.float32]

    def all(self) -> SomeCells:
        """Every cell."""
        return SomeCells(np.arange(len(self.near)), self.near)

    def first(self) -> SomeCells:
        """The cells that can hold the best."""
        return self._some(_highest(self.heights, FIRST_CELLS))

    def others(self, bar: float, first: SomeCells) -> SomeCells:
        """The other cells that can hold a row that scores as much as that."""
        reaching = self.heights >= bar
        reaching[first.numbers] = False
        return self._some(np.flatnonzero(reaching))

    def _some(self, numbers: NDArray[np.int64]) -> SomeCells:
        return SomeCells(numbers, self.near[numbers])


class SomeCells(NamedTuple):
    """Cells to be read.

    numbers  int64 (some,)
    near     float32 (some,): what a row at the middle of each scores, without what the table adds for being there
    """

    numbers: NDArray[np.int64]
    near: NDArray[np.float32]


def flat(vectors: Vectors | Halves) -> Any:  # noqa: ANN401  (faiss's types stay inside the adapter)
    """A faiss index that compares every row."""
    import faiss

    dim = vectors.shape[1]
    engine = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(vectors), CHUNK):
        engine.add(floats(vectors[start : start + CHUNK]))
    return engine


def clustered(vectors: Vectors | Halves, training: Training) -> Any:  # noqa: ANN401
    """The lists of a clustered shard, which do not carry the training along."""
    import faiss

    cells, subs = len(training.middles), len(training.means)
    engine = faiss.IndexIVFPQ(faiss.IndexFlatIP(subs), subs, cells, subs, 4, faiss.METRIC_INNER_PRODUCT)
    numbered = np.tile(np.arange(codes.STEPS, dtype=np.float32), subs)  # what a step stands for is the training's
    faiss.copy_array_to_vector(numbered, engine.pq.centroids)
    engine.is_trained = True
    engine.ntotal = len(vectors)
    rows, owners = _coded(vectors, training)
    order = np.argsort(owners, kind="stable")
    edges = np.searchsorted(owners[order], np.arange(cells + 1))
    for cell in np.flatnonzero(np.diff(edges)):
        own = order[edges[cell] : edges[cell + 1]]
        size = -(-len(own) // codes.BLOCK) * codes.BLOCK
        numbers, padded = np.full(size, -1, np.int64), np.resize(rows[own], (size, rows.shape[1]))
        numbers[: len(own)], padded[len(own) :, -1] = own, 0
        packed = codes.packed(padded)
        engine.invlists.add_entries(int(cell), size, faiss.swig_ptr(numbers), faiss.swig_ptr(packed))
    return engine


def unread(engine: Any) -> int:  # noqa: ANN401
    """How many bytes of the file of a clustered index stand before its blocks."""
    import faiss

    if not is_clustered(engine):
        return 0
    sizes: list[int] = []
    faiss.write_index(engine, faiss.PyCallbackIOWriter(lambda content: sizes.append(len(content)), _BYTES_AT_ONCE))
    each = engine.code_size + np.dtype(np.int64).itemsize
    blocks: int = each * engine.invlists.compute_ntotal()
    return sum(sizes) - blocks


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

    engine = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(content), content.size))
    return _scanned(engine) if isinstance(engine, faiss.IndexIVFPQ) else engine


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
    cells: SomeCells,
    limit: int,
    wanted: NDArray[np.bool_] | None,
) -> Found:
    """The same of a clustered index, among the rows of some of its cells."""
    import faiss

    if len(cells.numbers) == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    selector = faiss.IDSelectorRange(0, engine.ntotal) if wanted is None else _selector(wanted)
    parameters = faiss.SearchParametersIVF(sel=selector, nprobe=len(cells.numbers))

    def best(count: int) -> Found:
        rows, scores = np.empty(count, np.int64), np.empty(count, np.float32)
        pointers = map(faiss.swig_ptr, (*cells, scores, rows))
        as_places = False
        engine.search_preassigned_c(1, faiss.swig_ptr(asked.table), count, *pointers, as_places, parameters)
        return rows, scores

    return _to_an_edge(best, limit, engine.ntotal if wanted is None else int(np.count_nonzero(wanted)), limit // 4)


def _scanned(lists: Any) -> Any:  # noqa: ANN401
    """The kernel over the lists. Its query is the table of what each step adds."""
    import faiss

    subs, size = lists.pq.M, lists.pq.M * codes.STEPS
    kind, own_lists = faiss.METRIC_INNER_PRODUCT, False
    engine = faiss.IndexIVFPQFastScan(faiss.IndexFlatIP(size), size, lists.nlist, subs, 4, kind, codes.BLOCK, own_lists)
    faiss.copy_array_to_vector(np.tile(np.eye(codes.STEPS, dtype=np.float32).ravel(), subs), engine.pq.centroids)
    engine.by_residual = engine.is_trained = True
    engine.implem = _IN_ONE_LIST
    engine.ntotal = lists.ntotal
    engine.replace_invlists(lists.invlists, own_lists)
    engine.referenced_objects.append(lists)
    return engine


def _to_an_edge(best: Any, limit: int, selected: int, spare: int = 0) -> Found:  # noqa: ANN401
    """Faiss keeps any of several equal rows, so the edge is widened until it stands between two different scores."""
    if selected == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    asked = min(limit + 1 + spare, selected)
    while True:
        rows, scores = best(asked)
        found = int(np.count_nonzero(rows >= 0))
        if asked == selected or found < asked or scores[-1] < scores[limit - 1]:
            return rows[:found], scores[:found]
        asked = min(4 * asked, selected)


def _highest(heights: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The numbers of the highest, in any order."""
    if len(heights) <= count:
        return np.arange(len(heights))
    return np.argpartition(heights, -count)[-count:]


def _selector(wanted: NDArray[np.bool_] | None) -> Any:  # noqa: ANN401
    import faiss

    return None if wanted is None else faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))


def _coded(vectors: Vectors | Halves, training: Training) -> tuple[codes.Codes, NDArray[np.int64]]:
    """The half bytes of each vector, and its cell."""
    near = training.spreads.shape[1]
    leading = np.ascontiguousarray(training.middles[:, :near])
    centre = training.codes @ training.mean
    middles = training.middles + centre
    rows = np.empty((len(vectors), len(training.means)), np.uint8)
    owners = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), CHUNK):
        projected: Vectors = floats(vectors[start : start + CHUNK]) @ training.codes.T
        owners[start : start + CHUNK] = cells_of(projected[:, :near] - centre[:near], leading)
        for begin in range(0, len(projected), _CODED_AT_ONCE):
            some = projected[begin : begin + _CODED_AT_ONCE]
            own = slice(start + begin, start + begin + len(some))
            rows[own] = codes.coded(some - middles[owners[own]], training.steps)
    return rows, owners
