"""Reindex: embedding what the chosen pair has not seen yet, and putting the search index right."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from archive import shelving
from archive.errors import CatalogDamaged, PhotoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from archive.catalog.writer import Catalog
    from archive.observation import Observer
    from archive.originals import Originals
    from archive.photos.reading import DecodedPhoto
    from archive.protocols import VectorIndex
    from archive.types import Photo, Pixels

    Decode = Callable[[bytes], DecodedPhoto]

UNREADABLE_SHARE = 10
"""One photo of so many may be unreadable when a new pair begins to answer."""


@dataclass(slots=True)
class Report:
    """What a reindex did; `failed` names photos whose original could not be read."""

    embedded: int = 0
    failed: list[tuple[Photo, str]] = field(default_factory=list)
    rebuilt: int = 0


class Watcher(Protocol):
    """Is told how a run goes."""

    def begin(self, total: int) -> None:
        """So many photos lack the pair."""

    def step(self) -> None:
        """One more photo is done."""


@dataclass(frozen=True, slots=True, eq=False)
class Reread:
    """A stored photo and its pixels."""

    photo: Photo
    pixels: Pixels


def embed_missing(
    catalog: Catalog,
    originals: Originals,
    decode: Decode,
    observer: Observer,
    pair_id: int,
    damaged: Sequence[int],
    workers: int,
    report: Report,
    watcher: Watcher,
) -> None:
    """Observe every photo that has no sound pack of the pair; each is one transaction, so any moment is good to stop.

    `damaged` are the ids of photos whose pack is; it stays until the new one takes its place.
    """
    watcher.begin(catalog.pending(pair_id) + len(damaged))
    photos = chain(catalog.photos_without_pack(pair_id), catalog.photos(damaged).values())

    def fail(photo: Photo, reason: str) -> None:
        report.failed.append((photo, reason))
        watcher.step()

    for one, pack in observer.observe_all(reread(photos, originals, decode, fail), workers):
        catalog.add_pack(replace(pack, photo_id=one.photo.id), pair_id)
        report.embedded += 1
        watcher.step()


def may_answer(photos: int, pending: int) -> bool:
    """Whether a pair that still lacks `pending` of all photos after a whole run knows enough to answer.

    Originals that cannot be read must not keep it from answering for ever. But where many cannot, their disk is
    probably not there, and the pair before it goes on.
    """
    return pending == 0 or (pending < photos and pending <= max(1, photos // UNREADABLE_SHARE))


def reread(
    photos: Iterable[Photo], originals: Originals, decode: Decode, fail: Callable[[Photo, str], None]
) -> Iterator[Reread]:
    """Stored photos with their pixels; those whose original cannot be read go to `fail`, with the reason."""
    for photo in photos:
        try:
            pixels = decode(originals.read(photo.digest, photo.suffix)).pixels
        except (PhotoError, CatalogDamaged) as error:
            fail(photo, str(error))
        else:
            yield Reread(photo, pixels)


def refresh(catalog: Catalog, index: VectorIndex, pair_id: int, seal_at: int, report: Report) -> None:
    """Write damaged shards anew, and seal what is due."""
    report.rebuilt += shelving.mend(catalog, index, pair_id) + shelving.shelve(catalog, index, pair_id, seal_at)
