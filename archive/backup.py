"""Backup and restore: a second copy of everything that cannot be made again, and the way home from it.

A backup is a folder:

    archive-backup.json       what it holds; written last, so a backup that was cut off is still the one before
    catalog-<sha256>.sqlite   the catalog in one consistent state, whatever an ingest did meanwhile
    originals/, towers/       as in the archive; a file that is there already is not copied again

The index is left out: it is made from the catalog. Restoring puts the catalog in its place last, so that an archive
which was not restored to its end is not taken for one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from archive import shelving
from archive.catalog.checking import Code, check_catalog
from archive.catalog.copying import copy_catalog
from archive.catalog.lock import LOCK_NAME
from archive.catalog.reader import CatalogReader
from archive.disk import NEW_SUFFIX, make_private_directory, replace_file, sync
from archive.errors import ArchiveError, CatalogDamaged, UsageError
from archive.originals import Originals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archive.catalog.writer import Catalog
    from archive.protocols import VectorIndex
    from archive.settings import Settings
    from archive.types import Pair, Photo

MANIFEST = "archive-backup.json"
FORMAT = 1
_CATALOGS = "catalog-*.sqlite"
_PARTIAL = "catalog.partial"
_BEGUN = {LOCK_NAME, MANIFEST + NEW_SUFFIX}
"""What a first backup leaves that was cut off before it could say what it is."""

_COPY_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `archive` is the archive's uuid; `made_at` is ISO 8601 in UTC, the times of photos too.

    One that is not `complete` belongs to a first backup that was cut off.
    """

    archive: str
    complete: bool = False
    made_at: str = ""
    generation: int = 0
    photos: int = 0
    original_bytes: int = 0
    first: str | None = None
    last: str | None = None
    pair: str | None = None
    catalog: str = ""
    catalog_sha256: str = ""
    format: int = FORMAT


@dataclass(slots=True)
class Report:
    """What was copied. `failed` are photos whose original could not be, and why; `erased` were forgotten since."""

    photos: int = 0
    copied: int = 0
    copied_bytes: int = 0
    erased: int = 0
    failed: list[tuple[Photo, str]] = field(default_factory=list)


class Watcher(Protocol):
    """Is told how a run goes."""

    def begin(self, total: int) -> None:
        """So many photos will be looked at."""

    def step(self) -> None:
        """One more is done."""


def refuse_other(settings: Settings, target: Path) -> None:
    """Raise UsageError unless the folder is, or can become, a backup of this archive.

    Raises:
        ArchiveError: there is nothing to back up.
    """
    archive = _uuid(settings)
    home, place = settings.home.resolve(), target.resolve()
    if place.is_relative_to(home) or home.is_relative_to(place):
        raise UsageError(f"{target} and the archive's own folder lie inside one another; name a folder elsewhere")
    manifest = _read_manifest(target)
    if manifest is None and target.exists() and any(path.name not in _BEGUN for path in target.iterdir()):
        raise UsageError(f"{target} is not empty and holds no backup; name an empty or a new folder")
    if manifest is not None and manifest.archive != archive:
        raise UsageError(f"{target} holds the backup of another archive; name another folder")
    if manifest is None and not _has_photos(settings):  # a backup that is there forgets what the archive forgot
        raise ArchiveError(f"the archive at {settings.home} has no photos yet; run: archive ingest FOLDER")


def back_up(settings: Settings, target: Path, report: Report, watcher: Watcher, *, verify: bool) -> Manifest:
    """Bring the backup in the folder `target` up to date. With `verify`, files that are there already are hashed.

    Raises:
        CatalogDamaged: the catalog is not sound; the backup is as it was.
    """
    archive = _uuid(settings)
    if not (target / MANIFEST).exists():
        replace_file(target / MANIFEST, _dumped(Manifest(archive)))
    partial = target / _PARTIAL
    copy_catalog(settings.catalog, partial)
    _refuse_unsound(partial)
    kept = Originals(target / "originals")
    with CatalogReader.open(partial) as copy:
        _copy_originals(copy, Originals(settings.originals), kept, report, watcher, verify=verify)
        manifest = _manifest(copy, partial)
    _copy_towers(settings.towers, target / "towers")
    partial.replace(target / manifest.catalog)
    sync(target)
    replace_file(target / MANIFEST, _dumped(manifest))
    _drop_what_is_old(target, manifest, kept, report)
    return manifest


def restore(source: Path, settings: Settings, report: Report, watcher: Watcher) -> Manifest:
    """Make the archive of a backup anew; every original is verified. It can be stopped, and goes on where it was.

    Raises:
        UsageError: there is an archive already where this one would be.
        ArchiveError: the folder is no complete backup.
        CatalogDamaged: its catalog was altered.
    """
    manifest = look(source)
    if settings.catalog.exists():
        raise UsageError(f"there is an archive at {settings.home} already; name another place with --home")
    make_private_directory(settings.home)
    with CatalogReader.open(source / manifest.catalog) as copy:
        _copy_originals(copy, Originals(source / "originals"), Originals(settings.originals), report, watcher)
    _copy_towers(source / "towers", settings.towers)
    _copy_file(source / manifest.catalog, settings.catalog)
    return manifest


def index_anew(catalog: Catalog, index: Callable[[int, Pair], VectorIndex], seal_at: int) -> None:
    """Forget the shards that a backup's catalog names, whose files it does not have, and build new ones."""
    for pair_id, pair in catalog.pairs().items():
        catalog.replace_shards(pair_id, [], catalog.shards(pair_id))
        shelving.shelve(catalog, index(pair_id, pair), pair_id, seal_at)


def look(source: Path) -> Manifest:
    """What a backup holds; its catalog is hashed.

    Raises:
        ArchiveError: the folder is no complete backup.
        CatalogDamaged: its catalog was altered.
    """
    manifest = _read_manifest(source)
    if manifest is None:
        raise ArchiveError(f"there is no backup in {source}; `archive backup {source}` makes one")
    if not manifest.complete:
        raise ArchiveError(f"the backup in {source} was never finished; run: archive backup {source}")
    path = source / manifest.catalog
    if not path.is_file() or _sha256(path) != manifest.catalog_sha256:
        raise CatalogDamaged(f"{path} is missing or altered; restore from another backup")
    return manifest


def missing(source: Path, manifest: Manifest, report: Report, watcher: Watcher, *, data: bool) -> None:
    """Report the originals that a backup lacks; with `data` each is hashed, otherwise only its size is compared."""
    kept = Originals(source / "originals")
    with CatalogReader.open(source / manifest.catalog) as copy:
        watcher.begin(copy.photo_count())
        for photo, size in copy.every_photo():
            report.photos += 1
            if not _has(kept, photo, size, verify=data):
                report.failed.append((photo, "is missing or altered"))
            watcher.step()


def _copy_originals(
    copy: CatalogReader, source: Originals, target: Originals, report: Report, watcher: Watcher, *, verify: bool = True
) -> None:
    """Copy what the target lacks. A damaged original is named and never copied over one that is whole."""
    target.sweep()
    watcher.begin(copy.photo_count())
    for photo, size in copy.every_photo():
        report.photos += 1
        if not _has(target, photo, size, verify=verify):
            try:
                content = source.read(photo.digest, photo.suffix)
            except CatalogDamaged as error:
                report.failed.append((photo, str(error)))
            else:
                modified = source.path(photo.digest, photo.suffix).stat().st_mtime
                target.put(content, photo.digest, photo.suffix, modified)
                report.copied += 1
                report.copied_bytes += size
        watcher.step()


def _has(originals: Originals, photo: Photo, size: int, *, verify: bool) -> bool:
    path = originals.path(photo.digest, photo.suffix)
    if not path.is_file() or path.stat().st_size != size:
        return False
    return not verify or originals.digest_at(path) == photo.digest


def _refuse_unsound(partial: Path) -> None:
    unsound = [found for found in check_catalog(partial, deep=True) if found.code in {Code.SQLITE, Code.ORPHAN}]
    if unsound:
        partial.unlink()
        message = f"the catalog is not sound ({unsound[0].message}); the backup is as it was; run: archive check"
        raise CatalogDamaged(message)


def _manifest(copy: CatalogReader, partial: Path) -> Manifest:
    summary, state, answering = copy.summary(), copy.state, copy.answering()
    sha256 = _sha256(partial)
    return Manifest(
        archive=state.uuid,
        complete=True,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        generation=state.generation,
        photos=summary.photos,
        original_bytes=summary.original_bytes,
        first=summary.first.isoformat() if summary.first else None,
        last=summary.last.isoformat() if summary.last else None,
        pair=answering[1].name if answering else None,
        catalog=f"catalog-{sha256[:16]}.sqlite",
        catalog_sha256=sha256,
    )


def _drop_what_is_old(target: Path, manifest: Manifest, kept: Originals, report: Report) -> None:
    """Erase earlier catalogs, and originals of photos that were forgotten since; all others stay."""
    for path in target.glob(_CATALOGS):
        if path.name != manifest.catalog:
            path.unlink()
    with CatalogReader.open(target / manifest.catalog) as copy:
        for digest, path in kept.stored():
            if copy.photo_id(digest) is None and copy.is_forgotten_by_anybody(digest):
                path.unlink()
                sync(path.parent)
                report.erased += 1
    sync(target)


def _copy_towers(source: Path, target: Path) -> None:
    """Copy the exported text towers, which queries run; each verifies itself when it is loaded."""
    if not source.is_dir():
        return
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_file() and not (copy.is_file() and _sha256(copy) == _sha256(path)):
            _copy_file(path, copy)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file: its name appears when all of it is on the disk."""
    make_private_directory(target.parent)
    unfinished = target.with_name(target.name + ".partial")
    with source.open("rb") as old, unfinished.open("wb") as new:
        unfinished.chmod(0o600)
        while chunk := old.read(_COPY_CHUNK):
            new.write(chunk)
    sync(unfinished)
    unfinished.replace(target)
    sync(target.parent)


def _uuid(settings: Settings) -> str:
    with CatalogReader.open(settings.catalog) as reader:
        return reader.state.uuid


def _has_photos(settings: Settings) -> bool:
    with CatalogReader.open(settings.catalog) as reader:
        return reader.photo_count() > 0


def _read_manifest(folder: Path) -> Manifest | None:
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = Manifest(**json.loads(path.read_bytes()))
    except (OSError, TypeError, ValueError) as error:
        raise ArchiveError(f"{path} cannot be read; move it away and run: archive backup {folder}") from error
    if manifest.format != FORMAT:
        raise ArchiveError(f"{path} was written by another version of this program; update it")
    return manifest


def _dumped(manifest: Manifest) -> bytes:
    return (json.dumps(asdict(manifest), indent=1) + "\n").encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
