"""The composition root: settings in, working parts out.

The only place that names concrete segmenters, embedders and indexes. A part without weights has a line in SEGMENTERS
or EMBEDDERS; parts with weights are told apart in `_segmenter` and `_embedder`.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from archive.errors import ArchiveError, CatalogDamaged, SpaceMismatch, UsageError
from archive.settings import PairChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archive import upkeep
    from archive.catalog.reader import CatalogReader
    from archive.catalog.writer import Catalog
    from archive.erasure import Places, Receipt
    from archive.indexes.faiss_shards import FaissIndex
    from archive.ingest import Destination, Standing
    from archive.observation import Observer
    from archive.originals import Originals
    from archive.photos.reading import DecodedPhoto
    from archive.protocols import Embedder, Segmenter, TextEmbedder
    from archive.reindex import Report, Watcher
    from archive.settings import Settings
    from archive.types import Answer, Pair, Photo, Query, Vectors

DEFAULT_PAIR = "standard"

PATIENCE = 2.0
"""Seconds that a command waits for another writer; a query that remembers its words is done in milliseconds."""

MOST_WORKERS = 8
"""Photos observed side by side at the most: each has a network and its pixels in memory."""


def _grid() -> Segmenter:
    from archive.segmenters.grid import GridSegmenter

    return GridSegmenter()


def _whole() -> Segmenter:
    from archive.segmenters.whole import WholeSegmenter

    return WholeSegmenter()


SEGMENTERS: dict[str, Callable[[], Segmenter]] = {"grid": _grid, "whole": _whole}
"""Segmenters that need no weights, by the name that `--segmenter` takes."""

EMBEDDERS: dict[str, Callable[[], Embedder]] = {}
"""Embedders that need no weights, by the name that `--embedder` takes."""


@contextmanager
def writing(settings: Settings) -> Iterator[Catalog]:
    """The catalog, opened by the archive's one writer; it is created or upgraded if need be.

    What an erasure that was cut off has left to do is done first.

    Raises:
        ArchiveBusy: another process is writing.
    """
    from archive.catalog.lock import writer_lock
    from archive.catalog.writer import Catalog

    with writer_lock(settings.home, PATIENCE), Catalog.open(settings.catalog) as catalog:
        if catalog.erasures():
            finish_erasure(settings, catalog)
        yield catalog


@contextmanager
def reading(settings: Settings) -> Iterator[CatalogReader]:
    """The catalog as it is now, for reading; a writer may go on meanwhile."""
    from archive.catalog.reader import CatalogReader

    with CatalogReader.open(settings.catalog) as reader:
        yield reader


def originals(settings: Settings) -> Originals:
    """The folder of originals."""
    from archive.originals import Originals

    return Originals(settings.originals)


def ask(query: Query, settings: Settings) -> Answer:
    """Answer a query from the archive of these settings."""
    from archive.catalog.texts import remember_text
    from archive.search import search

    def remember(space: str, text: str, vector: Vectors) -> None:
        remember_text(settings.catalog, settings.home, space, text, vector)

    with reading(settings) as reader:
        answering = reader.answering()
        if answering is None:
            raise ArchiveError(f"the archive at {settings.home} is empty; run `archive ingest FOLDER` first")
        pair_id, pair = answering
        return search(query, reader, words(pair, settings), index(settings, reader, pair_id, pair), remember)


@contextmanager
def standings(settings: Settings, *, even_forgotten: bool) -> Iterator[Callable[[str], Standing]]:
    """Tells what a photo of that sha256 in hex is to the archive; where there is no archive, each is new."""
    if not settings.catalog.exists():
        yield lambda _digest: "new"
        return
    with reading(settings) as reader:

        def standing(digest: str) -> Standing:
            if reader.photo_id(digest) is not None:
                return "known"
            return "forgotten" if not even_forgotten and reader.is_forgotten(digest) else "new"

        yield standing


@contextmanager
def decoder() -> Iterator[Callable[[bytes], DecodedPhoto]]:
    """Decodes files, suspicious ones in a process of their own."""
    from archive.photos.apart import ApartDecoder

    with ApartDecoder() as apart:
        yield apart.decode


def locate(settings: Settings) -> Callable[[Photo], Path]:
    """Finds a photo's original."""
    stored = originals(settings)
    return lambda photo: stored.path(photo.digest, photo.suffix)


def index(settings: Settings, source: Catalog | CatalogReader, pair_id: int, pair: Pair) -> FaissIndex:
    """The index of a pair, over the shards that the catalog's manifest names."""
    from archive.indexes.faiss_shards import FaissIndex

    return FaissIndex(settings.shards / str(pair_id), pair.dim, source.shards(pair_id))


def words(pair: Pair, settings: Settings) -> TextEmbedder:
    """The text half of a pair, without torch."""
    if pair.embedder_source in EMBEDDERS:
        return EMBEDDERS[pair.embedder_source]()
    from archive.embedders.text_tower import OnnxTextTower, tower_folder

    return OnnxTextTower(tower_folder(settings.towers, pair.space))


def observer(settings: Settings, choice: PairChoice, current: Pair | None) -> tuple[Observer, Pair]:
    """The pair that a command asked for, at work; what the choice leaves open is taken from the current pair.

    Raises:
        UsageError: there is no pair of the chosen name.
        WeightsMissing: a part is not on disk; the message names the command that fetches it.
        SpaceMismatch: nothing was chosen, but the current pair's files are no longer what they were.
    """
    from archive.observation import CONTEXT, Observer
    from archive.pairs.registry import PAIRS, find

    if choice.name:
        find(choice.name)
    _compute_side_by_side()
    asked = choice != PairChoice()
    fallback = choice.name or (None if current else DEFAULT_PAIR)
    segmenter_source = choice.segmenter or fallback or (current.segmenter_source if current else DEFAULT_PAIR)
    embedder_source = choice.embedder or fallback or (current.embedder_source if current else DEFAULT_PAIR)
    name = segmenter_source if segmenter_source == embedder_source and segmenter_source in PAIRS else "custom"
    context = PAIRS[name].crop_context if name in PAIRS else CONTEXT
    seeing = Observer(_segmenter(segmenter_source, settings), _embedder(embedder_source, settings), context=context)
    pair = seeing.pair(name, _absolute(segmenter_source), _absolute(embedder_source))
    if not asked and current and not same(pair, current):
        raise SpaceMismatch(
            f"the files of the pair {current.name!r} changed since the archive was made with them; put them back, or "
            "choose the new ones with `archive models use` and run `archive reindex`"
        )
    return seeing, pair


@contextmanager
def ingesting(settings: Settings, choice: PairChoice, *, even_forgotten: bool = False) -> Iterator[Destination]:
    """Everything an ingest needs, under the writer lock. A first ingest settles which pair the archive has.

    Raises:
        UsageError: the archive has another pair than the one chosen.
    """
    from archive.arrivals import Arrivals
    from archive.ingest import Destination

    with writing(settings) as catalog, decoder() as decode:
        answering = catalog.answering()
        current = answering[1] if answering else None
        seeing, pair = observer(settings, choice, current)
        if current and not same(pair, current):
            raise UsageError(
                f"this archive was made with the pair {current.name!r} ({current.segmenter}, {current.space}); "
                "to change it, run `archive models use` with the same options, then `archive reindex`"
            )
        pair_id = catalog.ensure_pair(pair)
        if answering is None:
            settle(catalog, seeing, pair_id)
        stored, shards = originals(settings), index(settings, catalog, pair_id, pair)
        stored.sweep()
        shards.sweep([shard.name for shard in catalog.shards(pair_id)])
        yield Destination(
            home=settings.home,
            catalog=catalog,
            originals=stored,
            arrivals=Arrivals(settings.arrivals),
            observer=seeing,
            pair_id=pair_id,
            decode=decode,
            index=shards,
            seal_at=settings.seal_at,
            workers=min(processors(), MOST_WORKERS),
            even_forgotten=even_forgotten,
        )


def finish_erasure(settings: Settings, catalog: Catalog) -> Receipt:
    """Do what an erasure that was cut off has left to do."""
    from archive.erasure import Receipt, finish

    receipt = Receipt()
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
        index=lambda pair_id, pair: index(settings, catalog, pair_id, pair),
    )


def processors() -> int:
    """Processors that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def settle(catalog: Catalog, seeing: Observer, pair_id: int) -> None:
    """Let a pair answer from now on. Its text side is tried first, which exports the tower that queries run."""
    seeing.embedder.embed_text(["a photo"])
    catalog.set_wanted(pair_id)
    catalog.set_answering(pair_id)


def check(settings: Settings, watcher: upkeep.Watcher, *, data: bool, share: float = 1.0) -> list[upkeep.Finding]:
    """Everything that is not as it should be; with `data`, a `share` of the originals is hashed, chosen by chance."""
    from archive import upkeep

    findings = list(upkeep.check_rows(settings.catalog, data=data))
    try:
        with reading(settings) as reader:
            findings += upkeep.check_originals(reader, originals(settings), watcher, share=share * data)
            if answering := reader.answering():
                findings += upkeep.check_index(index(settings, reader, *answering))
    except CatalogDamaged as error:
        findings.append(upkeep.unreadable(error))
    return findings


def use_pair(settings: Settings, choice: PairChoice) -> tuple[Pair, int]:
    """Choose the pair that the archive is to answer with; returns it, and how many photos lack it.

    An archive without photos answers with it at once, any other after `archive reindex`.
    """
    with writing(settings) as catalog:
        wanted = catalog.wanted()
        seeing, pair = observer(settings, choice, wanted[1] if wanted else None)
        pair_id = catalog.ensure_pair(pair)
        seeing.embedder.embed_text(["a photo"])
        catalog.set_wanted(pair_id)
        missing = catalog.pending(pair_id)
        if not missing:
            catalog.set_answering(pair_id)
        return pair, missing


def reindex(settings: Settings, report: Report, watcher: Watcher) -> None:
    """Embed what the wanted pair has not seen, let it answer once it has seen all, and put the index right.

    Raises:
        ArchiveError: nothing was ever ingested.
    """
    from archive.reindex import embed_missing, may_answer, refresh

    with writing(settings) as catalog:
        wanted = catalog.wanted() or catalog.answering()
        if wanted is None:
            raise ArchiveError(f"the archive at {settings.home} is empty; run `archive ingest FOLDER` first")
        pair_id, pair = wanted
        damaged = catalog.damaged_packs(pair_id)
        if catalog.pending(pair_id) or damaged:
            seeing, _ = observer(settings, PairChoice(), pair)
            workers = min(processors(), MOST_WORKERS)
            embed_missing(catalog, originals(settings), seeing, pair_id, damaged, workers, report, watcher)
        if may_answer(catalog.photo_count(), catalog.pending(pair_id)):
            catalog.set_answering(pair_id)
        shards = index(settings, catalog, pair_id, pair)
        refresh(catalog, shards, pair_id, settings.seal_at, report)
        shards.sweep([shard.name for shard in catalog.shards(pair_id)])


def same(one: Pair, other: Pair) -> bool:
    """Whether two pairs give the same boxes and vectors, wherever their files are."""
    return (one.segmenter, one.space) == (other.segmenter, other.space)


def _compute_side_by_side() -> None:
    """Have torch compute each photo on one thread; several photos are observed at a time instead.

    Threads that share one photo wait for one another at every layer. On two cores with one other busy process, 16 crops
    through MobileNetV2 took 0.5 s on one thread and 4 to 6 s on two. torch reads the variable when it is imported.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _segmenter(source: str, settings: Settings) -> Segmenter:
    from archive.pairs import registry, shelf
    from archive.segmenters.sam import SamSegmenter, is_sam
    from archive.segmenters.yolo import UltralyticsSegmenter

    if source in SEGMENTERS:
        return SEGMENTERS[source]()
    if source not in registry.PAIRS:
        own = _existing(source, "--segmenter")
        return SamSegmenter(own) if is_sam(own) else UltralyticsSegmenter(own)
    spec = registry.find(source).segmenter
    weights, _ = shelf.paths(source, settings.weights)
    if weights is None:
        return SEGMENTERS[spec.kind]()
    if spec.kind == "sam":
        return SamSegmenter(weights)
    return UltralyticsSegmenter(weights, size=spec.size, confidence=spec.confidence, overlap=spec.overlap)


def _embedder(source: str, settings: Settings) -> Embedder:
    if source in EMBEDDERS:
        return EMBEDDERS[source]()
    from archive.embedders.openclip import OpenClipEmbedder
    from archive.pairs import registry, shelf

    if source in registry.PAIRS:
        _, folder = shelf.paths(source, settings.weights)
    else:
        folder = _existing(source, "--embedder")
    return OpenClipEmbedder(folder, settings.towers)


def _existing(source: str, option: str) -> Path:
    path = Path(source).expanduser()
    if not path.exists():
        raise UsageError(f"{option} {source}: there is no such file or folder")
    return path


def _absolute(source: str) -> str:
    """A source as it is remembered: a path must not depend on where the command was run, and a name is no path."""
    from archive.pairs.registry import PAIRS

    if source in {*SEGMENTERS, *EMBEDDERS, *PAIRS}:
        return source
    path = Path(source).expanduser()
    return str(path.absolute()) if path.exists() else source
