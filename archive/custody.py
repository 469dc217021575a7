"""The composition of the commands that keep an archive whole, copy it, and erase from it.

Like `archive.bootstrap`, from which it takes its parts: settings in, work done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive import bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archive.backup import Manifest, Report, Watcher
    from archive.erasure import Receipt, Which
    from archive.settings import Settings
    from archive.types import Photo


def to_forget(settings: Settings, which: Which) -> list[Photo]:
    """The photos that a command names, for a person to look at before they are forgotten.

    Raises:
        UsageError: a photo that was named is not there.
    """
    from archive.erasure import choose

    with bootstrap.reading(settings) as reader:
        return choose(reader, which)


def forget(settings: Settings, photos: Sequence[Photo], *, verify: bool) -> Receipt:
    """Erase photos, and with `verify` look through every file of the home for what may be left of them.

    Raises:
        CatalogDamaged: the catalog is not sound; nothing was erased.
    """
    from archive.erasure import erase
    from archive.upkeep import refuse_damaged

    refuse_damaged(settings.catalog)
    with bootstrap.writing(settings) as catalog:
        return erase(photos, bootstrap.places(settings, catalog), verify=verify)


def finish_forgetting(settings: Settings) -> Receipt | None:
    """Finish an erasure that was cut off or had to wait for a reader; None where there is none."""
    from archive.catalog.lock import writer_lock
    from archive.catalog.writer import Catalog

    with writer_lock(settings.home, bootstrap.PATIENCE), Catalog.open(settings.catalog) as catalog:
        return bootstrap.finish_erasure(settings, catalog) if catalog.erasures() else None


def back_up(settings: Settings, target: Path, report: Report, watcher: Watcher, *, verify: bool) -> Manifest:
    """Bring the backup in a folder up to date; nobody else may write to it meanwhile."""
    from archive import backup
    from archive.catalog.lock import writer_lock

    backup.refuse_other(settings, target)
    with writer_lock(target):
        return backup.back_up(settings, target, report, watcher, verify=verify)


def restore(source: Path, settings: Settings, report: Report, watcher: Watcher) -> Manifest:
    """Make an archive anew from a backup, and its index with it."""
    from archive import backup
    from archive.catalog.lock import writer_lock

    backup.look(source)
    with writer_lock(settings.home):
        manifest = backup.restore(source, settings, report, watcher)
    with bootstrap.writing(settings) as catalog:
        backup.index_anew(catalog, lambda *pair: bootstrap.index(settings, catalog, *pair), settings.seal_at)
    return manifest
