"""The four seams of the archive. An implementation needs no import from here: shape is enough.

Everything that crosses a seam is numpy or a value of `archive.types`, never a tensor.
`tests/contracts/` holds the suite that each implementation passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from archive.errors import PhotoError
    from archive.types import Box, Halves, Ids, Match, Pack, Pixels, Reached, Region, Shard, Vectors


class Segmenter(Protocol):
    """Finds the things in a photo."""

    @property
    def name(self) -> str:
        """Identifies it to the byte: kind, weights digest and every setting that changes its regions."""
        ...

    def segment(self, pixels: Pixels) -> list[Region]:
        """Propose regions, in any order, possibly none; boxes lie inside the photo and have an area."""
        ...


class TextEmbedder(Protocol):
    """Turns words into vectors: the half of an embedder that a query needs."""

    @property
    def space(self) -> str:
        """Names the joint space to the byte: architecture, weights digest, preprocessing."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text, in order."""
        ...


class Embedder(TextEmbedder, Protocol):
    """Turns pictures and words into vectors of one space."""

    @property
    def side(self) -> int | None:
        """Pixels along the side of what it looks at; a larger crop may be made smaller before. None: it wants all."""
        ...

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        """One unit row for each crop, in order. Crops are square; they may differ in size."""
        ...


@runtime_checkable
class RegionEmbedder(Embedder, Protocol):
    """An embedder that needs no crops: it looks at a photo once and gives a vector to any part of it."""

    def embed_regions(self, pixels: Pixels, boxes: Sequence[Box]) -> Vectors:
        """One unit row for each box of the photo, in order. The first is the whole frame."""
        ...


class VectorIndex(Protocol):
    """Finds the segments nearest to a vector, among those it was given."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def __len__(self) -> int:
        """Vectors that it holds."""
        ...

    @property
    def largest(self) -> int:
        """Vectors of the largest shard that it wants; smaller neighbours are merged until they have half of that."""
        ...

    @property
    def nearness(self) -> float:
        """How much more than `reaching` says the cosine of a segment's stored vector may be, but for a few."""
        ...

    @property
    def broken(self) -> Sequence[Shard]:
        """Shards of the manifest that it cannot search; the caller looks through their packs itself."""
        ...

    def add(self, ids: Ids, vectors: Vectors | Halves, packs: tuple[int, int], wearers: Ids | None = None) -> Shard:
        """Hold the vectors of the packs from first to last (both included), durably on return.

        `ids` are segment ids, int64 (n,); vectors that are halves take half the memory. `wearers` says whose each of
        them is; an index may keep that or not. The shard returned is what the catalog's manifest records; only a shard
        that was recorded there is found again by the next process.
        """
        ...

    def remove(self, shard: Shard) -> None:
        """Forget a shard and erase its file. A shard that is already gone is no error."""
        ...

    def search(
        self, vector: Vectors, limit: int, photos: Ids | None = None, wearers: Sequence[int] | None = None
    ) -> list[Match]:
        """The nearest segments to a unit row (1, dim), best first, at most `limit`.

        With `photos` (sorted photo ids) only their segments count, inside the search and not after it. `wearers` says
        whose segments are asked for, which makes an index that keeps wearers apart faster; one that does not may give
        those of others too, so the caller filters by `photos` as well where that matters.
        """
        ...

    def reaching(
        self,
        vector: Vectors,
        least: float,
        limit: int,
        photos: Ids | None = None,
        wearers: Sequence[int] | None = None,
    ) -> Reached:
        """The segments that may score `least` or more with a unit row (1, dim), best first, at most `limit`.

        Some of the nearest stand there too where fewer score as much. They come with the most that they can score, but
        for `nearness`, and segments may be named that the catalog no longer has: it is for a caller who looks at the
        stored vectors himself, which an index need not read. `photos` and `wearers` are those of `search`.
        """
        ...


class Readable(Protocol):
    """A photo on its way in: its file's bytes, and the upright pixels in them."""

    @property
    def content(self) -> bytes:
        """The file's bytes: what travels to another machine."""
        ...

    @property
    def pixels(self) -> Pixels:
        """The upright photo: what is observed on this one."""
        ...


Sent = TypeVar("Sent", bound=Readable)


class Reused(Protocol):
    """Counts what need not be looked at, since a photo before it showed the same."""

    def count(self, *, vectors: int, carried: int, repeats: bool) -> None:
        """One more photo: so many vectors, of which so many were carried over; whether it repeats one before."""
        ...


class Executor(Protocol):
    """Has photos observed, here or elsewhere; what comes back is written by the caller alone."""

    def observe_all(
        self, photos: Iterable[Sent], reused: Reused | None = None
    ) -> Iterator[tuple[Sent, Pack | PhotoError]]:
        """Each photo once, in order, with its pack (photo id 0), or with the reason why it alone has none.

        With `reused`, what a photo before it has shown already need not be looked at again, and is counted there.
        Few photos are held in memory. Where the iterable ends in an error of the archive, as when a card is pulled,
        what it gave before that is still observed and returned.
        """
        ...
