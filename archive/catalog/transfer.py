"""Moving every row of one catalog to another: from a file to a PostgreSQL, or back. Ids stay what they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, insert, select, text, update

from archive.catalog.driver import archive_errors
from archive.catalog.engine import engine_of, new_row
from archive.catalog.rows import (
    AnchorRow,
    ErasureRow,
    ExemplarRow,
    ExemplarVectorRow,
    ForgottenRow,
    MarkKeyRow,
    MarkRow,
    PackRow,
    PairRow,
    PhotoRow,
    SessionRow,
    ShardRow,
    SourceRow,
    StateRow,
    TallyRow,
    TextRow,
    ThingRow,
    WearerRow,
)
from archive.catalog.upgrade import bring_place_to_head
from archive.errors import ArchiveError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from archive.catalog.driver import Place
    from archive.catalog.rows import Row

PHOTOS_AT_ONCE = 1_000
"""Photos of one transaction, with all that is theirs: about 30 MB."""

BEFORE: tuple[type[Row], ...] = (PairRow, WearerRow, SessionRow, AnchorRow, ForgottenRow)
"""What is copied before the photos, each time as a whole."""

WITH_PHOTOS: tuple[type[Row], ...] = (SourceRow, PackRow, MarkRow)
"""What is copied with each photo, in its transaction."""

AFTER: tuple[type[Row], ...] = (ThingRow, ExemplarRow, ExemplarVectorRow)
"""What is copied after them, as a whole."""

COPIED: tuple[type[Row], ...] = (*BEFORE, PhotoRow, *WITH_PHOTOS, *AFTER)

OF_ITS_OWN: tuple[type[Row], ...] = (StateRow, MarkKeyRow, ShardRow, TallyRow, ErasureRow, TextRow)
"""What is never copied: a catalog's own state, and what is made again."""


class Moved(NamedTuple):
    """A photo that is about to be copied: its original's digest in hex and suffix, and when that was changed."""

    digest: str
    suffix: str
    modified: float | None


class Transfer:
    """Two catalogs side by side, of which nobody else writes to either. Use it in a `with` block.

    Every page of photos is one transaction at the target, and the largest id there says where to go on. `wearer` names
    whose the photos become that are nobody's.
    """

    def __init__(self, source: Place, target: Place, wearer: str | None = None) -> None:
        self._places = (source, target)
        self._wearer = wearer
        self._owner = 0

    def __enter__(self) -> Self:
        bring_place_to_head(self._places[1])
        self._engines = [engine_of(place) for place in self._places]
        self._source, self._target = (engine.connect() for engine in self._engines)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in (self._source, self._target):
            connection.close()
        for engine in self._engines:
            engine.dispose()
        for place in self._places:
            if error is not None:
                with archive_errors(place):
                    raise error

    def begin(self) -> int:
        """Copy what photos rest on; how many photos are left to copy.

        Raises:
            ArchiveError: the target holds another archive's photos.
        """
        (key,) = self._read(select(MarkKeyRow.key)).one()
        with self._target.begin():
            (other,) = self._target.execute(select(MarkKeyRow.key)).one()
            if key != other and self._watermark():
                raise ArchiveError(
                    f"{self._places[1]} holds photos of another archive; name a place that is empty, or the one that "
                    "an earlier run began to fill"
                )
            self._target.execute(update(MarkKeyRow).values(key=key))
            for table in BEFORE:
                self._copy_whole(table)
            self._owner = self._named_owner()
            left = select(func.count()).select_from(PhotoRow).where(PhotoRow.id > self._watermark())
        return int(self._read(left).scalar_one())

    def next_photos(self) -> list[Moved]:
        """The photos of the next page; their originals must be at the target before `copy_next`."""
        with self._target.begin():
            self._page = self._next_page()
        rows = self._read(
            select(PhotoRow.digest, PhotoRow.suffix, func.min(SourceRow.modified_us))
            .outerjoin(SourceRow, SourceRow.photo_id == PhotoRow.id)
            .where(PhotoRow.id.in_(self._page))
            .group_by(PhotoRow.id, PhotoRow.digest, PhotoRow.suffix)
        )
        return [Moved(digest.hex(), suffix, None if us is None else us / 1e6) for digest, suffix, us in rows]

    def copy_next(self) -> None:
        """Copy the page's rows in one transaction."""
        first, last = self._page[0], self._page[-1]
        with self._target.begin():
            self._copy(PhotoRow, PhotoRow.id.between(first, last))
            for table in WITH_PHOTOS:
                self._copy(table, table.__table__.c.photo_id.between(first, last))
            self._count_commit()

    def finish(self) -> None:
        """Copy what rests on photos, and let the same pair answer. Ids that are given from now on are new ones."""
        pairs = self._read(select(StateRow.answering_pair, StateRow.wanted_pair)).one()
        with self._target.begin():
            for table in AFTER:
                self._copy_whole(table)
            self._target.execute(update(StateRow).values(answering_pair=pairs[0], wanted_pair=pairs[1]))
            self._count_commit()
            if self._target.dialect.name == "postgresql":
                for table in COPIED:
                    self._go_on_counting(table)

    def differences(self) -> list[str]:
        """The tables that do not have as many rows at the target, but for the wearer who was named."""
        found = []
        for table in COPIED:
            counted = select(func.count()).select_from(table)
            there = int(self._read(counted).scalar_one())
            with self._target.begin():
                here = int(self._target.execute(counted).scalar_one())
            if here != there and not (table is WearerRow and here == there + 1):
                found.append(f"{table.__tablename__}: {there:,} rows, {here:,} at the target")
        return found

    def _read(self, query: Any) -> Any:  # noqa: ANN401  (SQLAlchemy's own generic types say no more)
        with self._source.begin():
            return self._source.execute(query).freeze()()

    def _watermark(self) -> int:
        return int(self._target.execute(select(func.coalesce(func.max(PhotoRow.id), 0))).scalar_one())

    def _next_page(self) -> list[int]:
        ids = select(PhotoRow.id).where(PhotoRow.id > self._watermark()).order_by(PhotoRow.id).limit(PHOTOS_AT_ONCE)
        return list(self._read(ids).scalars())

    def _named_owner(self) -> int:
        """The id at the target of the wearer whom nobody's photos are given to."""
        if self._wearer is None:
            return 0
        found = self._target.execute(select(WearerRow.id).where(WearerRow.name == self._wearer)).scalar()
        if found is None:
            highest = self._target.execute(select(func.coalesce(func.max(WearerRow.id), 0))).scalar_one()
            found = int(highest) + 1
            self._target.execute(insert(WearerRow).values(id=found, name=self._wearer))
        return int(found)

    def _rows(self, table: type[Row], *conditions: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        rows = [dict(row) for row in self._read(select(table.__table__).where(*conditions)).mappings()]
        for row in rows:
            if row.get("wearer") == 0:
                row["wearer"] = self._owner
        return rows

    def _copy(self, table: type[Row], *conditions: Any) -> None:  # noqa: ANN401
        if rows := self._rows(table, *conditions):
            self._target.execute(insert(table), rows)

    def _copy_whole(self, table: type[Row]) -> None:
        """Copy each row; one that an earlier run copied is brought up to date."""
        rows = self._rows(table)
        if not rows:
            return
        statement = new_row(self._target.dialect.name, table)
        keys = [column.name for column in table.__table__.primary_key]
        told = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        if told:
            statement = statement.on_conflict_do_update(index_elements=keys, set_=told)
        else:
            statement = statement.on_conflict_do_nothing()
        self._target.execute(statement, rows)

    def _count_commit(self) -> None:
        self._target.execute(update(StateRow).values(generation=StateRow.generation + 1, nonce=os.urandom(16)))

    def _go_on_counting(self, table: type[Row]) -> None:
        name = table.__tablename__
        if "id" in table.__table__.c:
            highest = f"(SELECT max(id) FROM {name})"  # noqa: S608  (a name of our own)
            self._target.execute(
                text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {highest}) WHERE {highest} IS NOT NULL")
            )
