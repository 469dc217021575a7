"""The composition root: settings in, working parts out.

The only place, with `archive.parts`, that names concrete segmenters, embedders and indexes.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archive import indexing, parts, wearers
from archive.errors import ArchiveError, UsageError
from archive.settings import PairChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.catalog.driver import Place
    from archive.catalog.idle import IdleConnections
    from archive.catalog.reader import CatalogReader
    from archive.catalog.writer import Catalog
    from archive.erasure import Places, Receipt
    from archive.ingest import Destination
    from archive.observation import Observer
    from archive.originals import Originals
    from archive.photos.reading import DecodedPhoto
    from archive.protocols import Executor
    from archive.reindex import Report, Watcher
    from archive.settings import Settings
    from archive.types import Pair, Photo

PATIENCE = 2.0
"""Seconds that a command waits for another writer; a query that remembers its words is done in milliseconds."""


def catalog_place(settings: Settings) -> Place:
    """Where the catalog is: a file of the home, or the PostgreSQL that the configuration names."""
    if settings.cluster is None or settings.cluster.metadata is None:
        return settings.catalog
    from archive.catalog.postgres import Postgres

    return Postgres(settings.cluster.metadata)


def is_begun(settings: Settings) -> bool:
    """Whether there is a catalog to open; what a server holds, only asking it tells."""
    place = catalog_place(settings)
    return not isinstance(place, Path) or place.exists()


def refuse_unbegun(settings: Settings) -> None:
    """Raise ArchiveError where there is no archive, before a writer would make one."""
    if not is_begun(settings):
        raise ArchiveError(f"there is no archive at {settings.home}; run: archive ingest FOLDER")


@contextmanager
def opened(settings: Settings, patience: float = PATIENCE, *, briefly: bool = False) -> Iterator[Catalog]:
    """The catalog, for a writer; it is created or upgraded if need be. For `briefly` see `archive.catalog.lock`.

    A file has one writer at a time, and so has a home: what a machine keeps besides the catalog is in it.

    Raises:
        ArchiveBusy: another process is writing.
    """
    from archive.catalog.lock import writer_lock
    from archive.catalog.writer import Catalog

    with (
        writer_lock(settings.home, patience, briefly=briefly),
        Catalog.open(catalog_place(settings)) as catalog,
    ):
        yield catalog


@contextmanager
def writing(settings: Settings, patience: float = PATIENCE, *, briefly: bool = False) -> Iterator[Catalog]:
    """The same, once what an erasure that was cut off has left to do is done; it writes for the wearer that is named.

    Raises:
        ArchiveBusy: another process is writing.
    """
    with opened(settings, patience, briefly=briefly) as catalog:
        if catalog.erasures():
            finish_erasure(settings, catalog)
        if (wearer := wearers.known(settings)) is not None:
            catalog.write_for(wearer)
        yield catalog


@contextmanager
def reading(
    settings: Settings, *, everyone: bool = False, idle: IdleConnections | None = None
) -> Iterator[CatalogReader]:
    """The catalog as it is now, for reading; a writer may go on meanwhile.

    Only what is of the wearers whose photos may be seen is there; with `everyone`, for upkeep alone, all of it. One of
    the `idle` connections is used where that will do.

    Raises:
        UsageError: nobody is named, where many people's photos are.
    """
    from archive.catalog.reader import CatalogReader
    from archive.catalog.scoping import Scope

    names = None if everyone else wearers.seen(settings)
    in_index = settings.cluster is not None and settings.cluster.vectors is not None
    with CatalogReader.open(catalog_place(settings), Scope(names, in_index) if names else None, idle) as reader:
        yield reader


def originals(settings: Settings) -> Originals:
    """The folder of originals, or the bucket that the configuration names."""
    from archive.originals import Originals

    if settings.cluster and settings.cluster.originals:
        from archive.object_originals import ObjectOriginals
        from archive.object_store import Bucket

        return ObjectOriginals(Bucket(settings.cluster.originals), settings.fetched)

    return Originals(settings.originals)


def teach(settings: Settings, name: str, files: Sequence[str], ranks: Sequence[int]) -> tuple[int, list[str]]:
    """Keep pictures of a thing: files, as `FILE` or `FILE@left,top,right,bottom`, and hits of the last answer.

    Returns how many pictures the thing has now, and what is doubtful about the new ones.

    Raises:
        ArchiveError: nothing was ever ingested.
    """
    from archive import teaching

    wearers.one(settings)
    with reading(settings) as reader:
        answering = answering_pair(reader, settings)
        lessons = teaching.from_files(files, lambda: parts.looking(answering[1], settings), reader)
        lessons += teaching.from_hits(ranks, reader, answering, originals(settings), settings.home)
    with writing(settings) as catalog:
        count = catalog.teach(name, [lesson.exemplar for lesson in lessons])
    return count, [doubt for lesson in lessons for doubt in lesson.doubts]


def answering_pair(reader: CatalogReader | Catalog, settings: Settings) -> tuple[int, Pair]:
    """The pair that answers queries, with its id.

    Raises:
        ArchiveError: nothing was ever ingested.
    """
    answering = reader.answering()
    if answering is None:
        raise ArchiveError(f"the archive at {settings.home} is empty; run `archive ingest FOLDER` first")
    return answering


@contextmanager
def decoder() -> Iterator[Callable[[bytes], DecodedPhoto]]:
    """Decodes files, suspicious ones in a process of their own."""
    from archive.photos.apart import ApartDecoder

    with ApartDecoder() as apart:
        yield apart.decode


def locate(settings: Settings) -> Callable[[Photo], str]:
    """Says where a photo's original is: a path or a URL."""
    stored = originals(settings)
    return lambda photo: stored.where(photo.digest, photo.suffix)


def local(settings: Settings, photo: Photo) -> Path:
    """A photo's original as a file of this machine."""
    return originals(settings).local(photo.digest, photo.suffix)


def arriving(source: Path) -> Iterator[Path]:
    """The folders that a SOURCE stands for: itself, or what a bucket holds, brought here a part at a time."""
    from archive import remote_source

    url = remote_source.url_of(source)
    return iter([source]) if url is None else remote_source.batches(url)


@contextmanager
def ingesting(
    settings: Settings, choice: PairChoice, *, even_forgotten: bool = False, reuse: bool = True
) -> Iterator[Destination]:
    """Everything an ingest needs, under the writer lock. A first ingest settles which pair the archive has.

    Raises:
        UsageError: the archive has another pair than the one chosen.
    """
    from archive import shelving
    from archive.arrivals import Arrivals
    from archive.ingest import Destination

    wearers.one(settings)
    with writing(settings) as catalog, decoder() as decode:
        answering = catalog.answering()
        current = answering[1] if answering else None
        seeing, pair = parts.observer(settings, choice, current)
        if current and not parts.same(pair, current):
            raise UsageError(
                f"this archive was made with the pair {current.name!r} ({current.segmenter}, {current.space}); "
                "to change it, run `archive models use` with the same options, then `archive reembed`"
            )
        pair_id = catalog.ensure_pair(pair)
        if answering is None:
            settle(catalog, seeing, pair_id)
        elif catalog.is_shared:
            seeing.embedder.embed_text(["a photo"])  # another machine may have settled it: queries here need the tower
        stored, shards = originals(settings), indexing.index(settings, catalog, pair_id, pair)
        stored.sweep()
        # The card goes first: what is wrong with the index is said at the end. Another machine's newest file may not be
        # named yet, so only whoever shelves may sweep.
        with suppress(ArchiveError), catalog.alone():
            shelving.renew(catalog, shards, pair_id, shards.outdated)
            shards.sweep([shard.name for shard in catalog.shards(pair_id)])
        yield Destination(
            home=settings.home,
            catalog=catalog,
            originals=stored,
            arrivals=Arrivals(settings.arrivals),
            executor=executor(settings, seeing, pair),
            pair_id=pair_id,
            decode=decode,
            index=shards,
            seal_at=settings.seal_at,
            even_forgotten=even_forgotten,
            reuse=reuse,
        )


def executor(settings: Settings, seeing: Observer, pair: Pair) -> Executor:
    """Where an ingest observes photos: in this process, or on the Ray that the configuration names."""
    if settings.cluster is None or settings.cluster.executor == "local":
        from archive.executors.local import LocalExecutor
        from archive.runtimes.processors import workers

        return LocalExecutor(seeing, workers())
    from archive.executors.ray import Place, RayExecutor

    return RayExecutor(Place.parse(settings.cluster.executor), partial(parts.watching, settings, pair))


def preparation(settings: Settings, choice: PairChoice) -> str | None:
    """What has to be done once before a choice can work, in a line; None where nothing has."""
    current = None
    if is_begun(settings):
        # A catalog of an older version is not read before the command that asks has upgraded it.
        with suppress(ArchiveError), reading(settings, everyone=True) as reader:
            current = reader.answering()
    return parts.preparation(settings, choice, current[1] if current else None)


def finish_erasure(settings: Settings, catalog: Catalog) -> Receipt:
    """Do what an erasure that was cut off has left to do."""
    from archive.erasure import Receipt, finish

    receipt = Receipt()
    with catalog.alone():
        finish(places(settings, catalog), receipt)
    return receipt


def places(settings: Settings, catalog: Catalog) -> Places:
    """Everywhere that something of a photo can be."""
    from archive.arrivals import Arrivals
    from archive.erasure import Places

    return Places(
        home=settings.home,
        catalog=catalog,
        originals=originals(settings),
        arrivals=Arrivals(settings.arrivals),
        index=lambda pair_id, pair: indexing.index(settings, catalog, pair_id, pair),
        drop_unknown=lambda: indexing.drop_unknown(settings, catalog),
    )


def settle(catalog: Catalog, seeing: Observer, pair_id: int) -> None:
    """Let a pair answer from now on. Its text side is tried first, which exports the tower that queries run."""
    seeing.embedder.embed_text(["a photo"])
    catalog.set_wanted(pair_id)
    catalog.set_answering(pair_id)


def use_pair(settings: Settings, choice: PairChoice) -> tuple[Pair, int]:
    """Choose the pair that the archive is to answer with; returns it, and how many photos lack it.

    An archive without photos answers with it at once, any other once all of them are embedded with it.
    """
    with writing(settings) as catalog:
        wanted = catalog.wanted()
        chosen_before = [pair for _, pair in filter(None, (catalog.answering(), wanted))]
        known = [*chosen_before, *catalog.pairs().values()]
        seeing, pair = parts.observer(settings, choice, wanted[1] if wanted else None, known)
        pair_id = catalog.ensure_pair(pair)
        seeing.embedder.embed_text(["a photo"])
        catalog.set_wanted(pair_id)
        missing = catalog.pending(pair_id)
        if not missing:
            catalog.set_answering(pair_id)
        return pair, missing


def reindex(settings: Settings, report: Report, watcher: Watcher, *, of_answering: bool = False) -> None:
    """Embed what the wanted pair has not seen, let it answer once it has seen all, and put the index right.

    With `of_answering` it is all about the pair that answers, and the wanted one is left to the re-embedding.

    Raises:
        ArchiveError: nothing was ever ingested.
    """
    from archive.reindex import embed_missing, may_answer
    from archive.runtimes.processors import workers
    from archive.teaching import embed_missing as embed_exemplars

    refuse_unbegun(settings)
    with writing(settings) as catalog, decoder() as decode:
        wanted = None if of_answering else catalog.wanted()
        pair_id, pair = wanted or answering_pair(catalog, settings)
        damaged = catalog.damaged_packs(pair_id)
        if catalog.pending(pair_id) or damaged:
            seeing, _ = parts.observer(settings, PairChoice(), pair)
            embed_missing(catalog, originals(settings), decode, seeing, pair_id, damaged, workers(), report, watcher)
        if catalog.exemplars_without_vector(pair.space):
            embed_exemplars(catalog, parts.looking(pair, settings))
        if may_answer(catalog.photo_count(), catalog.pending(pair_id)):
            catalog.set_answering(pair_id)
        _refresh(settings, catalog, pair_id, pair, report)


def sync(settings: Settings, report: Report) -> None:
    """Put the index right by the catalog: what lies outside it goes in, what the catalog no longer has goes out.

    Raises:
        ArchiveError: nothing was ever ingested.
    """
    refuse_unbegun(settings)
    with writing(settings) as catalog:
        for pair_id, pair in {answering_pair(catalog, settings), *filter(None, (catalog.wanted(),))}:
            _refresh(settings, catalog, pair_id, pair, report)


def _refresh(settings: Settings, catalog: Catalog, pair_id: int, pair: Pair, report: Report) -> None:
    from archive import shelving
    from archive.reindex import refresh

    with catalog.alone():
        shards = indexing.index(settings, catalog, pair_id, pair)
        refresh(catalog, shards, pair_id, settings.seal_at, report)
        report.rebuilt += shelving.renew(catalog, shards, pair_id, shards.outdated)
        shards.sweep([shard.name for shard in catalog.shards(pair_id)])
