"""Upkeep: proving that an archive is whole.

Invariants, from the outermost in:
- every photo has its original on disk, of the recorded size; with `data`, of the recorded sha256
- every original on disk has a photo (one that has not is left from an interrupted ingest, and waits)
- rows, packs and shards of the catalog agree among themselves (see `archive.catalog.checking`)
- every shard's file is what the manifest says; a damaged one loses nothing, for it can be built anew
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import SystemRandom
from typing import TYPE_CHECKING, Protocol

from archive.catalog.checking import Code, check_catalog
from archive.errors import CatalogDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive.catalog.driver import Place
    from archive.catalog.reader import CatalogReader
    from archive.originals import Originals
    from archive.protocols import VectorIndex
    from archive.types import Photo


_CHANCE = SystemRandom()


class Severity(StrEnum):
    """What a finding means: something is lost or wrong; a cache must be rebuilt; something waits to be done."""

    DAMAGE = "damage"
    CACHE = "cache"
    PENDING = "pending"


_SEVERITIES = {Code.PENDING: Severity.PENDING, Code.SHARD: Severity.CACHE}
"""What the catalog's own findings mean, where they are not damage."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, with the next command to run where there is one."""

    severity: Severity
    message: str


class Watcher(Protocol):
    """Is told how a check goes."""

    def begin(self, total: int) -> None:
        """So many photos will be looked at."""

    def step(self) -> None:
        """One more is done."""


def check_rows(place: Place, *, data: bool) -> Iterator[Finding]:
    """What the catalog at `place` finds wrong with itself; with `data` SQLite's own pages are compared too."""
    for found in check_catalog(place, deep=data):
        yield Finding(_SEVERITIES.get(found.code, Severity.DAMAGE), found.message)


def refuse_damaged(place: Place) -> None:
    """Let nothing be destroyed on the word of a catalog that contradicts itself.

    Raises:
        CatalogDamaged: it does.
    """
    damage = [found for found in check_rows(place, data=False) if found.severity is Severity.DAMAGE]
    if damage:
        more = f" and {len(damage) - 1} more" if len(damage) > 1 else ""
        message = f"{place} is not sound ({damage[0].message}{more}), so nothing was erased; run: archive repair"
        raise CatalogDamaged(message)


def check_originals(
    reader: CatalogReader, originals: Originals, watcher: Watcher, *, share: float
) -> Iterator[Finding]:
    """Compare photos with the originals on disk, in both directions; a `share` of them, from 0 to 1, is hashed."""
    watcher.begin(reader.photo_count())
    for photo, size in reader.every_photo():
        yield from _check_original(photo, size, originals, data=_CHANCE.random() < share)
        watcher.step()
    erasing = set(reader.erasures())
    for digest, path in originals.stored():
        if reader.photo_id(digest) is None and digest not in erasing:
            yield _without_row(digest, path, originals)


def check_index(index: VectorIndex) -> Iterator[Finding]:
    """Compare the shards on disk with the manifest; their files are hashed."""
    for shard in index.broken:
        message = f"the index file {shard.name} is missing or damaged; nothing is lost, `archive reindex` rebuilds it"
        yield Finding(Severity.CACHE, message)


def unreadable(error: CatalogDamaged) -> Finding:
    """The finding that the catalog could not be read to its end."""
    return Finding(Severity.DAMAGE, f"the catalog cannot be read to its end ({error}); the originals are untouched")


def _without_row(digest: str, path: Path, originals: Originals) -> Finding:
    where = originals.where(digest, path.suffix)
    if originals.digest_at(path) != digest:
        message = (
            f"{where} is not the photo that its name says, and no row speaks of it; `archive repair` sets it aside"
        )
        return Finding(Severity.DAMAGE, message)
    message = (
        f"{where} is not in the catalog, left by an interrupted run; `archive ingest` takes it in, "
        "with --wearer NAME if it was somebody's"
    )
    return Finding(Severity.PENDING, message)


def _check_original(photo: Photo, size: int, originals: Originals, *, data: bool) -> Iterator[Finding]:
    where = originals.where(photo.digest, photo.suffix)
    try:
        if data:
            originals.read(photo.digest, photo.suffix)
        elif originals.size(photo.digest, photo.suffix) != size:
            yield Finding(Severity.DAMAGE, f"the original of photo {photo.id} has the wrong size: {where}")
    except FileNotFoundError:
        yield Finding(Severity.DAMAGE, f"the original of photo {photo.id} is missing: {where}")
    except (CatalogDamaged, OSError) as error:
        yield Finding(Severity.DAMAGE, f"the original of photo {photo.id} cannot be trusted: {error}")
