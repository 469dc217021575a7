"""The rows that the writer adds. Each function runs inside the transaction that its caller has begun.

The statements are built once: with SQLAlchemy that is most of an insert's cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert

from archive.catalog import values
from archive.catalog.packing import encode
from archive.catalog.rows import (
    ExemplarRow,
    ExemplarVectorRow,
    MarkRow,
    PackRow,
    PairRow,
    PhotoRow,
    ShardRow,
    SourceRow,
    ThingRow,
    WearerRow,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from archive.catalog.writer import NewPhoto
    from archive.things import NewExemplar
    from archive.types import Mark, Pack, Pair, Shard, Vectors

_PAIR = insert(PairRow).returning(PairRow.id)
_PHOTO = insert(PhotoRow).returning(PhotoRow.id)
_SOURCE = insert(SourceRow)
_PACK = insert(PackRow)
_MARK = insert(MarkRow)
_SHARD = insert(ShardRow)
_THING = insert(ThingRow).returning(ThingRow.id)
_WEARER = insert(WearerRow).returning(WearerRow.id)
_EXEMPLAR = insert(ExemplarRow).returning(ExemplarRow.id)
_EXEMPLAR_VECTOR = insert(ExemplarVectorRow)


def insert_pair(connection: Connection, pair: Pair) -> int:
    """Add a pair; its id."""
    row = {
        "name": pair.name,
        "segmenter": pair.segmenter,
        "space": pair.space,
        "dim": pair.dim,
        "segmenter_source": pair.segmenter_source,
        "embedder_source": pair.embedder_source,
    }
    return int(connection.execute(_PAIR, row).scalar_one())


def insert_photo(connection: Connection, new: NewPhoto, generation: int, wearer: int = 0) -> int:
    """Add a photo of a wearer; its id. Its source and its pack come separately."""
    row = {
        "digest": bytes.fromhex(new.digest),
        "suffix": new.suffix,
        "size": new.size,
        "captured_at_us": None if new.capture.at is None else values.microseconds(new.capture.at),
        "captured_offset_minutes": new.capture.offset_minutes,
        "captured_at_source": new.capture.source.value,
        "camera": new.camera,
        "width": new.width,
        "height": new.height,
        "added_generation": generation,
        "captured_error_ms": new.capture.error_ms,
        "condition": new.condition,
        "session_id": new.place and new.place.session_id,
        "number": new.place and new.place.number,
        "mono_ms": new.place and new.place.mono_ms,
        "wearer": wearer,
    }
    return int(connection.execute(_PHOTO, row).scalar_one())


def insert_source(connection: Connection, photo_id: int, name: bytes, path: bytes, modified: float | None) -> None:
    """Add a place where a photo was found; `modified` is in seconds since 1970."""
    modified_us = None if modified is None else round(modified * 1_000_000)
    connection.execute(_SOURCE, {"photo_id": photo_id, "name": name, "path": path, "modified_us": modified_us})


def insert_marks(connection: Connection, photo_id: int, marks: Sequence[Mark]) -> None:
    """Add what may keep a photo from showing a thing."""
    if marks:
        connection.execute(_MARK, [{"photo_id": photo_id, "mark": mark.value} for mark in marks])


def insert_pack(connection: Connection, pack: Pack, pair_id: int) -> None:
    """Add the segments of a photo."""
    packed = encode(pack, pair_id)
    row = {
        "photo_id": pack.photo_id,
        "pair_id": pair_id,
        "count": packed.segments,
        "crc": packed.crc,
        "boxes": packed.boxes,
        "confidences": packed.confidences,
        "vectors": packed.vectors,
    }
    connection.execute(_PACK, row)


def insert_shard(connection: Connection, pair_id: int, shard: Shard, generation: int) -> None:
    """Name a shard whose file is durable."""
    row = {
        "pair_id": pair_id,
        "name": shard.name,
        "sha256": bytes.fromhex(shard.sha256),
        "size": shard.size,
        "count": shard.count,
        "first_pack": shard.first_pack,
        "last_pack": shard.last_pack,
        "generation": generation,
    }
    connection.execute(_SHARD, row)


def insert_thing(connection: Connection, name: str, wearer: int) -> int:
    """Add a thing that a wearer teaches; its id."""
    return int(connection.execute(_THING, {"name": name, "wearer": wearer}).scalar_one())


def insert_wearer(connection: Connection, name: str) -> int:
    """Add somebody who wears a camera; his id."""
    return int(connection.execute(_WEARER, {"name": name}).scalar_one())


def insert_exemplar(connection: Connection, thing_id: int, new: NewExemplar) -> int:
    """Add a picture of a taught thing; its id. Its vector comes separately."""
    left, top, right, bottom = new.box
    row = {
        "thing_id": thing_id,
        "photo_id": new.photo_id,
        "picture": new.picture,
        "left": left,
        "top": top,
        "right": right,
        "bottom": bottom,
    }
    return int(connection.execute(_EXEMPLAR, row).scalar_one())


def insert_exemplar_vector(connection: Connection, exemplar_id: int, space: str, vector: Vectors) -> None:
    """Add the vector (1, dim) of an exemplar in a space."""
    row = {"exemplar_id": exemplar_id, "space": space, "vector": vector.astype("<f4").tobytes()}
    connection.execute(_EXEMPLAR_VECTOR, row)
