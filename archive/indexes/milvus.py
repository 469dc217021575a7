"""A Milvus as an index: one collection for each pair, of rows that say which shard of the manifest holds them.

The catalog is the truth here as well. A row of the manifest commits after the server has acknowledged the vectors, so
what a killed process leaves is in no shard, and searched straight from the catalog. A row too many in the server is
harmless: no hit is shown that the catalog does not vouch for.
"""

from __future__ import annotations

import hashlib
import os
from threading import RLock
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from archive.errors import ArchiveError
from archive.indexes.milvus_collection import (
    KINDS,
    LOADING_PATIENCE,
    PATIENCE,
    SEARCH_PATIENCE,
    SEARCH_PAUSE,
    create,
    keeps_half_precision,
    persistently,
    speaking,
)
from archive.indexes.milvus_filters import narrowings, numbered
from archive.indexes.rows import checked, checked_query, growing, matches, nearest
from archive.types import ORDINAL_BITS, Reached, Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from typing import Self

    from pymilvus import MilvusClient

    from archive.indexes.milvus_collection import Address
    from archive.indexes.milvus_filters import Narrowing
    from archive.indexes.rows import Scored
    from archive.types import Halves, Ids, Match, Vectors

LARGEST = 16_384
"""Vectors of the largest shard. Here a shard is a number in each of its rows: merging would send all of them again."""

ROWS_AT_ONCE = 2_048
"""Rows sent in one call: 4 MB at 512 dimensions; the server takes 64."""

MOST_MATCHES = 16_384
"""Matches that the server gives at once."""

FEW_PHOTOS = 1_024
"""Photos among which a filtered search looks as hard as it can: a graph walk loses hits where few rows are wanted."""

SEGMENTS_PER_PHOTO = 16
"""What a photo has in the mean, more or less. Only the effort of a filtered search rests on it."""

WEARERS_EFFORT = 4
"""How many times harder a search of some wearers looks: others share their partitions."""

SHARDS_AT_ONCE = 4_096

_NAME = "milvus-"
_NUMBER_BYTES = 7


class MilvusIndex:
    """A VectorIndex over a collection of a Milvus, which belongs to one pair of one archive.

    `shards` is what the manifest names. The server is asked first when something is asked of the index that it cannot
    know: an empty manifest asks nothing. Scores are near, not exact; the caller ranks again by the catalog's vectors.

    Raises, whatever is called:
        ArchiveError: the server does not answer, or refuses.
    """

    largest = LARGEST

    def __init__(self, address: Address, name: str, dim: int, shards: Sequence[Shard] = ()) -> None:
        self._address = address
        self._name = name
        self._dim = dim
        self._shards = {shard.name: shard for shard in shards}
        self._client: MilvusClient | None = None
        self._row_type: type[np.floating[Any]] = np.float32
        self._broken: list[Shard] | None = None
        self._asking = RLock()

    def __len__(self) -> int:
        return sum(shard.count for shard in self._shards.values()) - sum(shard.count for shard in self.broken)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def nearness(self) -> float:
        """What numbers of 16 bits and a server's own sums are off at the most."""
        return 0.01

    @property
    def broken(self) -> list[Shard]:
        """The shards of which rows are missing in the server."""
        with self._asking:
            if self._broken is None:
                with speaking(self._address):
                    self._broken = self._incomplete_twice(list(self._shards.values()))
            return self._broken

    @property
    def outdated(self) -> list[Shard]:
        """None: what an upgrade of the server does to its files is its own affair."""
        return []

    def over(self, stored: Callable[[Ids], tuple[Ids, Vectors]]) -> Self:
        """This index for another question: the server decides by its own vectors, and is asked anew what it lacks."""
        with self._asking:
            self._broken = None
        return self

    def add(self, ids: Ids, vectors: Vectors | Halves, packs: tuple[int, int], wearers: Ids | None = None) -> Shard:
        """Send the rows, and see them in the server before this returns. Sent again, rows take the place of the old.

        `wearers` says whose each segment is, wearer 0 where it is None.
        """
        if wearers is not None:
            wearers = wearers[np.argsort(ids, kind="stable")]
        ids, vectors = checked(ids, vectors, self._dim)
        number = int.from_bytes(os.urandom(_NUMBER_BYTES))
        with speaking(self._address):
            client = self._opened(create_it=True)
            content = hashlib.sha256(ids.data)
            for start in range(0, len(ids), ROWS_AT_ONCE):
                some = slice(start, start + ROWS_AT_ONCE)
                rows = vectors[some].astype(self._row_type)
                content.update(rows.data)
                owners = np.zeros(len(rows), np.int64) if wearers is None else wearers[some]
                # Not the server's own upsert: before 2.3.10 that puts a row where no search by wearer finds it
                # (milvus-io/milvus#30607).
                client.delete(self._name, ids=ids[some].tolist(), timeout=PATIENCE)
                client.insert(self._name, _entities(ids[some], owners, rows, number), timeout=PATIENCE)
            held = self._count(client, numbered("shard", [number]))
        if held != len(ids):
            raise ArchiveError(
                f"the search index at {self._address.host} acknowledged {len(ids):,} vectors and has {held:,}; the "
                "catalog has every one: look after the server, then run: archive reindex"
            )
        first, last = packs
        size = vectors.size * np.dtype(self._row_type).itemsize
        shard = Shard(_shard_name(number), content.hexdigest(), size, len(ids), first, last)
        with self._asking:
            self._shards[shard.name], self._broken = shard, None
        return shard

    def remove(self, shard: Shard) -> None:
        """Forget a shard and delete its rows, but those that were sent again since, which are another shard's."""
        with self._asking:
            self._shards.pop(shard.name, None)
            self._broken = None
        number = _shard_number(shard)
        if number is not None:
            self._delete(numbered("shard", [number]))

    def search(
        self, vector: Vectors, limit: int, photos: Ids | None = None, wearers: Sequence[int] | None = None
    ) -> list[Match]:
        """The nearest segments, best first, equal scores in order of id; the server gives at most 16,383."""
        return matches(*self._search(vector, limit, photos, wearers))

    def reaching(
        self,
        vector: Vectors,
        least: float,
        limit: int,
        photos: Ids | None = None,
        wearers: Sequence[int] | None = None,
    ) -> Reached:
        """The segments that score so much, and some of the nearest; the server gives at most 16,383."""
        most = min(limit, MOST_MATCHES - 1)
        return Reached(*growing(lambda count: self._search(vector, count, photos, wearers), least, most))

    def _search(self, vector: Vectors, limit: int, photos: Ids | None, wearers: Sequence[int] | None) -> Scored:
        query = checked_query(vector, self._dim)
        limit = min(limit, MOST_MATCHES - 1)
        if limit <= 0 or len(self) == 0 or (wearers is not None and len(wearers) == 0):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        ids, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        with speaking(self._address):
            client = self._opened()
            for narrowing in narrowings(photos, wearers):
                effort = self._effort(narrowing, None if photos is None else len(photos))
                near_ids, near_scores = self._nearest(client, query, limit, narrowing.expression, effort)
                ids, scores = np.concatenate((ids, near_ids)), np.concatenate((scores, near_scores))
        return nearest(ids, scores, limit)

    def sweep(self, keep: Collection[str]) -> None:
        """Delete rows of shards that are not named in `keep`: what a killed process leaves."""
        numbers = [number for name in keep if (number := _number(name)) is not None]
        self._delete(f"shard not in [{', '.join(map(str, numbers))}]" if numbers else "shard >= 0")

    def drop(self) -> None:
        """Drop the collection; one that is not there is no error."""
        with self._asking, speaking(self._address):
            self._address.connect().drop_collection(self._name, timeout=PATIENCE)
            self._shards.clear()
            self._client = self._broken = None

    def _incomplete_twice(self, shards: Sequence[Shard]) -> list[Shard]:
        """The shards of which rows are missing twice: a server that moves them to its disk miscounts for a moment."""
        missing = self._incomplete(shards)
        if missing and self._client is not None:
            sleep(SEARCH_PAUSE)
            missing = self._incomplete(missing)
        return missing

    def _incomplete(self, shards: Sequence[Shard]) -> list[Shard]:
        """The shards of which rows are missing. One count tells that none is, as it mostly does."""
        ours = [shard for shard in shards if _shard_number(shard) is not None]
        others = [shard for shard in shards if _shard_number(shard) is None]
        client = self._opened_if_there() if ours else None
        if client is None:
            return list(shards)
        if self._count(client, "") == _vectors(ours):
            return others
        chunks = (ours[start : start + SHARDS_AT_ONCE] for start in range(0, len(ours), SHARDS_AT_ONCE))
        return others + [shard for chunk in chunks for shard in self._lacking(client, chunk)]

    def _lacking(self, client: MilvusClient, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Which shards lack rows, by halves: none ever has a row too many, so equal sums mean equal parts."""
        numbers = [number for shard in shards if (number := _shard_number(shard)) is not None]
        if self._count(client, numbered("shard", numbers)) == _vectors(shards):
            return
        if len(shards) == 1:
            yield from shards
            return
        middle = len(shards) // 2
        yield from self._lacking(client, shards[:middle])
        yield from self._lacking(client, shards[middle:])

    def _effort(self, narrowing: Narrowing, wanted: int | None) -> int:
        """How hard to look. A filter leaves fewer rows near any place, so more are looked at, as many as without it."""
        kind = KINDS[self._address.kind]
        if wanted is None:
            return kind.usual * (WEARERS_EFFORT if narrowing.expression else 1)
        if wanted <= FEW_PHOTOS or narrowing.photos is None:
            return kind.most
        share = min(1.0, narrowing.photos * SEGMENTS_PER_PHOTO / len(self))
        return min(kind.most, int(kind.usual / share))

    def _nearest(
        self, client: MilvusClient, query: Vectors, limit: int, expression: str, effort: int
    ) -> tuple[Ids, Vectors]:
        """Ids and scores of at least the `limit` best, and of all that score the same as the last of these."""
        asked = limit + 1
        while True:
            found = persistently(self._found, client, query, asked, expression, max(asked, effort))
            scores = np.array([hit["distance"] for hit in found], np.float32)
            if len(found) < asked or asked == MOST_MATCHES or scores[-1] < scores[limit - 1]:
                return np.array([hit["id"] for hit in found], np.int64), scores
            asked = min(4 * asked, MOST_MATCHES)

    def _found(
        self, client: MilvusClient, query: Vectors, asked: int, expression: str, effort: int
    ) -> list[dict[str, Any]]:
        """What one search finds.

        Raises:
            MilvusException: it failed, or the server does not see the rows that it has.
        """
        from pymilvus.exceptions import MilvusException

        found: list[dict[str, Any]] = client.search(
            self._name,
            data=[query[0].astype(self._row_type)],
            anns_field="vector",
            filter=expression,
            limit=asked,
            search_params={"metric_type": "IP", "params": {KINDS[self._address.kind].effort: effort}},
            consistency_level="Bounded",
            timeout=SEARCH_PATIENCE,
        )[0]
        if not found and not expression:
            raise MilvusException(message=f"it finds nothing among {len(self):,} vectors")
        return found

    def _delete(self, expression: str) -> None:
        """Delete rows, and see them gone before this returns."""
        with speaking(self._address):
            client = self._opened_if_there()
            if client is not None:
                client.delete(self._name, filter=expression, timeout=PATIENCE)
                self._count(client, expression)

    def _count(self, client: MilvusClient, expression: str) -> int:
        """How many rows there are, whoever sent them: everything that was acknowledged before counts."""
        counted = client.query(
            self._name, filter=expression, output_fields=["count(*)"], consistency_level="Strong", timeout=PATIENCE
        )
        return int(counted[0]["count(*)"])

    def _opened(self, *, create_it: bool = False) -> MilvusClient:
        """The server, with the collection in its memory."""
        with self._asking:
            if self._client is None:
                client = self._address.connect()
                if create_it:
                    create(client, self._name, self._dim, self._address)
                replicas = self._address.replicas
                client.load_collection(self._name, replica_number=replicas, timeout=LOADING_PATIENCE)
                self._row_type = np.float16 if keeps_half_precision(client, self._name) else np.float32
                self._client = client
            return self._client

    def _opened_if_there(self) -> MilvusClient | None:
        if self._client is None and not self._address.connect().has_collection(self._name, timeout=PATIENCE):
            return None
        return self._opened()


def _entities(ids: Ids, wearers: Ids, rows: Vectors, number: int) -> list[dict[str, object]]:
    photos = ids >> ORDINAL_BITS
    return [
        {"id": segment, "wearer": wearer, "photo": photo, "shard": number, "vector": row}
        for segment, wearer, photo, row in zip(ids.tolist(), wearers.tolist(), photos.tolist(), rows, strict=True)
    ]


def _vectors(shards: Iterable[Shard]) -> int:
    return sum(shard.count for shard in shards)


def _shard_name(number: int) -> str:
    return f"{_NAME}{number:0{2 * _NUMBER_BYTES}x}"


def _shard_number(shard: Shard) -> int | None:
    return _number(shard.name)


def _number(name: str) -> int | None:
    """The number in a shard's name; None where it is another index's, as in a catalog that changed its index."""
    return int(name.removeprefix(_NAME), 16) if name.startswith(_NAME) else None
