"""The vectors of single segments, for an index whose codes say only which may be the nearest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from archive.types import MAX_SEGMENTS, ORDINAL_BITS

if TYPE_CHECKING:
    import sqlite3

    from archive.types import Ids, Vectors

WHOLE_TOLERANCE = 1e-2
"""How far from 1 the length of a stored vector may be; one that bit rot has altered may be anywhere."""


def vectors_of(connection: sqlite3.Connection, pair_id: int, dim: int, segments: Ids) -> tuple[Ids, Vectors]:
    """The vectors of sorted segment ids, unit rows, with the ids: those that are not there are left out.

    Of each pack only the part between the first and the last segment that is asked for is taken, and its checksum is
    not looked at: these vectors say which photos to look at, and what is shown is read again as a whole.
    """
    photos, begins = np.unique(segments >> ORDINAL_BITS, return_index=True)
    ends = np.append(begins[1:], len(segments))
    ordinals = segments & (MAX_SEGMENTS - 1)
    first, end = ordinals[begins], ordinals[ends - 1] + 1
    # The photo, its bytes from where and how many, and its place among the photos.
    spans = np.stack((photos, 2 * dim * first, 2 * dim * (end - first), np.arange(len(photos))), axis=1)
    rows = connection.execute(
        """SELECT CAST(w.value ->> 3 AS integer),
                  substr(k.vectors, 1 + CAST(w.value ->> 1 AS integer), CAST(w.value ->> 2 AS integer))
           FROM json_each(?) w CROSS JOIN packs k ON k.pair_id = ? AND k.photo_id = CAST(w.value ->> 0 AS bigint)""",
        (json.dumps(spans.tolist()), pair_id),
    )
    places, parts = [np.empty(0, np.intp)], [np.empty((0, dim), np.float16)]
    for place, content in rows:
        own = np.arange(begins[place], ends[place])
        stored = np.frombuffer(content, "<f2").reshape(-1, dim)
        held = own[ordinals[own] - ordinals[own[0]] < len(stored)]
        places.append(held)
        parts.append(stored[ordinals[held] - ordinals[own[0]]])
    return _whole(segments[np.concatenate(places)], np.concatenate(parts).astype(np.float32))


def _whole(ids: Ids, vectors: Vectors) -> tuple[Ids, Vectors]:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    whole = np.abs(lengths - 1) <= WHOLE_TOLERANCE
    return ids[whole], vectors[whole] / lengths[whole, np.newaxis]
