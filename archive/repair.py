"""Repair: finding what can be put right, and putting it right without losing a byte.

Only what can be made again is made again: vectors from originals, shards from vectors, an original from a backup. A
file that cannot be trusted is set aside, never deleted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from archive.catalog.checking import Code, check_catalog
from archive.disk import make_private_directory, sync
from archive.errors import CatalogDamaged

if TYPE_CHECKING:
    from pathlib import Path

    from archive.catalog.reader import CatalogReader
    from archive.originals import Originals
    from archive.types import Photo

SET_ASIDE = "set-aside"
"""The folder of the home where files go that cannot be trusted."""

_BEYOND_REPAIR = (Code.SQLITE, Code.ORPHAN, Code.STATE)


@dataclass(slots=True)
class Plan:
    """What is to be done. `altered` originals are on the disk, `lost` ones are not; `restorable` have a good copy.

    misnamed       files among the originals that are not what their name says, and that no row speaks of
    waiting        originals without a row: photos of a run that was cut off
    damaged_packs  photos whose vectors must be made anew; `pending` ones never had any
    shards         files of the index to be written anew
    """

    misnamed: list[Path] = field(default_factory=list)
    altered: list[Photo] = field(default_factory=list)
    lost: list[Photo] = field(default_factory=list)
    restorable: list[Photo] = field(default_factory=list)
    waiting: int = 0
    damaged_packs: int = 0
    pending: int = 0
    shards: int = 0

    @property
    def embeds(self) -> bool:
        """Whether photos must be looked at again, or the index be written."""
        return bool(self.damaged_packs or self.pending or self.shards)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.misnamed or self.altered or self.lost or self.waiting or self.embeds)


class Watcher(Protocol):
    """Is told how a run goes."""

    def begin(self, total: int) -> None:
        """So many photos will be looked at."""

    def step(self) -> None:
        """One more is done."""


def refuse_beyond_repair(path: Path) -> Counter[Code]:
    """How often the catalog at `path` has each fault that can be put right.

    Raises:
        CatalogDamaged: it has others.
    """
    found = check_catalog(path)
    for finding in found:
        if finding.code in _BEYOND_REPAIR:
            message = (
                f"{path} itself is damaged ({finding.message}), which cannot be repaired; restore it with `archive "
                "restore`, or move it away and run `archive ingest`, which begins anew from the originals"
            )
            raise CatalogDamaged(message)
    return Counter(finding.code for finding in found)


def plan(
    reader: CatalogReader, originals: Originals, backup: Originals | None, watcher: Watcher, *, data: bool
) -> Plan:
    """Find what is to be done; with `data` every original is hashed, otherwise only its size is compared."""
    made = Plan()
    watcher.begin(reader.photo_count())
    for photo, size in reader.every_photo():
        path = originals.path(photo.digest, photo.suffix)
        if not path.is_file():
            made.lost.append(photo)
        elif path.stat().st_size != size or (data and originals.digest_at(path) != photo.digest):
            made.altered.append(photo)
        watcher.step()
    if backup is not None:
        wrong = [*made.lost, *made.altered]
        made.restorable = [one for one in wrong if backup.digest_at(backup.path(one.digest, one.suffix)) == one.digest]
    erasing = set(reader.erasures())
    for digest, path in originals.stored():
        if reader.photo_id(digest) is None and digest not in erasing:
            if originals.digest_at(path) == digest:
                made.waiting += 1
            else:
                made.misnamed.append(path)
    return made


def put_right(made: Plan, home: Path, originals: Originals, backup: Originals | None) -> None:
    """Set aside what cannot be trusted, and copy back what the backup has."""
    for path in [*made.misnamed, *(originals.path(photo.digest, photo.suffix) for photo in made.altered)]:
        _set_aside(path, home / SET_ASIDE)
    if backup is None:
        return
    for photo in made.restorable:
        modified = backup.path(photo.digest, photo.suffix).stat().st_mtime
        originals.put(backup.read(photo.digest, photo.suffix), photo.digest, photo.suffix, modified)


def _set_aside(path: Path, folder: Path) -> None:
    make_private_directory(folder)
    place, number = folder / path.name, 1
    while place.exists():
        place, number = folder / f"{path.name}.{number}", number + 1
    path.rename(place)
    sync(folder)
    sync(path.parent)
