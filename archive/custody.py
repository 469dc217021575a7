"""The composition of the commands that keep an archive whole, copy it, and erase from it.

Like `archive.bootstrap`, from which it takes its parts: settings in, work done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive import bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence

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
