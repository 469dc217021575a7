"""Writing the catalog. Whoever opens one holds the writer lock.

Every write is one transaction, durable on return, and counts: the generation goes up and the nonce is new.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sqlalchemy import bindparam, delete, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from archive.catalog import dropping, erasing, postgres, purging, queries, scoping, session_queries
from archive.catalog.driver import archive_errors, meaning
from archive.catalog.engine import engine_of
from archive.catalog.inserts import (
    insert_marks,
    insert_pack,
    insert_pair,
    insert_photo,
    insert_shard,
    insert_source,
    insert_wearer,
)
from archive.catalog.lessons import Lessons
from archive.catalog.new_photo import NewPhoto, PhotoIsKnown
from archive.catalog.packing import MAX_SIDE
from archive.catalog.queries import LAST_ID
from archive.catalog.rows import PackRow, PairRow, ShardRow, StateRow
from archive.catalog.surviving import Surviving
from archive.catalog.timing import place_photo, update_times, upsert_session
from archive.catalog.upgrade import bring_place_to_head
from archive.errors import PhotoError, SpaceMismatch

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from sqlalchemy import Engine

    from archive.catalog.driver import Place
    from archive.catalog.queries import Span, State
    from archive.sessions import Session, SessionKey, SessionPlace
    from archive.types import CaptureTime, Pack, Pair, Photo, Shard

__all__ = ["Catalog", "NewPhoto"]

_COUNT_COMMIT = (
    update(StateRow)
    .values(generation=StateRow.generation + 1, nonce=bindparam("new_nonce"))
    .returning(StateRow.generation)
)

_DROP_PACK = delete(PackRow).where(PackRow.pair_id == bindparam("pair"), PackRow.photo_id == bindparam("photo"))


class Catalog(Lessons):
    """The catalog, for its one writer. Use it in a `with` block, inside `writer_lock`.

    The block is also where SQLite's errors become errors of the archive.
    """

    def __init__(self, engine: Engine, place: Place) -> None:
        self._engine = engine
        self._place = place
        self._connection = engine.connect()
        self.wearer = 0
        """Whose photos and things are added, and known again; 0 where they are nobody's in particular."""

    @classmethod
    def open(cls, place: Place) -> Self:
        """Open the catalog at `place`, a file or a PostgreSQL; create it, or upgrade it, where that is needed.

        Raises:
            CatalogTooNew: a later version wrote it.
        """
        bring_place_to_head(place)
        with archive_errors(place):
            try:
                return cls(engine_of(place), place)
            except DBAPIError as error:
                raise error.orig or error from error

    def write_for(self, name: str) -> None:
        """Add photos and things to those of this wearer from now on, who is added if nobody has that name."""
        found = scoping.wearer_id(self._driver, name)
        if found is None:
            with self._write():  # nobody else writes in here, but somebody may have before
                found = scoping.wearer_id(self._driver, name) or insert_wearer(self._connection, name)
        self.wearer = found

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        cause = error.orig if isinstance(error, DBAPIError) else error
        if cause is not None and (meant := meaning(cause, self._place)):
            raise meant from error

    @property
    def uuid(self) -> str:
        """The archive's own name, given at its birth."""
        return self.state.uuid

    @property
    def state(self) -> State:
        """Which archive this is, and its newest commit."""
        return queries.state(self._driver)

    def photo_id(self, digest: str) -> int | None:
        """The id of the wearer's photo with that sha256 in hex."""
        return queries.photo_id(self._driver, digest, self.wearer)

    @contextmanager
    def letting_go(self, digest: str) -> Iterator[bool]:
        """Whether nobody has a photo of that sha256 in hex any more; no machine can add one while the block runs."""
        with self._write() if self.is_shared else nullcontext():
            yield not self.is_held(digest)

    def is_held(self, digest: str) -> bool:
        """Whether anybody has the photo with that sha256 in hex."""
        return queries.photo_id(self._driver, digest) is not None

    def surviving(self, erased: Sequence[int]) -> Surviving:
        """What is left of the photos when those ids are erased."""
        return Surviving(self._driver, erased)

    def wearers(self) -> tuple[int, ...]:
        """The id of everybody whose photos are told apart, and 0."""
        return scoping.everybody(self._driver)

    def is_known_at(self, path: bytes, size: int) -> bool:
        """Whether a photo of that size was found at that path of a source before; it may be another one by now."""
        query = """SELECT 1 FROM sources s JOIN photos p ON p.id = s.photo_id
                   WHERE s.path = ? AND p.size = ? AND p.wearer = ?"""
        return self._driver.execute(query, (path, size, self.wearer)).fetchone() is not None

    def add_photo(self, new: NewPhoto, pair_id: int, pack: Pack) -> int:
        """Add a photo, its source and its segments in one transaction; its new id. The pack's own photo id is not read.

        Raises:
            PhotoError: the photo is too long for a box to describe.
            PhotoIsKnown: the wearer has it.
        """
        if max(new.width, new.height) > MAX_SIDE:
            raise PhotoError(f"it is longer than {MAX_SIDE:,} pixels")
        self._refuse_other_space(pair_id, pack)
        try:
            with self._write() as generation:
                erasing.unmark(self._connection, self._driver, new.digest, self.wearer)
                photo_id = insert_photo(self._connection, new, generation, self.wearer)
                insert_source(self._connection, photo_id, new.name, new.path, new.modified)
                insert_marks(self._connection, photo_id, new.marks)
                insert_pack(self._connection, replace(pack, photo_id=photo_id), pair_id)
        except IntegrityError as error:
            if (known := self.photo_id(new.digest)) is None:
                raise
            raise PhotoIsKnown(known) from error
        return photo_id

    def add_source(self, photo_id: int, name: bytes, path: bytes, modified: float | None) -> bool:
        """Remember that a known photo was found there too; False if that was known."""
        query = "SELECT 1 FROM sources WHERE photo_id = ? AND path = ?"
        if self._driver.execute(query, (photo_id, path)).fetchone():
            return False
        try:
            with self._write():
                insert_source(self._connection, photo_id, name, path, modified)
        except IntegrityError:
            if self._driver.execute(query, (photo_id, path)).fetchone() is None:
                raise
            return False  # another machine was quicker
        return True

    def sessions(self) -> dict[int, Session]:
        """Every session of the wearable by id, in the order in which they were met."""
        return session_queries.sessions(self._driver)

    def session_photos(self, session_id: int) -> dict[int, int | None]:
        """The session's clock at the shutter of each of its photos, by photo id."""
        return session_queries.session_photos(self._driver, session_id)

    def session_numbers(self, key: SessionKey) -> set[int]:
        """The numbers of a session's photos that are in."""
        return session_queries.session_numbers(self._driver, key, self.wearer)

    def keep_sessions(self, sessions: Iterable[Session], times: Mapping[int, CaptureTime]) -> list[int]:
        """Keep what is known of sessions, and the times that photos (by id) get from it, in one transaction; their ids.

        Anchors are added, none is taken away.
        """
        with self._write():
            update_times(self._connection, times)
            return [upsert_session(self._connection, session) for session in sessions]

    def is_placed(self, photo_id: int) -> bool:
        """Whether it is known where in its session a photo stands."""
        return session_queries.is_placed(self._driver, photo_id)

    def place_photo(self, photo_id: int, place: SessionPlace, capture: CaptureTime, condition: str | None) -> None:
        """Say where a photo stands that was taken in before anybody knew."""
        with self._write():
            place_photo(self._connection, photo_id, place, capture, condition)

    def add_pack(self, pack: Pack, pair_id: int) -> None:
        """Add what another pair saw in a stored photo; a pack that the pair had of it, now damaged, goes."""
        self._refuse_other_space(pair_id, pack)
        with self._write():
            self._connection.execute(_DROP_PACK, {"pair": pair_id, "photo": pack.photo_id})
            insert_pack(self._connection, pack, pair_id)

    def drop_packs(self, pair_id: int, photo_ids: Sequence[int]) -> None:
        """Drop damaged packs of a pair that nobody waits for: they say nothing, and the originals are untouched."""
        with self._write():
            self._connection.execute(_DROP_PACK, [{"pair": pair_id, "photo": photo} for photo in photo_ids])

    def ensure_pair(self, pair: Pair) -> int:
        """The id of a pair, which is added if it is new; its name and where it is loaded from may change.

        Raises:
            SpaceMismatch: the same space has vectors of another length.
        """
        for pair_id, known in queries.pairs(self._driver).items():
            if (known.segmenter, known.space) == (pair.segmenter, pair.space):
                if known.dim != pair.dim:
                    raise SpaceMismatch(f"the space {pair.space} has {known.dim} dimensions, not {pair.dim}")
                if known != pair:
                    self._rename_pair(pair_id, pair)
                return pair_id
        with self._write():  # nobody else writes in here, but another machine may have before
            return queries.pair_id(self._driver, pair) or insert_pair(self._connection, pair)

    def answering(self) -> tuple[int, Pair] | None:
        """The pair that answers queries, with its id."""
        return queries.answering(self._driver)

    def wanted(self) -> tuple[int, Pair] | None:
        """The pair chosen to answer once every photo was observed with it, with its id."""
        return queries.wanted(self._driver)

    def set_answering(self, pair_id: int) -> None:
        """Let this pair answer queries."""
        with self._write():
            self._connection.execute(update(StateRow).values(answering_pair=pair_id))

    def set_wanted(self, pair_id: int) -> None:
        """Choose this pair; it answers once it has observed every photo."""
        with self._write():
            self._connection.execute(update(StateRow).values(wanted_pair=pair_id))

    def photos(self, ids: Sequence[int]) -> dict[int, Photo]:
        """Photos by id; ids that are not there are left out."""
        return queries.photos(self._driver, ids)

    def photo_count(self) -> int:
        """How many photos there are."""
        return queries.photo_count(self._driver)

    def pending(self, pair_id: int) -> int:
        """How many photos this pair has not observed."""
        return queries.pending(self._driver, pair_id)

    def photos_without_pack(self, pair_id: int) -> Iterator[Photo]:
        """Photos that this pair has not observed, in the order of their ids. Packs may be added meanwhile."""
        return queries.photos_without_pack(self._driver, pair_id)

    def packs(self, pair_id: int, first: int = 1, last: int = LAST_ID) -> Iterator[tuple[int, Pack]]:
        """Packs of a pair with their ids, from first to last (both included), in order; damaged ones are left out."""
        return queries.packs(self._driver, pair_id, set(), first, last)

    def packs_of(self, pair_id: int, photo_ids: Iterable[int]) -> dict[int, Pack]:
        """The packs of those photos, by photo id; photos that the pair has not observed are left out."""
        return queries.packs_of(self._driver, pair_id, photo_ids, set())

    def damaged_packs(self, pair_id: int) -> list[int]:
        """Ids of the photos whose packs bit rot has altered. Reads every vector of the pair."""
        damaged: set[int] = set()
        for _ in queries.packs(self._driver, pair_id, damaged):
            pass
        return sorted(damaged)

    def shards(self, pair_id: int) -> list[Shard]:
        """The pair's shards, in the order of the packs that they cover."""
        return queries.shards(self._driver, pair_id)

    def unsealed(self, pair_id: int) -> list[Span]:
        """The runs of packs that no shard covers, in order."""
        return queries.unsealed(self._driver, pair_id)

    def vectors_between(self, pair_id: int, first: int, last: int) -> int:
        """How many vectors the packs from first to last, both included, hold."""
        return queries.vectors_between(self._driver, pair_id, first, last)

    def replace_shards(self, pair_id: int, added: Sequence[Shard], removed: Sequence[Shard]) -> None:
        """Name new shards and forget old ones in one transaction. Files: the new before this, the old after it."""
        with self._write() as generation:
            names = [shard.name for shard in removed]
            self._connection.execute(delete(ShardRow).where(ShardRow.pair_id == pair_id, ShardRow.name.in_(names)))
            for shard in added:
                insert_shard(self._connection, pair_id, shard, generation)

    def owners(self, pair_id: int, first: int, last: int) -> dict[int, int] | None:
        """Whose the photos of some packs are, by photo id, nobody's left out; None where there are no wearers."""
        return queries.owners(self._driver, pair_id, first, last)

    def erase(self, ids: Sequence[int]) -> None:
        """Erase the rows of these photos in one transaction; their files and SQLite's log are the caller's to clear."""
        with self._write():
            erasing.erase_photos(self._connection, self._driver, ids)

    def is_forgotten(self, digest: str) -> bool:
        """Whether the wearer forgot a photo of that sha256 in hex, and did not take it in again since."""
        return queries.is_forgotten(self._driver, digest, self.wearer)

    def erasures(self) -> list[str | None]:
        """The digests of photos whose files are still to be erased; None where only the log is to be emptied."""
        return queries.erasures(self._driver)

    def note_files_erased(self) -> None:
        """The files of erased photos are gone; the log must be emptied now."""
        with self._write():
            erasing.note_files_erased(self._connection)

    def note_log_emptied(self) -> None:
        """Nothing is left of the erased photos."""
        with self._write():
            erasing.note_log_emptied(self._connection)

    def rewrite(self) -> None:
        """Write every page anew, so that nothing of a deleted row can be left inside one; needs room for a copy."""
        purging.rewrite(self._driver, self._place)

    def pairs(self) -> dict[int, Pair]:
        """Every pair that the archive has known, by id."""
        return queries.pairs(self._driver)

    def drop_pair(self, pair_id: int, most: int) -> int:
        """Drop up to `most` packs of a pair that is left behind; once none is left, the pair. Returns how many."""
        with self._write():
            return dropping.drop_pair(self._connection, pair_id, most)

    def checkpoint(self) -> bool:
        """Move SQLite's log into the main file and empty it; False if a reader kept it from finishing."""
        return purging.empty_log(self._driver, self._place)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one that shelves or erases. A file has one writer anyhow; machines that share a server wait."""
        if self.is_shared:
            with postgres.alone(self._driver):
                yield
        else:
            yield

    @property
    def is_shared(self) -> bool:
        """Whether other machines may write at the same time."""
        return not isinstance(self._place, Path)

    @property
    def _driver(self) -> sqlite3.Connection:
        connection = self._connection.connection.driver_connection
        return postgres.as_driver(connection) if self.is_shared else cast("sqlite3.Connection", connection)

    @contextmanager
    def _write(self) -> Iterator[int]:
        with self._connection.begin():
            yield self._connection.execute(_COUNT_COMMIT, {"new_nonce": os.urandom(16)}).scalar_one()

    def _refuse_other_space(self, pair_id: int, pack: Pack) -> None:
        pair = queries.pairs(self._driver)[pair_id]
        if pack.vectors.shape[1:] != (pair.dim,):
            raise SpaceMismatch(f"vectors of shape {pack.vectors.shape} do not belong to the space {pair.space}")

    def _rename_pair(self, pair_id: int, pair: Pair) -> None:
        told = {"name": pair.name, "segmenter_source": pair.segmenter_source, "embedder_source": pair.embedder_source}
        with self._write():
            self._connection.execute(update(PairRow).where(PairRow.id == pair_id).values(told))
