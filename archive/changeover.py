"""The composition of changing the pair: re-embedding in the background of normal use, and dropping the pair before.

Like `archive.bootstrap`, from which it takes its parts: settings in, work done.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING

from archive import bootstrap, indexing, pace, parts
from archive.catalog.lock import is_held, writer_lock
from archive.errors import ArchiveError
from archive.reembedding import TURN_PHOTOS, Report
from archive.runtimes import processors
from archive.settings import PairChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from archive.catalog.reader import CatalogReader
    from archive.catalog.writer import Catalog
    from archive.progress import Watcher
    from archive.reembedding import Reembedding
    from archive.settings import Settings
    from archive.types import Pair

LOCK_NAME = "reembed.lock"
"""One process at a time re-embeds: two would look at the same photos."""

PATIENCE = 30.0
"""Seconds to wait for a turn that a server makes."""

FOREVER = float("inf")

DROPPED_AT_ONCE = 256
"""Packs in one transaction: about 10 MB."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a re-embedding stops for now: after so many photos, or so many seconds; None is without end."""

    photos: int | None = None
    seconds: float | None = None

    def left(self, embedded: int) -> int:
        """How many photos may still come."""
        return TURN_PHOTOS if self.photos is None else self.photos - embedded


@dataclass(slots=True)
class Dropped:
    """What was dropped of pairs that were left behind, and how much smaller the archive is for it."""

    pairs: int = 0
    photos: int = 0
    bytes: int = 0
    rewritten: bool = True


@dataclass(frozen=True, slots=True)
class _Access:
    """The catalog of these settings, all of it; whoever writes waits for as long as another does."""

    settings: Settings

    def reading(self) -> AbstractContextManager[CatalogReader]:
        return bootstrap.reading(self.settings, everyone=True)

    def writing(self) -> AbstractContextManager[Catalog]:
        return bootstrap.writing(self.settings, FOREVER, briefly=True)


def is_waiting(settings: Settings) -> bool:
    """Whether another pair was chosen than the one that answers."""
    if not bootstrap.is_begun(settings):
        return False
    with bootstrap.reading(settings, everyone=True) as reader:
        return reader.wanted() != reader.answering()


def is_busy(settings: Settings) -> bool:
    """Whether another process is writing now."""
    return is_held(settings.home)


@contextmanager
def at_work(settings: Settings, *, workers: int | None = None) -> Iterator[Reembedding]:
    """The chosen pair, loaded and ready to look.

    Raises:
        ArchiveError: nothing was ever ingested, or the pair's files are missing or changed.
    """
    from archive.reembedding import Reembedding

    with bootstrap.reading(settings, everyone=True) as reader:
        pair_id, pair = reader.wanted() or bootstrap.answering_pair(reader, settings)
    seeing, _ = parts.observer(settings, PairChoice(), pair)
    with bootstrap.decoder() as decode:
        yield Reembedding(
            access=_Access(settings),
            pair_id=pair_id,
            pair=pair,
            observer=seeing,
            originals=bootstrap.originals(settings),
            decode=decode,
            index=lambda catalog: indexing.index(settings, catalog, pair_id, pair),
            seal_at=settings.seal_at,
            workers=workers or processors.workers(),
        )


def reembed(settings: Settings, bounds: Bounds, report: Report, watcher: Watcher) -> None:
    """Embed photos that the chosen pair lacks until the bounds are reached; it answers once it has seen all.

    The report grows as the run goes, so that an interrupted run can still be summed up.

    Raises:
        ArchiveError: nothing was ever ingested, or another pair was chosen meanwhile.
        ArchiveBusy: another process is re-embedding.
    """
    with writer_lock(settings.home, PATIENCE, name=LOCK_NAME):
        with bootstrap.reading(settings, everyone=True) as reader:
            pair_id, pair = reader.wanted() or bootstrap.answering_pair(reader, settings)
            report.pair, report.pending = pair.name, reader.pending(pair_id)
            report.answers = reader.wanted() == reader.answering()
            is_done = report.answers and not (report.pending or reader.exemplars_without_vector(pair.space))
        if not is_done:
            _reembed(settings, bounds, report, watcher)


def _reembed(settings: Settings, bounds: Bounds, report: Report, watcher: Watcher) -> None:
    with at_work(settings) as work:
        work.observer.embedder.embed_text(["a photo"])  # exports the tower that queries run, should it be lost
        watcher.begin(report.pending if bounds.photos is None else min(report.pending, bounds.photos))
        until = FOREVER if bounds.seconds is None else monotonic() + bounds.seconds
        while bounds.left(report.embedded) > 0 and monotonic() < until:
            _give_way(settings, until)
            if not take_turn(settings, work, bounds.left(report.embedded), report, watcher):
                break
        with work.access.reading() as reader:
            report.pending = reader.pending(work.pair_id)


def take_turn(settings: Settings, work: Reembedding, most: int, report: Report, watcher: Watcher) -> bool:
    """One turn, and its pace written down; False where all is done that can be."""
    embedded, seconds = report.embedded, report.seconds
    if not work.turn(most, report, watcher):
        return not work.finish(report)
    pace.note(settings.home, work.pair_id, report.embedded - embedded, report.seconds - seconds)
    # With the last photo the pair answers, even if the bounds are reached with it.
    with work.access.reading() as reader:
        is_last = next(reader.photos_without_pack(work.pair_id, work.after), None) is None
    return not (is_last and work.finish(report))


def _give_way(settings: Settings, until: float) -> None:
    """Leave the processors to another writer for as long as it is at work."""
    while is_held(settings.home) and monotonic() < until:
        sleep(0.5)


def drop_old(settings: Settings) -> Dropped:
    """Drop the vectors and the index of every pair that neither answers nor is chosen, and shrink the catalog.

    Raises:
        ArchiveError: nothing was ever ingested.
    """
    before, dropped, spaces = _size(settings), Dropped(), set()
    with bootstrap.reading(settings, everyone=True) as reader:
        bootstrap.answering_pair(reader, settings)
    while (old := _one_left_behind(settings)) is not None:
        pair_id, pair = old
        spaces.add(pair.space)
        dropped.pairs += 1
        dropped.photos += _drop(settings, pair_id, pair)
    with _Access(settings).writing() as catalog:
        indexing.drop_unknown(settings, catalog)
    _drop_towers(settings, spaces)
    if dropped.pairs:
        dropped.rewritten = _rewrite(settings)
    dropped.bytes = max(0, before - _size(settings))
    return dropped


def _one_left_behind(settings: Settings) -> tuple[int, Pair] | None:
    with bootstrap.reading(settings, everyone=True) as reader:
        kept = {numbered[0] for numbered in (reader.answering(), reader.wanted()) if numbered is not None}
        return next(((number, pair) for number, pair in reader.pairs().items() if number not in kept), None)


def _drop(settings: Settings, pair_id: int, pair: Pair) -> int:
    """Drop a pair a little at a time, so that another writer can come between.

    Its index goes before the pair does: of a pair that the catalog no longer knows, no erasure would find it.
    """
    total = 0
    while True:
        with _Access(settings).writing() as catalog, catalog.alone():
            if any(numbered and numbered[0] == pair_id for numbered in (catalog.answering(), catalog.wanted())):
                raise ArchiveError("the pair that was to be dropped has been chosen meanwhile; it stays")
            indexing.index(settings, catalog, pair_id, pair).drop()
            dropped = catalog.drop_pair(pair_id, DROPPED_AT_ONCE)
        total += dropped
        if dropped < DROPPED_AT_ONCE:
            return total


def _drop_towers(settings: Settings, spaces: set[str]) -> None:
    from archive.embedders.text_tower import tower_folder

    with bootstrap.reading(settings, everyone=True) as reader:
        kept = {pair.space for pair in reader.pairs().values()}
    for space in spaces - kept:
        shutil.rmtree(tower_folder(settings.towers, space), ignore_errors=True)


def _rewrite(settings: Settings) -> bool:
    """Give the catalog's free pages back to the disk, if it has room for the copies that this takes.

    A server's pages are only made free for what comes next: shrinking its tables would shut out every other machine.
    """
    with _Access(settings).writing() as catalog:
        shrinks = not catalog.is_shared and shutil.disk_usage(settings.home).free >= 2 * _bytes(settings.catalog)
        if shrinks:
            catalog.rewrite()
        catalog.checkpoint()
    return shrinks


def _size(settings: Settings) -> int:
    """What of the archive lies in its home, originals left out; a server's catalog does not."""
    log = settings.catalog.with_name(f"{settings.catalog.name}-wal")
    folders = (path for folder in (settings.shards, settings.towers) for path in folder.rglob("*"))
    return sum(_bytes(path) for path in (settings.catalog, log, *folders))


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def serve_turns(settings: Settings, words: Iterator[str], tell: Callable[[str], None]) -> None:
    """Make one turn for each word that comes in, and tell what is so then: `more`, `busy` or `done`.

    For a process beside a server, which asks for a turn when nobody asks the server for anything.
    """
    report, watcher = Report(), _Nobody()
    with at_work(settings, workers=1) as work:
        for _ in words:
            tell(_one_turn(settings, work, report, watcher))


def _one_turn(settings: Settings, work: Reembedding, report: Report, watcher: Watcher) -> str:
    from archive.errors import ArchiveBusy

    if is_held(settings.home):
        return "busy"
    try:
        with writer_lock(settings.home, name=LOCK_NAME):
            return "more" if take_turn(settings, work, TURN_PHOTOS, report, watcher) else "done"
    except ArchiveBusy:
        return "busy"


class _Nobody:
    """Nobody watches."""

    def begin(self, files: int) -> None:
        """Nobody is told."""

    def step(self) -> None:
        """Nobody is told."""
