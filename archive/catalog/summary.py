"""What is in the archive, for a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archive.catalog import queries, values
from archive.types import CaptureSource, Mark

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from archive.catalog.driver import Place
    from archive.types import Pair


class Progress(NamedTuple):
    """How far a pair is: photos it has observed, those still `pending`, and where its vectors are.

    `unsealed` vectors are in no shard and are searched by brute force.
    """

    pair: Pair
    photos: int
    pending: int
    segments: int
    unsealed: int
    shards: int
    shard_bytes: int


class Summary(NamedTuple):
    """What the catalog holds. `first` and `last` are capture times; `database_bytes` includes SQLite's log.

    `wanted` is None where the answering pair is the chosen one.
    """

    photos: int
    captured_by: dict[CaptureSource, int]
    first: datetime | None
    last: datetime | None
    damaged: int
    sources: int
    original_bytes: int
    database_bytes: int
    answering: Progress | None
    wanted: Progress | None
    marks: dict[Mark, int]

    @property
    def bytes_per_segment(self) -> float | None:
        """What one takes in catalog and index, photos' rows and SQLite's log included; None for no segment."""
        pairs = [progress for progress in (self.answering, self.wanted) if progress is not None]
        segments = sum(progress.segments for progress in pairs)
        held = self.database_bytes + sum(progress.shard_bytes for progress in pairs)
        return held / segments if segments else None


def summarize(connection: sqlite3.Connection, place: Place) -> Summary:
    """Sum the catalog at `place` up, as the connection sees it."""
    photos, original_bytes, first, last = connection.execute(
        "SELECT count(*), coalesce(sum(size), 0), min(captured_at_us), max(captured_at_us) FROM photos"
    ).fetchone()
    by_source = connection.execute("SELECT captured_at_source, count(*) FROM photos GROUP BY captured_at_source")
    sources = connection.execute("SELECT count(*) FROM sources").fetchone()[0]
    marked = connection.execute("SELECT mark, count(*) FROM marks GROUP BY mark ORDER BY count(*) DESC, mark")
    damaged = connection.execute("SELECT count(*) FROM photos WHERE condition = 'damaged'").fetchone()[0]
    answering, wanted = queries.answering(connection), queries.wanted(connection)
    return Summary(
        photos=photos,
        captured_by={CaptureSource(name): count for name, count in by_source},
        first=values.moment(first),
        last=values.moment(last),
        damaged=damaged,
        sources=sources,
        original_bytes=original_bytes,
        database_bytes=_bytes_on_disk(connection, place),
        answering=_progress(connection, answering),
        wanted=_progress(connection, wanted) if wanted != answering else None,
        marks={Mark(name): count for name, count in marked},
    )


def _progress(connection: sqlite3.Connection, numbered: tuple[int, Pair] | None) -> Progress | None:
    if numbered is None:
        return None
    pair_id, pair = numbered
    photos, segments = connection.execute(
        "SELECT count(*), coalesce(sum(count), 0) FROM packs INDEXED BY ix_packs_scan WHERE pair_id = ?", (pair_id,)
    ).fetchone()
    shards = queries.shards(connection, pair_id)
    return Progress(
        pair=pair,
        photos=photos,
        pending=queries.pending(connection, pair_id),
        segments=segments,
        unsealed=sum(span.vectors for span in queries.unsealed(connection, pair_id)),
        shards=len(shards),
        shard_bytes=sum(shard.size for shard in shards),
    )


def _bytes_on_disk(connection: sqlite3.Connection, path: Place) -> int:
    if not isinstance(path, Path):
        from archive.catalog.postgres import bytes_held

        return bytes_held(connection)
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
