"""What is read from the catalog, as functions over a DB-API connection.

Reader and writer share them, so what a query sees and what an ingest sees is the same. A list of ids travels as one
JSON parameter: SQLite bounds the number of parameters, not the length of one. CROSS JOIN keeps that list outside:
SQLite cannot know how long it is, and the other order reads all of it again for every pack.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from archive.catalog import values
from archive.catalog.packing import PackedPack, decode_whole, first_rows, require_whole
from archive.errors import CatalogDamaged
from archive.types import Mark

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from archive.types import Ids, Pack, Pair, Photo, Shard

    Rows = list[values.Columns]

PAGE = 64
"""Packs that are read at once: about 2 MB. No cursor stays open while the caller works on them."""

LAST_ID = 2**63 - 1


class State(NamedTuple):
    """Which archive this is, and its newest commit; a cache that was built from another nonce is another's."""

    uuid: str
    generation: int
    nonce: bytes


class Tally(NamedTuple):
    """How much a pair has observed; see `archive.catalog.rows.TallyRow`."""

    packs: int
    segments: int
    changed: bytes
    erased: bytes


class Span(NamedTuple):
    """Packs of a pair from first to last, both included, and the vectors that they hold together."""

    first_pack: int
    last_pack: int
    vectors: int


def state(connection: sqlite3.Connection) -> State:
    """The one row that says which archive this is."""
    row = connection.execute("SELECT uuid, generation, nonce FROM state").fetchone()
    if row is None:
        raise CatalogDamaged("the catalog has lost the row that names its archive; run: archive check")
    return State(*row)


def answering(connection: sqlite3.Connection) -> tuple[int, Pair] | None:
    """The pair that answers queries, with its id."""
    return _pair(
        connection,
        """SELECT p.id, p.name, p.segmenter, p.space, p.dim, p.segmenter_source, p.embedder_source
           FROM pairs p JOIN state s ON s.answering_pair = p.id""",
    )


def wanted(connection: sqlite3.Connection) -> tuple[int, Pair] | None:
    """The pair chosen to answer once every photo was observed with it, with its id."""
    return _pair(
        connection,
        """SELECT p.id, p.name, p.segmenter, p.space, p.dim, p.segmenter_source, p.embedder_source
           FROM pairs p JOIN state s ON s.wanted_pair = p.id""",
    )


def pairs(connection: sqlite3.Connection) -> dict[int, Pair]:
    """Every pair that the archive has known, by id."""
    rows = connection.execute("SELECT id, name, segmenter, space, dim, segmenter_source, embedder_source FROM pairs")
    return dict(map(values.numbered_pair, rows))


def pair_id(connection: sqlite3.Connection, pair: Pair) -> int | None:
    """The id of the pair that sees and says the same to the byte."""
    query = "SELECT id FROM pairs WHERE segmenter = ? AND space = ?"
    row = connection.execute(query, (pair.segmenter, pair.space)).fetchone()
    return None if row is None else int(row[0])


def photo_id(connection: sqlite3.Connection, digest: str, wearer: int | None = None) -> int | None:
    """The id of the photo with that sha256 in hex; with `wearer`, of his alone."""
    if wearer is None:
        query, parameters = "SELECT id FROM photos WHERE digest = ? ORDER BY id LIMIT 1", (bytes.fromhex(digest),)
        row = connection.execute(query, parameters).fetchone()
    else:
        query = "SELECT id FROM photos WHERE digest = ? AND wearer = ?"
        row = connection.execute(query, (bytes.fromhex(digest), wearer)).fetchone()
    return None if row is None else int(row[0])


def mark(connection: sqlite3.Connection, digest: str, wearer: int = 0) -> bytes:
    """What a wearer's photo of that sha256 in hex is recognised by once he forgot it; see `archive.catalog.erasing`."""
    (key,) = connection.execute("SELECT key FROM mark_keys").fetchone()
    import hmac  # brings OpenSSL, which a query has no use for

    whose = wearer.to_bytes(8, "little") if wearer else b""
    return hmac.digest(key, bytes.fromhex(digest) + whose, "sha256")


def is_forgotten(connection: sqlite3.Connection, digest: str, wearer: int = 0) -> bool:
    """Whether that wearer forgot a photo of that sha256 in hex, or somebody while the photos were nobody's yet."""
    query = "SELECT 1 FROM forgotten WHERE mark IN (?, ?)"
    marks = mark(connection, digest, wearer), mark(connection, digest)
    return connection.execute(query, marks).fetchone() is not None


def tally(connection: sqlite3.Connection, pair_id: int) -> Tally | None:
    """How much a pair has observed; None where nobody keeps count of it."""
    row = connection.execute(
        "SELECT packs, segments, changed, erased FROM tallies WHERE pair_id = ?", (pair_id,)
    ).fetchone()
    return None if row is None else Tally(*row)


def erasures(connection: sqlite3.Connection) -> list[str | None]:
    """The digests of photos whose files are still to be erased; None where only SQLite's log is to be emptied."""
    rows = connection.execute("SELECT digest FROM erasures ORDER BY id")
    return [None if digest is None else digest.hex() for (digest,) in rows]


def marks_of(connection: sqlite3.Connection, photo_id: int) -> list[Mark]:
    """What may keep one photo from showing a thing, in alphabetical order."""
    rows = connection.execute("SELECT mark FROM marks WHERE photo_id = ? ORDER BY mark", (photo_id,))
    return [Mark(name) for (name,) in rows]


def marks(connection: sqlite3.Connection, photo_ids: Iterable[int]) -> dict[int, set[Mark]]:
    """What may keep these photos from showing a thing, by photo id; photos without a mark are left out."""
    found: dict[int, set[Mark]] = {}
    rows = connection.execute(
        "SELECT m.photo_id, m.mark FROM json_each(?) wanted CROSS JOIN marks m ON m.photo_id = wanted.value",
        (as_json(photo_ids),),
    )
    for photo, name in rows:
        found.setdefault(photo, set()).add(Mark(name))
    return found


def photos(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Photo]:
    """Photos by id; ids that are not there are left out. A photo's name is that of its first source."""
    rows = connection.execute(
        """SELECT p.id, p.digest, (SELECT name FROM sources WHERE photo_id = p.id ORDER BY id LIMIT 1), p.suffix,
                  p.captured_at_us, p.captured_at_source, p.camera, p.width, p.height, p.captured_error_ms
           FROM json_each(?) wanted CROSS JOIN photos p ON p.id = wanted.value""",
        (as_json(ids),),
    )
    return {columns[0]: values.photo(columns) for columns in rows}


def latest(connection: sqlite3.Connection, ids: Iterable[int], limit: int) -> list[int]:
    """The ids of those photos that were taken last, at most `limit`; of unknown time is as long ago as can be."""
    rows = connection.execute(
        """SELECT p.id FROM json_each(?) wanted CROSS JOIN photos p ON p.id = wanted.value
           ORDER BY p.captured_at_us IS NULL, p.captured_at_us DESC, p.id DESC LIMIT ?""",
        (as_json(ids), limit),
    )
    return [photo for (photo,) in rows]


def every_photo(connection: sqlite3.Connection) -> Iterator[tuple[Photo, int]]:
    """Every photo with the bytes of its original, in the order of ids."""
    after = 0
    while True:
        page = connection.execute(
            """SELECT p.size, p.id, p.digest, (SELECT name FROM sources WHERE photo_id = p.id ORDER BY id LIMIT 1),
                      p.suffix, p.captured_at_us, p.captured_at_source, p.camera, p.width, p.height, p.captured_error_ms
               FROM photos p WHERE p.id > ? ORDER BY p.id LIMIT 4096""",
            (after,),
        ).fetchall()
        if not page:
            return
        for size, *columns in page:
            yield values.photo(tuple(columns)), size
        after = page[-1][1]


def photo_count(connection: sqlite3.Connection) -> int:
    """How many photos there are."""
    return int(connection.execute("SELECT count(*) FROM photos").fetchone()[0])


def photos_without_pack(connection: sqlite3.Connection, pair_id: int, after: int = 0) -> Iterator[Photo]:
    """Photos that this pair has not observed, in order, from the id `after` on. Packs may be added meanwhile."""
    while True:
        page = connection.execute(
            """SELECT p.id, p.digest, (SELECT name FROM sources WHERE photo_id = p.id ORDER BY id LIMIT 1), p.suffix,
                      p.captured_at_us, p.captured_at_source, p.camera, p.width, p.height, p.captured_error_ms
               FROM photos p
               WHERE p.id > ? AND NOT EXISTS (SELECT 1 FROM packs k WHERE k.pair_id = ? AND k.photo_id = p.id)
               ORDER BY p.id LIMIT 256""",
            (after, pair_id),
        ).fetchall()
        if not page:
            return
        yield from map(values.photo, page)
        after = page[-1][0]


def owners(connection: sqlite3.Connection, pair_id: int, first: int, last: int) -> dict[int, int] | None:
    """Whose the photos of some packs are, by photo id, those of nobody left out; None where there are no wearers."""
    if connection.execute("SELECT 1 FROM wearers LIMIT 1").fetchone() is None:
        return None
    rows = connection.execute(
        """SELECT p.id, p.wearer FROM packs k JOIN photos p ON p.id = k.photo_id
           WHERE k.pair_id = ? AND k.id BETWEEN ? AND ? AND p.wearer <> 0""",
        (pair_id, first, last),
    )
    return dict(rows.fetchall())


def pending(connection: sqlite3.Connection, pair_id: int) -> int:
    """How many photos this pair has not observed."""
    row = connection.execute(
        """SELECT (SELECT count(*) FROM photos) - (SELECT count(*) FROM packs WHERE pair_id = ?)""", (pair_id,)
    ).fetchone()
    return int(row[0])


def packs(
    connection: sqlite3.Connection,
    pair_id: int,
    damaged: set[int],
    first: int = 1,
    last: int = LAST_ID,
    allowed: Ids | None = None,
) -> Iterator[tuple[int, Pack]]:
    """Packs of a pair with their ids, from first to last (both included), in the order of their ids.

    With `allowed` (photo ids) only their packs are read. A pack that bit rot has altered is passed over, and the id of
    its photo added to `damaged`: one bad sector must not silence the whole archive.
    """
    dim = _dim(connection, pair_id)
    pages = (
        _pages(connection, pair_id, first, last)
        if allowed is None
        else _chosen(connection, pair_id, first, last, allowed)
    )
    for page in pages:
        ids = {photo: pack_id for pack_id, photo, *_ in page}
        for pack in _whole((row[1:] for row in page), pair_id, dim, damaged):
            yield ids[pack.photo_id], pack


def first_packs(
    connection: sqlite3.Connection, pair_id: int, damaged: set[int], first: int, last: int, limit: int
) -> list[Pack]:
    """The first packs of a pair from first to last (both included), in the order of their ids, but damaged ones."""
    dim = _dim(connection, pair_id)
    rows = _page(connection, pair_id, first, last, limit)
    return _whole((row[1:] for row in rows), pair_id, dim, damaged)


def packs_of(
    connection: sqlite3.Connection, pair_id: int, photo_ids: Iterable[int], damaged: set[int]
) -> dict[int, Pack]:
    """The packs of those photos, by photo id; photos that the pair has not observed are left out.

    So are those whose pack is damaged; `damaged` then names them.
    """
    dim = _dim(connection, pair_id)
    rows = connection.execute(
        """SELECT k.photo_id, k.count, k.crc, k.boxes, k.confidences, k.vectors
           FROM json_each(?) wanted CROSS JOIN packs k ON k.pair_id = ? AND k.photo_id = wanted.value""",
        (as_json(photo_ids), pair_id),
    )
    return {pack.photo_id: pack for pack in _whole(rows, pair_id, dim, damaged)}


def frames_of(connection: sqlite3.Connection, pair_id: int, photo_ids: Iterable[int]) -> dict[int, NDArray[np.float32]]:
    """The vectors of those photos as wholes, by photo id. What the checksum of a pack says is not looked at."""
    dim = _dim(connection, pair_id)
    rows = connection.execute(
        """SELECT k.photo_id, substr(k.vectors, 1, 2 * ?)
           FROM json_each(?) wanted CROSS JOIN packs k ON k.pair_id = ? AND k.photo_id = wanted.value""",
        (dim, as_json(photo_ids), pair_id),
    )
    found = dict(rows.fetchall())
    return dict(zip(found, first_rows(found.values(), dim), strict=True))


def shards(connection: sqlite3.Connection, pair_id: int) -> list[Shard]:
    """The pair's shards, in the order of the packs that they cover."""
    rows = connection.execute(
        """SELECT name, sha256, size, count, first_pack, last_pack
           FROM shards WHERE pair_id = ? ORDER BY first_pack""",
        (pair_id,),
    )
    return [values.shard(columns) for columns in rows]


def unsealed(connection: sqlite3.Connection, pair_id: int) -> list[Span]:
    """The runs of packs that no shard covers, in order: what has to be searched by brute force."""
    spans = []
    after = 0
    for first, last in [(shard.first_pack, shard.last_pack) for shard in shards(connection, pair_id)] + [(LAST_ID, 0)]:
        spans.append(_span(connection, pair_id, after + 1, first - 1))
        after = max(after, last)
    return [span for span in spans if span.vectors]


def vectors_between(connection: sqlite3.Connection, pair_id: int, first: int, last: int) -> int:
    """How many vectors the packs from first to last hold."""
    return _span(connection, pair_id, first, last).vectors


def as_json(ids: Iterable[int]) -> str:
    """A list of ids as the one parameter that `json_each` unfolds."""
    return json.dumps([int(number) for number in ids])


def _whole(rows: Iterable[values.Columns], pair_id: int, dim: int, damaged: set[int]) -> list[Pack]:
    """The packs that rows hold: photo id, count, crc and the three blobs; altered ones go to `damaged`."""
    whole = []
    for photo, *blobs in rows:
        packed = PackedPack(*blobs)
        try:
            require_whole(packed, photo, pair_id, dim)
        except CatalogDamaged:
            damaged.add(photo)
        else:
            whole.append((photo, packed))
    return decode_whole(whole, dim)


def _span(connection: sqlite3.Connection, pair_id: int, first: int, last: int) -> Span:
    row = connection.execute(
        """SELECT coalesce(min(id), 0), coalesce(max(id), 0), coalesce(sum(count), 0)
           FROM packs INDEXED BY ix_packs_scan WHERE pair_id = ? AND id BETWEEN ? AND ?""",
        (pair_id, first, last),
    ).fetchone()
    return Span(*row)


def _pages(connection: sqlite3.Connection, pair_id: int, first: int, last: int) -> Iterator[Rows]:
    while page := _page(connection, pair_id, first, last, PAGE):
        yield page
        first = page[-1][0] + 1


def _page(connection: sqlite3.Connection, pair_id: int, first: int, last: int, limit: int) -> Rows:
    return connection.execute(
        """SELECT id, photo_id, count, crc, boxes, confidences, vectors
           FROM packs WHERE pair_id = ? AND id BETWEEN ? AND ? ORDER BY id LIMIT ?""",
        (pair_id, first, last, limit),
    ).fetchall()


def _chosen(connection: sqlite3.Connection, pair_id: int, first: int, last: int, allowed: Ids) -> Iterator[Rows]:
    # Ids first, from the index alone; only then the vectors of those that are wanted.
    rows = connection.execute(
        """SELECT k.id FROM json_each(?) wanted CROSS JOIN packs k ON k.pair_id = ? AND k.photo_id = wanted.value
           WHERE k.id BETWEEN ? AND ?""",
        (as_json(allowed), pair_id, first, last),
    )
    ids = sorted(row[0] for row in rows)
    for start in range(0, len(ids), PAGE):
        yield connection.execute(
            """SELECT k.id, k.photo_id, k.count, k.crc, k.boxes, k.confidences, k.vectors
               FROM json_each(?) wanted CROSS JOIN packs k ON k.id = wanted.value""",
            (as_json(ids[start : start + PAGE]),),
        ).fetchall()


def _pair(connection: sqlite3.Connection, query: str) -> tuple[int, Pair] | None:
    row = connection.execute(query).fetchone()
    return None if row is None else values.numbered_pair(row)


def _dim(connection: sqlite3.Connection, pair_id: int) -> int:
    row = connection.execute("SELECT dim FROM pairs WHERE id = ?", (pair_id,)).fetchone()
    if row is None:
        raise KeyError(pair_id)
    return int(row[0])
