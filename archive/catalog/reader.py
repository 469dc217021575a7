"""Reading the catalog: what a query needs, without SQLAlchemy, whose import costs more than a whole answer.

What only other commands read, they import here when they do.
"""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.catalog import candidates, queries, scoping, taught, values
from archive.catalog.driver import archive_errors, connect_to_read, meaning
from archive.catalog.queries import LAST_ID, Span, State
from archive.catalog.revisions import HEAD, stored_revision
from archive.errors import ArchiveError, NoArchive
from archive.types import Example, ordinal_of, photo_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from archive.catalog import browsing
    from archive.catalog.driver import Place
    from archive.catalog.idle import IdleConnections
    from archive.catalog.scoping import Scope
    from archive.catalog.summary import Summary
    from archive.sessions import SessionKey
    from archive.things import Thing
    from archive.types import Box, Ids, Mark, Pack, Pair, Photo, Shard, Vectors


class Allowed(NamedTuple):
    """The photos that a filter lets through: sorted ids, or None where nothing was filtered.

    `untimed` photos were left out by a time range only because nobody knows when they were taken.
    """

    ids: Ids | None
    untimed: int


class Counts(NamedTuple):
    """What a pair can search."""

    photos: int
    segments: int


class CatalogReader:
    """One consistent view of the catalog, from `open` to `close`, whatever a writer does meanwhile.

    Use it in a `with` block: that is also where SQLite's errors become errors of the archive. Keep it short: as long
    as it is open, the log of later commits cannot be truncated.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        place: Place,
        scope: Scope | None = None,
        idle: IdleConnections | None = None,
    ) -> None:
        self._connection = connection
        self._place = place
        self._idle = idle
        self._scope = scope
        self.wearers: tuple[int, ...] | None = None
        """Whose photos are seen, everybody else's being as if they were not there; None where all are."""
        if scope is not None:
            self.wearers = scoping.wearers(connection, scope.names)
            self._connection = narrowed(connection, place, self.wearers)
        self.damaged: set[int] = set()
        """Ids of the photos whose packs were met, were found altered, and were passed over."""

    @classmethod
    def open(cls, place: Place, scope: Scope | None = None, idle: IdleConnections | None = None) -> Self:
        """Open the catalog at `place`, a file or a PostgreSQL; with a `scope`, only what is of its wearers is seen.

        One of the `idle` connections to a file is used where all of it is seen, and waits again afterwards.

        Raises:
            ArchiveError: there is none, or an older version wrote it.
            CatalogTooNew: a later version wrote it.
        """
        if scope is not None or not isinstance(place, Path):
            idle = None
        with archive_errors(place):
            connection = open_to_read(place, idle)
            try:
                return cls(connection, place, scope, idle)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Let go of the view, and of the file unless its connection waits for the next view."""
        if self._idle is not None:
            with archive_errors(self._place):
                self._idle.give(self._connection)
        else:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._idle is not None:
            self._idle.drop(self._connection)
        else:
            self.close()
        if error is not None and (meant := meaning(error, self._place)):
            raise meant from error

    @cached_property
    def state(self) -> State:
        """Which archive this is, and which commit is seen."""
        return queries.state(self._connection)

    def answering(self) -> tuple[int, Pair] | None:
        """The pair that answers queries, with its id."""
        return queries.answering(self._connection)

    def wanted(self) -> tuple[int, Pair] | None:
        """The pair chosen to answer once every photo was observed with it, with its id."""
        return queries.wanted(self._connection)

    def photo_id(self, digest: str) -> int | None:
        """The id of the photo with that sha256 in hex."""
        return queries.photo_id(self._connection, digest)

    def is_forgotten(self, digest: str) -> bool:
        """Whether a photo of that sha256 in hex was forgotten, and not taken in again since."""
        return any(queries.is_forgotten(self._connection, digest, wearer) for wearer in self.wearers or (0,))

    def is_forgotten_by_anybody(self, digest: str) -> bool:
        """The same of all wearers, of whom each forgets for himself."""
        return any(queries.is_forgotten(self._connection, digest, one) for one in scoping.everybody(self._connection))

    def erasures(self) -> list[str | None]:
        """The digests of photos whose files are still to be erased; None where only the log is to be emptied."""
        return queries.erasures(self._connection)

    def tally(self, pair_id: int) -> queries.Tally | None:
        """How much the pair has observed, and what changes whenever that does; None where nobody keeps count."""
        return queries.tally(self._connection, pair_id) if self._scope is None else None

    def counts(self, pair_id: int, photos: Ids | None = None) -> Counts:
        """How many photos the pair has observed, and their segments; with `photos`, among these only."""
        if photos is None:
            if tally := self.tally(pair_id):
                return Counts(tally.packs, tally.segments)
            query = "SELECT count(*), coalesce(sum(count), 0) FROM packs INDEXED BY ix_packs_scan WHERE pair_id = ?"
            return Counts(*self._connection.execute(query, (pair_id,)).fetchone())
        row = self._connection.execute(
            """SELECT count(*), coalesce(sum(k.count), 0)
               FROM json_each(?) wanted CROSS JOIN packs k ON k.pair_id = ? AND k.photo_id = wanted.value""",
            (queries.as_json(photos), pair_id),
        ).fetchone()
        return Counts(*row)

    def photos_between(self, after: datetime | None, before: datetime | None, camera: str | None = None) -> Allowed:
        """The photos taken at `after` or later and earlier than `before`, by that camera; None leaves a side open."""
        timed = after is not None or before is not None
        if not timed and camera is None:
            listed = self._scope is not None and not self._scope.in_index
            return Allowed(self._ids("SELECT id FROM photos") if listed else None, 0)
        first = -LAST_ID if after is None else values.microseconds(after)
        end = LAST_ID if before is None else values.microseconds(before)
        if not timed:
            return Allowed(self._ids("SELECT id FROM photos WHERE camera = ?", camera), 0)
        if camera is None:
            ids = self._ids("SELECT id FROM photos WHERE captured_at_us >= ? AND captured_at_us < ?", first, end)
            return Allowed(ids, self._count("SELECT count(*) FROM photos WHERE captured_at_us IS NULL"))
        ids = self._ids(
            "SELECT id FROM photos WHERE camera = ? AND captured_at_us >= ? AND captured_at_us < ?", camera, first, end
        )
        untimed = "SELECT count(*) FROM photos WHERE camera = ? AND captured_at_us IS NULL"
        return Allowed(ids, self._count(untimed, camera))

    def photo_count(self) -> int:
        """How many photos there are."""
        return queries.photo_count(self._connection)

    def pending(self, pair_id: int) -> int:
        """How many photos this pair has not observed."""
        return queries.pending(self._connection, pair_id)

    def photos_without_pack(self, pair_id: int, after: int = 0) -> Iterator[Photo]:
        """Photos that this pair has not observed, in the order of their ids, from the id `after` on."""
        return queries.photos_without_pack(self._connection, pair_id, after)

    def exemplars_without_vector(self, space: str) -> list[tuple[int, bytes, Box]]:
        """The exemplars that this space has not seen: id, JPEG, and the box in it."""
        return taught.without_vector(self._connection, space)

    def pairs(self) -> dict[int, Pair]:
        """Every pair that the archive has known, by id."""
        return queries.pairs(self._connection)

    def every_photo(self) -> Iterator[tuple[Photo, int]]:
        """Every photo with the bytes of its original, in the order of ids."""
        return queries.every_photo(self._connection)

    def photos(self, ids: Iterable[int]) -> dict[int, Photo]:
        """Photos by id; ids that are not there are left out. A photo's name is that of its first source."""
        return queries.photos(self._connection, ids)

    def latest(self, ids: Iterable[int], limit: int) -> list[int]:
        """The ids of so many of these photos, those that were taken last; those of unknown time are the earliest."""
        return queries.latest(self._connection, ids, limit)

    def photos_earlier(self, place: browsing.Place | None, limit: int) -> list[Photo]:
        """Photos going back in time from a place, or from the newest; those of unknown time stand last."""
        from archive.catalog import browsing

        return browsing.earlier(self._connection, place, limit)

    def photos_later(self, place: browsing.Place, limit: int) -> list[Photo]:
        """Photos going forward in time from a place, the nearest first."""
        from archive.catalog import browsing

        return browsing.later(self._connection, place, limit)

    def days(self, after: datetime, before: datetime) -> dict[date, int]:
        """How many photos were taken on each local day, from `after` (inclusive) to `before`."""
        from archive.catalog import browsing

        return browsing.days(self._connection, after, before)

    def cameras(self, limit: int) -> list[str]:
        """The names of the cameras."""
        from archive.catalog import browsing

        return browsing.cameras(self._connection, limit)

    def marks(self, photo_ids: Iterable[int]) -> dict[int, set[Mark]]:
        """What may keep these photos from showing a thing, by photo id; photos without a mark are left out."""
        return queries.marks(self._connection, photo_ids)

    def marks_of(self, photo_id: int) -> list[Mark]:
        """What may keep one photo from showing a thing."""
        return queries.marks_of(self._connection, photo_id)

    def session_numbers(self, key: SessionKey) -> set[int]:
        """The numbers of a session's photos that are in."""
        from archive.catalog import session_queries

        return session_queries.session_numbers(self._connection, key)

    def packs(
        self, pair_id: int, after_pack: int = 0, photos: Ids | None = None, last_pack: int = LAST_ID
    ) -> Iterator[tuple[int, Pack]]:
        """Packs of a pair with their ids, in order, those after `after_pack`; with `photos`, only theirs."""
        return queries.packs(self._connection, pair_id, self.damaged, after_pack + 1, last_pack, photos)

    def first_packs(self, pair_id: int, after_pack: int, last_pack: int, limit: int) -> list[Pack]:
        """The first packs of a pair after `after_pack`, up to `last_pack`; no more than `limit` are read."""
        return queries.first_packs(self._connection, pair_id, self.damaged, after_pack + 1, last_pack, limit)

    def packs_of(self, pair_id: int, photo_ids: Iterable[int]) -> dict[int, Pack]:
        """The packs of those photos, by photo id; photos that the pair has not observed are left out."""
        return queries.packs_of(self._connection, pair_id, photo_ids, self.damaged)

    def frames_of(self, pair_id: int, photo_ids: Iterable[int]) -> dict[int, NDArray[np.float32]]:
        """The vectors (dim,) of those photos as wholes, by photo id, without the rest of their packs."""
        return queries.frames_of(self._connection, pair_id, photo_ids)

    def vectors_of(self, pair_id: int, dim: int, segments: Ids) -> tuple[Ids, Vectors]:
        """The vectors (n, dim) of sorted segment ids in a pair, with the ids: those that are not there are left out."""
        return candidates.vectors_of(self._connection, pair_id, dim, segments)

    def unsealed_packs(self, pair_id: int, photos: Ids | None = None) -> Iterator[tuple[int, Pack]]:
        """The packs that no shard covers, with their ids, in order; with `photos`, only theirs."""
        for span in self.unsealed(pair_id):
            yield from queries.packs(self._connection, pair_id, self.damaged, span.first_pack, span.last_pack, photos)

    def unsealed(self, pair_id: int) -> list[Span]:
        """The runs of packs that no shard covers, in order."""
        return queries.unsealed(self._connection, pair_id)

    def shards(self, pair_id: int) -> list[Shard]:
        """The pair's shards, in the order of the packs that they cover."""
        return queries.shards(self._connection, pair_id)

    def text_vector(self, space: str, text: str) -> Vectors | None:
        """The vector (1, dim) of a text that was asked before in that space."""
        query = "SELECT vector FROM texts WHERE space = ? AND text = ?"
        row = self._connection.execute(query, (space, text)).fetchone()
        return None if row is None else np.frombuffer(row[0], "<f4").astype(np.float32)[np.newaxis]

    def things(self, space: str) -> list[Thing]:
        """Every thing that was taught, with the vectors that its exemplars have in that space."""
        return taught.things(self._connection, space)

    def exemplar_picture(self, exemplar_id: int) -> bytes:
        """The JPEG of an exemplar."""
        return taught.picture(self._connection, exemplar_id)

    def examples(self, pair_id: int, segments: Sequence[int]) -> list[Example]:
        """Segments of the archive as examples of what is looked for; those that are no longer there are left out."""
        packs = self.packs_of(pair_id, {photo_of(segment) for segment in segments})
        found = []
        for segment in segments:
            pack, ordinal = packs.get(photo_of(segment)), ordinal_of(segment)
            if pack is not None and ordinal < len(pack):
                found.append(Example(f"thing {ordinal} of photo {pack.photo_id}", pack.vectors[ordinal : ordinal + 1]))
        return found

    def summary(self) -> Summary:
        """What is in the archive, for a person."""
        from archive.catalog.summary import summarize

        return summarize(self._connection, self._place)

    def _ids(self, query: str, *parameters: object) -> Ids:
        # As one text: to take a hundred thousand rows one by one costs twenty times as much.
        joined = f"SELECT group_concat(id) FROM ({query}) listed"  # noqa: S608  (queries of this module)
        (ids,) = self._connection.execute(joined, parameters).fetchone()
        return np.sort(np.fromstring(ids or "", np.int64, sep=","))

    def _count(self, query: str, *parameters: object) -> int:
        return int(self._connection.execute(query, parameters).fetchone()[0])


def narrowed(connection: sqlite3.Connection, place: Place, wearers: tuple[int, ...]) -> sqlite3.Connection:
    """The connection, or one over it, that sees these wearers alone."""
    if isinstance(place, Path):
        return scoping.narrowed(connection, wearers)
    scoping.narrow_postgres(connection, wearers)
    return connection


def open_to_read(path: Place, idle: IdleConnections | None = None) -> sqlite3.Connection:
    """A connection inside a read transaction, to a catalog of the schema that this version reads."""
    if not isinstance(path, Path):
        return path.connect_to_read()
    if not path.exists():
        raise _no_archive(path)
    connection = idle.take(path, partial(connect_to_read, path, any_thread=True)) if idle else connect_to_read(path)
    try:
        # What is seen is fixed by the first read after this, which is that of the schema.
        connection.execute("BEGIN")
        _refuse_other_schema(connection, path)
    except BaseException:
        if idle:
            idle.drop(connection)
        connection.close()
        raise
    return connection


def _refuse_other_schema(connection: sqlite3.Connection, path: Path) -> None:
    revision = stored_revision(connection, path)
    if revision is None:
        raise _no_archive(path)
    if revision != HEAD:
        message = f"{path} was written by an older version (schema {revision}, needed {HEAD}); run: archive ingest"
        raise ArchiveError(message)


def _no_archive(path: Path) -> NoArchive:
    return NoArchive(f"there is no archive at {path.parent}; run: archive ingest FOLDER")
