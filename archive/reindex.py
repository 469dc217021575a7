"""Reindex: embedding what the chosen pair has not seen yet, and putting the search index right."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from archive import shelving
from archive.errors import CatalogDamaged, PhotoError
from archive.photos.reading import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.catalog.writer import Catalog
    from archive.observation import Observer
    from archive.originals import Originals
    from archive.protocols import VectorIndex
    from archive.types import Photo, Pixels


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
class _Reread:
    """A stored photo and its pixels."""

    photo: Photo
    pixels: Pixels


def embed_missing(
    catalog: Catalog,
    originals: Originals,
    observer: Observer,
    pair_id: int,
    workers: int,
    report: Report,
    watcher: Watcher,
) -> None:
    """Observe every photo that has no pack of the pair; each is one transaction, so it can be stopped at any time."""
    watcher.begin(catalog.pending(pair_id))
    for reread, pack in observer.observe_all(_reread(catalog, originals, pair_id, report, watcher), workers):
        catalog.add_pack(replace(pack, photo_id=reread.photo.id), pair_id)
        report.embedded += 1
        watcher.step()


def _reread(
    catalog: Catalog, originals: Originals, pair_id: int, report: Report, watcher: Watcher
) -> Iterator[_Reread]:
    for photo in catalog.photos_without_pack(pair_id):
        try:
            pixels = decode(originals.read(photo.digest, photo.suffix)).pixels
        except (PhotoError, CatalogDamaged) as error:
            report.failed.append((photo, str(error)))
            watcher.step()
        else:
            yield _Reread(photo, pixels)


def refresh(catalog: Catalog, index: VectorIndex, pair_id: int, seal_at: int, report: Report) -> None:
    """Write damaged shards anew, and seal what is due."""
    report.rebuilt = shelving.mend(catalog, index, pair_id) + shelving.shelve(catalog, index, pair_id, seal_at)
