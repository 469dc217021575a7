"""The vectors of single segments, for an index whose codes say only which may be the nearest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from archive.catalog.halves import as_floats
from archive.types import MAX_SEGMENTS, ORDINAL_BITS

if TYPE_CHECKING:
    import sqlite3

    from archive.types import Ids, Vectors

WHOLE_TOLERANCE = 1e-2
"""How far from 1 the length of a stored vector may be; one that bit rot has altered may be anywhere."""

_COUNT_BITS = ORDINAL_BITS + 1


def vectors_of(connection: sqlite3.Connection, pair_id: int, dim: int, segments: Ids) -> tuple[Ids, Vectors]:
    """The vectors of sorted segment ids, unit rows, with the ids: those that are not there are left out.

    Of each pack only the part between the first and the last segment that is asked for is taken, and its checksum is
    not looked at: these vectors say which photos to look at, and what is shown is read again as a whole.
    """
    if not len(segments):
        return segments, np.empty((0, dim), np.float32)
    photos, begins = np.unique(segments >> ORDINAL_BITS, return_index=True)
    ends = np.append(begins[1:], len(segments))
    ordinals = segments & (MAX_SEGMENTS - 1)
    # One number says photo, first ordinal and count: SQLite takes it apart faster than it parses JSON.
    spans = segments[begins] << _COUNT_BITS | (ordinals[ends - 1] + 1 - ordinals[begins])
    rows = connection.execute(
        f"""SELECT k.photo_id, substr(k.vectors,
                                 CAST(1 + 2 * ? * (wanted.value >> {_COUNT_BITS} & {MAX_SEGMENTS - 1}) AS integer),
                                 CAST(2 * ? * (wanted.value & {(1 << _COUNT_BITS) - 1}) AS integer))
            FROM json_each(?) wanted CROSS JOIN packs k
            ON k.pair_id = ? AND k.photo_id = wanted.value >> {_COUNT_BITS + ORDINAL_BITS}""",  # noqa: S608  (constants)
        (dim, dim, json.dumps(spans.tolist()), pair_id),
    )
    found = rows.fetchall()
    there = np.searchsorted(photos, np.fromiter((photo for photo, _ in found), np.int64, len(found)))
    held = np.fromiter((len(content) for _, content in found), np.intp, len(found)) // (2 * dim)
    stored = np.frombuffer(b"".join(content for _, content in found), "<u2").reshape(-1, dim)
    # Where each photo's part begins among all that was read, and how long it is; nothing of those that are missing.
    offsets, lengths = np.zeros(len(photos), np.intp), np.zeros(len(photos), np.intp)
    offsets[there], lengths[there] = np.cumsum(held) - held, held
    owners = np.repeat(np.arange(len(photos)), ends - begins)
    steps = ordinals - ordinals[begins][owners]
    kept = steps < lengths[owners]
    return _whole(segments[kept], as_floats(stored[(offsets[owners] + steps)[kept]]))


def _whole(ids: Ids, vectors: Vectors) -> tuple[Ids, Vectors]:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    whole = np.abs(lengths - 1) <= WHOLE_TOLERANCE
    return ids[whole], vectors[whole] / lengths[whole, np.newaxis]
