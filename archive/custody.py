"""The composition of the commands that keep an archive whole, copy it, and erase from it.

Like `archive.bootstrap`, from which it takes its parts: settings in, work done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archive import bootstrap, indexing
from archive.errors import CatalogDamaged, UsageError
from archive.settings import PairChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive import ingest_report, upkeep
    from archive.backup import Manifest, Report, Watcher
    from archive.catalog.writer import Catalog
    from archive.erasure import Receipt, Which
    from archive.originals import Originals
    from archive.repair import Plan
    from archive.settings import Settings
    from archive.types import Photo

_TAKE_IN = "take its card in with: archive ingest FOLDER --wearer NAME"


def check(settings: Settings, watcher: upkeep.Watcher, *, data: bool, share: float = 1.0) -> list[upkeep.Finding]:
    """Everything that is not as it should be; with `data`, a `share` of the originals is hashed, chosen by chance."""
    from archive import upkeep

    findings = list(upkeep.check_rows(bootstrap.catalog_place(settings), data=data))
    try:
        with bootstrap.reading(settings, everyone=True) as reader:
            findings += upkeep.check_originals(reader, bootstrap.originals(settings), watcher, share=share * data)
            for pair_id, pair in filter(None, {reader.answering(), reader.wanted()}):
                findings += upkeep.check_index(indexing.index(settings, reader, pair_id, pair))
    except CatalogDamaged as error:
        findings.append(upkeep.unreadable(error))
    return findings


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

    place = bootstrap.catalog_place(settings)
    if isinstance(place, Path):  # a server answers for its own pages, and holds too much to be read whole for this
        refuse_damaged(place)
    with bootstrap.writing(settings) as catalog, catalog.alone():
        return erase(photos, bootstrap.places(settings, catalog), verify=verify)


def finish_forgetting(settings: Settings) -> Receipt | None:
    """Finish an erasure that was cut off or had to wait for a reader; None where there is none."""
    with bootstrap.opened(settings) as catalog:
        return bootstrap.finish_erasure(settings, catalog) if catalog.erasures() else None


def back_up(settings: Settings, target: Path, report: Report, watcher: Watcher, *, verify: bool) -> Manifest:
    """Bring the backup in a folder up to date; nobody else may write to it meanwhile."""
    from archive import backup
    from archive.catalog.lock import writer_lock

    _refuse_shared(settings)
    backup.refuse_other(settings, target)
    with writer_lock(target):
        return backup.back_up(settings, target, report, watcher, verify=verify)


def restore(source: Path, settings: Settings, report: Report, watcher: Watcher) -> Manifest:
    """Make an archive anew from a backup, and its index with it."""
    from archive import backup
    from archive.catalog.lock import writer_lock

    _refuse_shared(settings)
    backup.look(source)
    with writer_lock(settings.home):
        manifest = backup.restore(source, settings, report, watcher)
    with bootstrap.writing(settings) as catalog:
        backup.index_anew(catalog, lambda *pair: indexing.index(settings, catalog, *pair), settings.seal_at)
    return manifest


def plan_repair(settings: Settings, backup: Path | None, watcher: Watcher, *, data: bool) -> Plan:
    """Find what can be put right; nothing is changed.

    Raises:
        CatalogDamaged: the catalog itself is damaged.
    """
    from archive import repair
    from archive.catalog.checking import Code

    _refuse_shared(settings)
    faults = repair.refuse_beyond_repair(settings.catalog)
    copies = _originals_of(backup)
    with bootstrap.reading(settings, everyone=True) as reader:
        plan = repair.plan(reader, bootstrap.originals(settings), copies, watcher, data=data)
        answering = reader.answering()
        pairs = filter(None, {answering, reader.wanted()})
        broken = [shard for numbered in pairs for shard in indexing.index(settings, reader, *numbered).broken]
        plan.damaged_packs, plan.shards = faults[Code.PACK] + faults[Code.WHOLE_FRAME], faults[Code.SHARD] + len(broken)
        # While the pair is being changed, the photos that the new one lacks are no fault: `archive reembed` is at it.
        plan.pending = reader.pending(answering[0]) if answering and reader.wanted() == answering else 0
    return plan


def repair(settings: Settings, plan: Plan, backup: Path | None, watcher: Watcher) -> list[str]:
    """Do what was planned; what could not be put right, in words."""
    from archive import ingest_report, reindex
    from archive.repair import put_right

    with bootstrap.writing(settings) as catalog:
        put_right(plan, settings.home, bootstrap.originals(settings), _originals_of(backup))
        if plan.damaged_packs:
            _drop_damage_of_other_pairs(settings, catalog)
    embedded, taken = reindex.Report(), ingest_report.Report()
    strangers = _take_in_waiting(settings, taken, watcher) if plan.waiting else []
    if plan.damaged_packs or plan.pending:
        bootstrap.reindex(settings, embedded, watcher, of_answering=True)
    if plan.shards:
        bootstrap.sync(settings, embedded)
    restored = {photo.id for photo in plan.restorable}
    lost = [photo for photo in (*plan.lost, *plan.altered) if photo.id not in restored]
    return [
        *(f"{bad.path} {bad.reason}" for bad in taken.unreadable),
        *(f"{digest} is of a wearer whom the catalog does not know; {_TAKE_IN}" for digest in strangers),
        *(f"photo {photo.id} could not be embedded: {reason}" for photo, reason in embedded.failed),
        *(f"photo {photo.id} has no original; `archive ingest` of its card brings it back" for photo in lost),
    ]


def _take_in_waiting(settings: Settings, taken: ingest_report.Report, watcher: Watcher) -> list[str]:
    """Take in what interrupted runs left, each photo for the wearer whose run it was; the digests of strangers'."""
    from archive import ingest

    with bootstrap.ingesting(settings, PairChoice()) as destination:
        everybody = destination.catalog.wearers()
        for wearer in everybody:
            destination.catalog.wearer = wearer
            ingest.adopt(destination, taken, watcher)
        left = destination.arrivals.all().values()
        return [arrival.digest for arrival in left if arrival.wearer not in everybody]


def _refuse_shared(settings: Settings) -> None:
    if settings.cluster and (settings.cluster.metadata or settings.cluster.originals):
        raise UsageError(
            "servers are backed up and restored by their own tools: pg_dump or pg_basebackup for the catalog, the "
            "object store's versions or replicas for the originals; the index is made anew by: archive sync"
        )


def _drop_damage_of_other_pairs(settings: Settings, catalog: Catalog) -> None:
    """Damaged vectors of the pair that answers are made anew; those of any other just go.

    A pair that was chosen but does not answer yet gets them again from `archive reembed`.
    """
    from archive import shelving

    answering = catalog.answering()
    for pair_id, pair in catalog.pairs().items():
        if answering is not None and pair_id == answering[0]:
            continue
        if damaged := catalog.damaged_packs(pair_id):
            catalog.drop_packs(pair_id, damaged)
            shelving.purge(catalog, indexing.index(settings, catalog, pair_id, pair), pair_id)


def _originals_of(backup: Path | None) -> Originals | None:
    from archive.originals import Originals

    return None if backup is None else Originals(backup / "originals")
