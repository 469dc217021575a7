"""Dropping what a pair saw that is left behind: all of it can be made again from the originals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, exists, select

from archive.catalog.rows import ExemplarVectorRow, PackRow, PairRow, ShardRow, TextRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FIRST = select(PackRow.id).where(PackRow.pair_id == bindparam("pair")).order_by(PackRow.id).limit(bindparam("most"))
_SHARDS = delete(ShardRow).where(ShardRow.pair_id == bindparam("pair"))
_PACKS = delete(PackRow).where(PackRow.id.in_(_FIRST))
_PAIR = delete(PairRow).where(PairRow.id == bindparam("pair"))
# Pairs that differ in their segmenter alone share a space.
_IS_KNOWN = exists().where(PairRow.space == bindparam("space"))
_EXEMPLARS = delete(ExemplarVectorRow).where(ExemplarVectorRow.space == bindparam("space"), ~_IS_KNOWN)
_TEXTS = delete(TextRow).where(TextRow.space == bindparam("space"), ~_IS_KNOWN)


def drop_pair(connection: Connection, pair_id: int, most: int) -> int:
    """Drop all shards and up to `most` packs of a pair; how many packs it were. With the last goes the pair itself.

    What its space made of taught pictures and of texts goes with it, unless another pair has the same space.
    """
    connection.execute(_SHARDS, {"pair": pair_id})
    dropped = connection.execute(_PACKS, {"pair": pair_id, "most": most}).rowcount
    if dropped < most:
        space = connection.execute(select(PairRow.space).where(PairRow.id == pair_id)).scalar_one()
        connection.execute(_PAIR, {"pair": pair_id})
        connection.execute(_EXEMPLARS, {"space": space})
        connection.execute(_TEXTS, {"space": space})
    return int(dropped)
