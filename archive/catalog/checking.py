"""Whether the catalog agrees with itself. Looks, says what it found, and changes nothing."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archive.catalog import queries
from archive.catalog.driver import archive_errors, sqlite_module
from archive.catalog.packing import PackedPack, first_box, require_whole
from archive.catalog.reader import open_to_read
from archive.errors import CatalogDamaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from archive.catalog.driver import Place
    from archive.types import Shard


class Code(StrEnum):
    """What kind of thing was found."""

    SQLITE = "sqlite"
    ORPHAN = "orphan"
    STATE = "state"
    PACK = "pack"
    WHOLE_FRAME = "whole_frame"
    SHARD = "shard"
    SOURCE = "source"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, in words."""

    code: Code
    message: str

    @property
    def is_damage(self) -> bool:
        """Whether something is wrong; photos that are only waiting for an ingest to go on are not."""
        return self.code is not Code.PENDING


def check_catalog(place: Place, *, deep: bool = False) -> list[Finding]:
    """Everything that is wrong inside the catalog at `place`; `deep` also compares SQLite's indexes with its tables.

    A PostgreSQL looks after its own pages (see its checksums and amcheck); only rows are compared there.

    Raises:
        ArchiveError: there is no catalog, or not one that this version reads.
    """
    with archive_errors(place), closing(open_to_read(place)) as connection:
        if not isinstance(place, Path):
            return list(_rows(connection))
        return [*_readable(_sqlite(connection, deep=deep)), *_readable(_rows(connection))]


def _readable(findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings up to the place where SQLite itself can read no further, which is one more."""
    try:
        yield from findings
    except sqlite_module().DatabaseError as error:
        yield Finding(Code.SQLITE, f"the rest could not be read: {error}")


def _sqlite(connection: sqlite3.Connection, *, deep: bool) -> Iterator[Finding]:
    pragma = "PRAGMA integrity_check" if deep else "PRAGMA quick_check"
    for (line,) in connection.execute(pragma):
        if line != "ok":
            yield Finding(Code.SQLITE, line)
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Finding(Code.ORPHAN, f"row {row} of {table} belongs to a row of {parent} that is not there")


def _rows(connection: sqlite3.Connection) -> Iterator[Finding]:
    yield from _state(connection)
    pairs = queries.pairs(connection)
    for pair_id, pair in pairs.items():
        yield from _packs(connection, pair_id, pair.dim)
        yield from _shards(connection, pair_id)
    yield from _sources(connection)
    yield from _pending(connection)
    yield from _erasures(connection)


def _state(connection: sqlite3.Connection) -> Iterator[Finding]:
    rows = connection.execute("SELECT length(uuid), length(nonce) FROM state").fetchall()
    if rows != [(36, 16)]:
        yield Finding(Code.STATE, "the row that names the archive and its newest commit is missing or malformed")


def _packs(connection: sqlite3.Connection, pair_id: int, dim: int) -> Iterator[Finding]:
    for _, width, height, photo_id, *blobs in _packed(connection, pair_id):
        packed = PackedPack(*blobs)
        try:
            require_whole(packed, photo_id, pair_id, dim)
        except CatalogDamaged as error:
            yield Finding(Code.PACK, str(error))
            continue
        if first_box(packed) != (0, 0, width, height):
            yield Finding(Code.WHOLE_FRAME, f"the first segment of photo {photo_id} is not its whole frame")


def _packed(connection: sqlite3.Connection, pair_id: int) -> Iterator[tuple[Any, ...]]:
    """Every pack of a pair as it is stored, with its id and its photo's size, some at a time."""
    after = 0
    while page := connection.execute(
        """SELECT k.id, p.width, p.height, k.photo_id, k.count, k.crc, k.boxes, k.confidences, k.vectors
           FROM packs k JOIN photos p ON p.id = k.photo_id
           WHERE k.pair_id = ? AND k.id > ? ORDER BY k.id LIMIT ?""",
        (pair_id, after, queries.PAGE),
    ).fetchall():
        yield from page
        after = page[-1][0]


def _shards(connection: sqlite3.Connection, pair_id: int) -> Iterator[Finding]:
    shards = queries.shards(connection, pair_id)
    for earlier, later in pairwise(shards):
        if later.first_pack <= earlier.last_pack:
            yield Finding(Code.SHARD, f"the shards {earlier.name} and {later.name} overlap")
    for shard in shards:
        held = queries.vectors_between(connection, pair_id, shard.first_pack, shard.last_pack)
        if held != shard.count:
            yield Finding(Code.SHARD, _miscounted(shard, held))


def _miscounted(shard: Shard, held: int) -> str:
    return f"the shard {shard.name} holds {shard.count} vectors, its packs {held}; run: archive reindex"


def _sources(connection: sqlite3.Connection) -> Iterator[Finding]:
    rows = connection.execute(
        "SELECT id FROM photos p WHERE NOT EXISTS (SELECT 1 FROM sources s WHERE s.photo_id = p.id) ORDER BY id"
    )
    for (photo_id,) in rows:
        yield Finding(Code.SOURCE, f"nobody remembers where photo {photo_id} came from")


def _pending(connection: sqlite3.Connection) -> Iterator[Finding]:
    answering, wanted = queries.answering(connection), queries.wanted(connection)
    for numbered, command in ((answering, "reindex"), (None if wanted == answering else wanted, "reembed")):
        missing = 0 if numbered is None else queries.pending(connection, numbered[0])
        if numbered is not None and missing > 0:  # below zero there are packs without a photo, which is said elsewhere
            words = f"{missing} photos wait to be observed by {numbered[1].name}; run: archive {command}"
            yield Finding(Code.PENDING, words)


def _erasures(connection: sqlite3.Connection) -> Iterator[Finding]:
    if queries.erasures(connection):
        yield Finding(Code.PENDING, "photos that were forgotten are not purged to the last byte; run: archive forget")
