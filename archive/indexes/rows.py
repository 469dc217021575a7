"""What every index does with its rows, whatever finds the neighbours: check them, filter them, rank them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.types import ORDINAL_BITS, Match

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from archive.types import Halves, Ids, Vectors

    Scored = tuple[Ids, NDArray[np.float32]]

CHUNK = 16_384
"""Rows worked on at once, so that a pass over a large array needs little memory besides it."""

FEW = 1024
"""Segments that are told of the nearest, however low they score."""

AT_FIRST, _TIMES_MORE = 4096, 4
"""Segments that are looked for at first at the most, and so many times as many where all of those reach the score."""

_ONE_OF, _AT_LEAST = 400, 512
"""Of how many rows one is looked for at first: to keep more than are needed takes as long as a small shard's codes."""

UNIT_TOLERANCE = 1e-3
"""How far from 1 a row's length may be; a unit row that was stored as float16 stays well inside."""


def checked(ids: Ids, vectors: Vectors | Halves, dim: int) -> tuple[Ids, Vectors | Halves]:
    """The same rows in order of id. Arrays already in order are returned as they are, not copied.

    Raises:
        ValueError: no rows, another dimension, ids that are negative or stand twice, rows that are not unit.
    """
    if len(ids) == 0 or vectors.shape != (len(ids), dim) or vectors.dtype not in (np.float32, np.float16):
        shape = f"({len(ids) or 'n > 0'}, {dim})"
        raise ValueError(f"vectors must be float32 or float16 {shape}, not {vectors.dtype} {vectors.shape}")
    require_unit(vectors)
    ids = np.asarray(ids, dtype=np.int64)
    if not np.all(ids[1:] > ids[:-1]):
        order = np.argsort(ids, kind="stable")
        ids, vectors = ids[order], vectors[order]
    if ids[0] < 0 or not np.all(ids[1:] > ids[:-1]):
        raise ValueError("segment ids must be new and not negative: one is negative or stands twice")
    return ids, vectors


def checked_query(vector: Vectors, dim: int) -> Vectors:
    """The query as a C-contiguous float32 row.

    Raises:
        ValueError: it is not one unit row of that dimension.
    """
    if vector.shape != (1, dim):
        raise ValueError(f"a query is one row (1, {dim}), not {vector.shape}")
    require_unit(vector)
    return np.ascontiguousarray(vector, dtype=np.float32)


def floats(rows: Vectors | Halves) -> Vectors:
    """Rows as numbers to compute with; those that are so already are not copied."""
    return np.asarray(rows, np.float32)


def require_unit(vectors: Vectors | Halves) -> None:
    """Raise ValueError unless each row has length 1; a row with a NaN has not."""
    for start in range(0, len(vectors), CHUNK):
        chunk = floats(vectors[start : start + CHUNK])
        lengths = np.sqrt(np.einsum("ij,ij->i", chunk, chunk))
        wrong = ~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(f"row {start + row} has length {lengths[row]:.4f}; vectors must be unit rows")


def belonging_to(photos: Ids, ids: Ids) -> NDArray[np.bool_]:
    """Which of the segments `ids` (sorted) are segments of `photos` (sorted).

    A photo's segments are neighbours in `ids`, and those of photos that follow one another too, as of a time range most
    do: each such run costs two look-ups, however many segments there are.
    """
    breaks = np.flatnonzero(np.diff(photos) > 1)
    firsts, lasts = photos[np.append(0, breaks + 1)[: len(photos)]], photos[np.append(breaks, -1)[: len(photos)]]
    starts, ends = (np.searchsorted(ids, edge << ORDINAL_BITS) for edge in (firsts, lasts + 1))
    edges = np.concatenate([[0], np.stack([starts, ends], axis=1).ravel(), [len(ids)]])
    return np.repeat(np.arange(len(edges) - 1) % 2 == 1, np.diff(edges))


def between(photos: Ids, first: int, last: int) -> Ids:
    """Those of `photos` (sorted) that the segments from first to last may belong to."""
    start, end = np.searchsorted(photos, [first >> ORDINAL_BITS, (last >> ORDINAL_BITS) + 1])
    return photos[start:end]


def nearest(ids: Ids, scores: NDArray[np.float32], limit: int) -> Scored:
    """The `limit` best, best first; equal scores stand in order of id, so that the answer never depends on luck."""
    if len(ids) > limit:
        worst = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        reaching = scores >= worst
        ids, scores = ids[reaching], scores[reaching]
    order = np.lexsort((ids, -scores))[:limit]
    return ids[order], scores[order]


def joined(parts: Sequence[Scored]) -> Scored:
    """The rows of several searches, one after another."""
    ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in parts)])
    return ids, np.concatenate([np.empty(0, np.float32), *(scores for _, scores in parts)])


def reached(found: Scored, least: float) -> Scored:
    """Those of several rows, best first, that score so much, and at least the nearest few."""
    ids, scores = found
    wanted = max(FEW, int(np.count_nonzero(scores >= least)))
    return ids[:wanted], scores[:wanted]


def at_first(rows: int) -> int:
    """How many segments a search among so many rows had best be asked for at first."""
    return min(max(rows // _ONE_OF, _AT_LEAST), AT_FIRST)


def growing(ask: Callable[[int], Scored], least: float, limit: int, first: int = AT_FIRST) -> Scored:
    """The first of a search that names the nearest, as many as score `least` or more, and at least the nearest few.

    `ask` tells so many of the nearest. It is asked for `first` and then for ever more, since most are answered by the
    first few.
    """
    count = min(first, limit)
    while True:
        ids, scores = ask(count)
        if count >= limit or len(ids) < count or scores[-1] < least:
            return reached((ids, scores), least)
        count = min(_TIMES_MORE * count, limit)


def matches(ids: Ids, scores: NDArray[np.float32]) -> list[Match]:
    """The rows as plain values, in their order."""
    return list(map(Match, ids.tolist(), scores.tolist()))
