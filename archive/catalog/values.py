"""Values of the archive from the catalog's columns, and back. Pure functions."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from archive.types import CaptureSource, Pair, Photo, Shard

Columns: TypeAlias = tuple[Any, ...]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC; exact, unlike a float of seconds."""
    return (moment - EPOCH) // MICROSECOND


def moment(us: int | None) -> datetime | None:
    """The UTC moment that many microseconds after 1970."""
    return None if us is None else utc(us)


def utc(us: int) -> datetime:
    """The same for a moment that is known."""
    return EPOCH + us * MICROSECOND


def photo(columns: Columns) -> Photo:
    """A photo from id, digest, name, suffix, captured_at_us, its source, camera, width, height, captured_error_ms."""
    photo_id, digest, name, suffix, captured_at_us, source, camera, width, height, error_ms = columns
    return Photo(
        id=photo_id,
        digest=digest.hex(),
        name=os.fsdecode(name or b""),
        suffix=suffix,
        captured_at=moment(captured_at_us),
        captured_at_source=CaptureSource(source),
        camera=camera,
        width=width,
        height=height,
        captured_error_ms=error_ms,
    )


def numbered_pair(columns: Columns) -> tuple[int, Pair]:
    """A pair's id and the pair, from id, name, segmenter, space, dim, segmenter_source, embedder_source."""
    return columns[0], Pair(*columns[1:])


def shard(columns: Columns) -> Shard:
    """A shard from name, sha256, size, count, first_pack, last_pack."""
    name, sha256, size, count, first_pack, last_pack = columns
    return Shard(name, sha256.hex(), size, count, first_pack, last_pack)
