"""What faiss does for a shard: two kinds of index over row numbers, built once and read without a copy.

flat       all rows as float16, which is how the catalog stores them: scores are exact
clustered  rows in the cells of a training, as codes of half bytes: a search reads all cells, or those parts of them
           that can hold what is looked for, and scores are near. faiss's FastScan kernel reads them where they are
           mapped, which its own files do not allow: the lists of an IndexIVFPQ hold blocks as the kernel wants them.
           It sees the same blocks as lists of cells and as lists of parts: to begin with a list costs it as much as
           dozens of rows, so that who reads all is better off with few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.indexes import codes
from archive.indexes.container import Parts
from archive.indexes.parts import PLACED, divided
from archive.indexes.rows import CHUNK, floats
from archive.indexes.training import NEAR, cells_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.indexes.container import HashedFile, Training
    from archive.types import Halves, Vectors

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

REACH = 0.58
"""The cosine with a query, as both are coded and from a part's middle, that the part's best row has if it lies as far
out as its rows do on average. Parts are read while that would score more than what was found. To weigh how far out they
lie in each dimension by the query finds no more.

Of a million made-up vectors 250 parts of 4,000 are read, of ten million 1,600 of 39,000. With .5 it is two fifths of
that, and 94 % of the true ten of words are found instead of 97.
"""

_IN_ONE_LIST = 11
"""faiss's way of searching, list by list for one query, that keeps many results."""

_BYTES_AT_ONCE = 1 << 20
_CODED_AT_ONCE = 1_024
"""Rows that stay in the processor's cache while they are coded."""


class Cells:
    """The cells of a training, which are asked one query at a time."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._places = codes.places(len(training.codes))

    def ask(self, query: Vectors, along: float = 0.0) -> Asked:
        """The query as the coded rows see it.

        What the codes of rows lack is added as if it had that cosine with the query.
        """
        training = self._training
        vector = training.asks @ query[0]
        middles = training.middles @ vector + np.float32(query[0] @ training.mean)
        table, present = codes.tables(vector, training.steps, self._places, along, float(np.ptp(middles)))
        return Asked(vector, table, middles, middles - np.float32(present))


class Asked(NamedTuple):
    """A query over cells.

    vector   float32 (kept,): what rows are multiplied with, as they are coded
    table    float32 (subs, 16): what each step of the codes adds
    middles  float32 (cells,): what a row at the middle of each scores
    near     float32 (cells,): the same, without what the table adds for being there
    """

    vector: Vectors
    table: NDArray[np.float32]
    middles: NDArray[np.float32]
    near: NDArray[np.float32]

    def all(self) -> Lists:
        """Every cell."""
        return Lists(np.arange(len(self.near)), self.near)

    def heights(self, parts: Parts) -> NDArray[np.float32]:
        """How high the best row of each part is taken to score."""
        heights: NDArray[np.float32] = parts.middles @ self.vector[: parts.middles.shape[1]]
        heights += self.middles[parts.cells]
        heights += np.float32(REACH * np.linalg.norm(self.vector)) * parts.spreads
        return heights

    def some(self, parts: Parts, read: NDArray[np.bool_]) -> Lists:
        """Those of the parts that are to be read."""
        numbers = np.flatnonzero(read)
        return Lists(numbers, self.near[parts.cells[numbers]])


class Lists(NamedTuple):
    """What is to be read: cells of an engine's, or of its parts.

    numbers  int64 (some,)
    near     float32 (some,): what a row at the middle of each one's cell scores, without what the table adds for being
             there
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


def clustered(vectors: Vectors | Halves, training: Training) -> tuple[Any, Parts]:
    """The lists of a clustered shard, which do not carry the training along, and the parts that they have."""
    import faiss

    cells, subs = len(training.middles), len(training.means)
    engine = faiss.IndexIVFPQ(faiss.IndexFlatIP(subs), subs, cells, subs, 4, faiss.METRIC_INNER_PRODUCT)
    numbered = np.tile(np.arange(codes.STEPS, dtype=np.float32), subs)  # what a step stands for is the training's
    faiss.copy_array_to_vector(numbered, engine.pq.centroids)
    engine.is_trained = True
    engine.ntotal = len(vectors)
    rows = _coded(vectors, training)
    order = np.argsort(rows.owners, kind="stable")
    edges = np.searchsorted(rows.owners[order], np.arange(cells + 1))
    found = []
    for cell in np.flatnonzero(np.diff(edges)):
        own = order[edges[cell] : edges[cell + 1]]
        inner, sizes = divided(floats(rows.near[own]))
        own = own[inner]
        found.append(_parts(int(cell), sizes, floats(rows.near[own]), rows.beyond[own]))
        size = -(-len(own) // codes.BLOCK) * codes.BLOCK
        numbers, padded = np.full(size, -1, np.int64), np.resize(_apart(rows.pairs[own]), (size, subs))
        numbers[: len(own)], padded[len(own) :, -1] = own, 0
        packed = codes.packed(padded)
        engine.invlists.add_entries(int(cell), size, faiss.swig_ptr(numbers), faiss.swig_ptr(packed))
    return engine, Parts(*map(np.concatenate, zip(*found, strict=True)))


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
    if not isinstance(engine, faiss.IndexIVFPQ):
        return engine
    scanned = _scanned(engine.invlists, engine.pq.M, engine.ntotal)
    scanned.referenced_objects.append(engine)
    return scanned


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


def read_lists(
    engine: Any,  # noqa: ANN401
    asked: Asked,
    lists: Lists,
    limit: int,
    wanted: NDArray[np.bool_] | None,
) -> Found:
    """The same of a clustered index, among the rows of some of its cells, or of what `in_parts` makes of it."""
    import faiss

    if len(lists.numbers) == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    selector = faiss.IDSelectorRange(0, engine.ntotal) if wanted is None else _selector(wanted)
    parameters = faiss.SearchParametersIVF(sel=selector, nprobe=len(lists.numbers))

    def best(count: int) -> Found:
        rows, scores = np.empty(count, np.int64), np.empty(count, np.float32)
        pointers = map(faiss.swig_ptr, (*lists, scores, rows))
        as_places = False
        engine.search_preassigned_c(1, faiss.swig_ptr(asked.table), count, *pointers, as_places, parameters)
        return rows, scores

    return _to_an_edge(best, limit, engine.ntotal if wanted is None else int(np.count_nonzero(wanted)), limit // 4)


def in_parts(engine: Any, parts: Parts) -> Any:  # noqa: ANN401
    """The same rows, where they are, with a list for each part. Keep the other as long."""
    import faiss

    cells, whole = np.unique(parts.cells, return_inverse=True)
    lists = faiss.downcast_InvertedLists(engine.invlists)
    blocks, numbers = (
        np.array([int(at(cell)) for cell in cells.tolist()])[whole] for at in (lists.get_codes, lists.get_ids)
    )
    ends = np.cumsum(parts.rows)
    begins = ends - parts.rows
    begins -= begins[np.searchsorted(parts.cells, parts.cells)]  # where each begins in its cell's list
    sizes = -(-parts.rows // codes.BLOCK) * codes.BLOCK
    blocks, numbers = blocks + lists.code_size * begins, numbers + np.dtype(np.int64).itemsize * begins
    places = np.stack([sizes, numbers - blocks, blocks], axis=1).astype(np.uint64)
    views = faiss.OnDiskInvertedLists()  # its pointer stays null, so that what it takes for offsets are addresses
    views.nlist, views.code_size = len(places), lists.code_size
    views.lists.resize(len(places))
    faiss.memcpy(views.lists.data(), faiss.swig_ptr(places), places.nbytes)
    parted = _scanned(views, engine.pq.M, engine.ntotal)
    views.code_size = 1  # row numbers stand so many times that behind a list's blocks
    return parted


def _scanned(lists: Any, subs: int, rows: int) -> Any:  # noqa: ANN401
    """The kernel over lists. Its query is the table of what each step adds."""
    import faiss

    size, kind, own_lists = subs * codes.STEPS, faiss.METRIC_INNER_PRODUCT, False
    engine = faiss.IndexIVFPQFastScan(faiss.IndexFlatIP(size), size, lists.nlist, subs, 4, kind, codes.BLOCK, own_lists)
    faiss.copy_array_to_vector(np.tile(np.eye(codes.STEPS, dtype=np.float32).ravel(), subs), engine.pq.centroids)
    engine.by_residual = engine.is_trained = True
    engine.implem = _IN_ONE_LIST
    engine.ntotal = rows
    engine.replace_invlists(lists, own_lists)
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


def _selector(wanted: NDArray[np.bool_] | None) -> Any:  # noqa: ANN401
    import faiss

    return None if wanted is None else faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))


class _Rows(NamedTuple):
    """Rows as they are coded.

    pairs   uint8 (n, subs / 2): their half bytes, two in each
    owners  int64 (n,): their cells
    near    float16 (n, near): how far from the middle of the cell they are in the dimensions that tell parts apart
    beyond  float32 (n,): the square of how far they are in the others
    """

    pairs: codes.Codes
    owners: NDArray[np.int64]
    near: Halves
    beyond: NDArray[np.float32]


def _coded(vectors: Vectors | Halves, training: Training) -> _Rows:
    centre = training.codes @ training.mean
    middles = training.middles + centre
    near, count = min(PLACED, len(centre)), len(vectors)
    rows = _Rows(
        np.empty((count, len(training.means) // 2), np.uint8),
        np.empty(count, np.int64),
        np.empty((count, near), np.float16),
        np.empty(count, np.float32),
    )
    for start in range(0, count, CHUNK):
        projected: Vectors = floats(vectors[start : start + CHUNK]) @ training.codes.T
        rows.owners[start : start + CHUNK] = cells_of(projected[:, :NEAR] - centre[:NEAR], training.middles)
        for begin in range(0, len(projected), _CODED_AT_ONCE):
            own = slice(start + begin, min(start + begin + _CODED_AT_ONCE, start + len(projected)))
            some = projected[begin : begin + _CODED_AT_ONCE] - middles[rows.owners[own]]
            halves = codes.coded(some, training.steps)
            rows.pairs[own] = halves[:, ::2] | halves[:, 1::2] << 4
            rows.near[own] = some[:, :near]
            rows.beyond[own] = np.einsum("ij,ij->i", some[:, near:], some[:, near:])
    return rows


def _apart(pairs: codes.Codes) -> codes.Codes:
    """One half byte in each."""
    return np.stack([pairs & (codes.STEPS - 1), pairs >> 4], axis=2).reshape(len(pairs), -1)


def _parts(cell: int, sizes: NDArray[np.int64], near: Vectors, beyond: NDArray[np.float32]) -> Parts:
    """The parts of a cell, of its rows in their order."""
    begins = np.cumsum(sizes) - sizes
    middles: Vectors = (np.add.reduceat(near, begins, axis=0) / sizes[:, np.newaxis]).astype(np.float32)
    apart = near - np.repeat(middles, sizes, axis=0)
    squares = np.add.reduceat(np.einsum("ij,ij->i", apart, apart) + beyond, begins) / sizes
    numbers, counts = np.full(len(sizes), cell, np.int32), sizes.astype(np.int32)
    return Parts(numbers, counts, middles, np.sqrt(squares).astype(np.float32))
