"""Shelving: sealing the packs that lie outside every shard, in the order that survives a crash.

A shard's file is durable before the manifest names it, and erased only after the manifest has forgotten it. Whatever
happens in between, each pack is either in exactly one named shard or searched straight from the catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive import sealing
from archive.errors import ArchiveError
from archive.types import ORDINAL_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive.catalog.writer import Catalog
    from archive.protocols import VectorIndex
    from archive.sealing import Seal
    from archive.types import Halves, Ids, Shard


def shelve(catalog: Catalog, index: VectorIndex, pair_id: int, seal_at: int) -> int:
    """Seal the tail and merge small shards where the policy says so; returns how many shards were written."""
    shards = catalog.shards(pair_id)
    last_sealed = shards[-1].last_pack if shards else 0
    tail = [span for span in catalog.unsealed(pair_id) if span.first_pack > last_sealed]
    if not tail:
        return 0
    (span,) = tail
    seals = sealing.plan(shards, span.vectors, span.first_pack, span.last_pack, seal_at, largest=index.largest)
    for seal in seals:
        _seal(catalog, index, pair_id, seal)
    return len(seals)


def mend(catalog: Catalog, index: VectorIndex, pair_id: int) -> int:
    """Write shards anew that are damaged or no longer hold what the catalog does, and seal the gaps between shards.

    Returns how many were written.
    """
    seals = [sealing.Seal(shard.first_pack, shard.last_pack, (shard,)) for shard in stale(catalog, index, pair_id)]
    last_sealed = max((shard.last_pack for shard in catalog.shards(pair_id)), default=0)
    gaps = [span for span in catalog.unsealed(pair_id) if span.last_pack < last_sealed]
    seals += [sealing.Seal(gap.first_pack, gap.last_pack, ()) for gap in gaps]
    for seal in seals:
        _seal(catalog, index, pair_id, seal)
    return len(seals)


def renew(catalog: Catalog, index: VectorIndex, pair_id: int, outdated: Sequence[Shard]) -> int:
    """Write shards anew that an older version wrote; returns how many there were."""
    for shard in outdated:
        _seal(catalog, index, pair_id, sealing.Seal(shard.first_pack, shard.last_pack, (shard,)))
    return len(outdated)


def purge(catalog: Catalog, index: VectorIndex, pair_id: int) -> int:
    """Write shards without the photos that were erased; returns how many there were.

    Broken ones are written anew, too: they may be so because what they were built upon was erased. Where the disk has
    no room for that, the shard goes and its photos are searched straight from the catalog.
    """
    written = stale(catalog, index, pair_id)
    for shard in written:
        try:
            _seal(catalog, index, pair_id, sealing.Seal(shard.first_pack, shard.last_pack, (shard,)))
        except ArchiveError:
            catalog.replace_shards(pair_id, [], [shard])
            index.remove(shard)
    return len(written)


def stale(catalog: Catalog, index: VectorIndex, pair_id: int) -> list[Shard]:
    """The shards that are damaged, or whose packs were erased or written anew since."""
    broken = {shard.name for shard in index.broken}
    return [
        shard
        for shard in catalog.shards(pair_id)
        if shard.name in broken or not _holds_what_the_catalog_does(catalog, pair_id, shard)
    ]


def _holds_what_the_catalog_does(catalog: Catalog, pair_id: int, shard: Shard) -> bool:
    return catalog.vectors_between(pair_id, shard.first_pack, shard.last_pack) == shard.count


def _seal(catalog: Catalog, index: VectorIndex, pair_id: int, seal: Seal) -> None:
    ids, vectors = _contents(catalog, pair_id, seal, index.dim)
    packs = (seal.first_pack, seal.last_pack)
    try:
        added = [index.add(ids, vectors, packs, _owners(catalog, pair_id, seal, ids))] if len(ids) else []
    except OSError as error:
        reason = f"the search index cannot be written ({error.strerror}); every photo is kept and found without it"
        raise ArchiveError(f"{reason}, mend that and run: archive reindex") from error
    catalog.replace_shards(pair_id, added, seal.replaces)
    for shard in seal.replaces:
        index.remove(shard)


def _owners(catalog: Catalog, pair_id: int, seal: Seal, ids: Ids) -> Ids | None:
    """Whose each segment is; None where there are no wearers."""
    owners = catalog.owners(pair_id, seal.first_pack, seal.last_pack)
    if owners is None:
        return None
    return np.fromiter((owners.get(photo, 0) for photo in (ids >> ORDINAL_BITS).tolist()), np.int64, len(ids))


def _contents(catalog: Catalog, pair_id: int, seal: Seal, dim: int) -> tuple[Ids, Halves]:
    """The segment ids and vectors of the packs of a seal, in order; none where all its photos were erased.

    A damaged pack has none: no search finds it, so the shard is stale until the photo was embedded anew.
    """
    count = catalog.vectors_between(pair_id, seal.first_pack, seal.last_pack)
    ids, vectors = np.empty(count, np.int64), np.empty((count, dim), np.float16)
    filled = 0
    for _, pack in catalog.packs(pair_id, seal.first_pack, seal.last_pack):
        rows = slice(filled, filled + len(pack))
        ids[rows] = np.arange(len(pack), dtype=np.int64) | (pack.photo_id << ORDINAL_BITS)
        vectors[rows] = pack.vectors
        filled += len(pack)
    return ids[:filled], vectors[:filled]
