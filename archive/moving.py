"""Moving an archive from its home to a cluster, or back: originals, then rows, then the index, then a comparison.

It goes on where it was stopped, and the archive that it reads is left as it was. Like `archive.bootstrap`, from which
it takes its parts: settings in, work done.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive import bootstrap, indexing, shelving, wearers
from archive.errors import ArchiveError, CatalogDamaged, UsageError
from archive.types import ORDINAL_BITS, photo_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archive.catalog.transfer import Moved, Transfer
    from archive.catalog.writer import Catalog
    from archive.originals import Originals
    from archive.progress import Watcher
    from archive.protocols import VectorIndex
    from archive.settings import Settings
    from archive.types import Ids, Pack, Vectors

SAMPLED = 200
"""Vectors whose nearest neighbours are compared."""

NEAREST = 10
CANDIDATES = 100
LEAST_OVERLAP = 0.95

AS_NEAR = 1e-4
"""Cosines that are this close are the same neighbour for a comparison: near-duplicates change places freely."""


@dataclass(slots=True)
class Report:
    """What was moved, and how well the target answers; `lost` names originals that could not be read."""

    photos: int = 0
    originals: int = 0
    original_bytes: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    shards: int = 0
    compared: int = 0
    overlap: float = 1.0


def migrate(source: Settings, target: Settings, report: Report, watcher: Watcher) -> None:
    """Copy what the target lacks, build its index, and compare the two.

    Raises:
        UsageError: both are the same archive.
        ArchiveError: the target holds another archive, or does not answer as the source does.
    """
    from archive.catalog.transfer import Transfer
    from archive.catalog.writer import Catalog

    places = [bootstrap.catalog_place(settings) for settings in (source, target)]
    if places[0] == places[1]:
        raise UsageError(f"source and target have the same catalog ({places[0]}); the configuration must name another")
    with ExitStack() as stack:
        reading = stack.enter_context(bootstrap.opened(source))  # nobody may change it meanwhile
        if reading.erasures():
            bootstrap.finish_erasure(source, reading)
        with Transfer(places[0], places[1], wearers.known(target)) as transfer:
            watcher.begin(transfer.begin())
            _copy_photos(transfer, bootstrap.originals(source), bootstrap.originals(target), report, watcher)
            transfer.finish()
            if differences := transfer.differences():
                raise ArchiveError(
                    f"the target does not have every row ({'; '.join(differences)}): photos were changed between two "
                    "runs of this; empty the target and run it again"
                )
        writing = stack.enter_context(Catalog.open(places[1]))
        answering = writing.answering()
        if answering is None:
            return
        pair_id, pair = answering
        index = indexing.index(target, writing, pair_id, pair)
        report.shards = _sync(writing, index, pair_id, target)
        there = _Side(reading, indexing.index(source, reading, pair_id, pair), pair_id)
        _compare(there, _Side(writing, index, pair_id), report)


def _copy_photos(transfer: Transfer, source: Originals, target: Originals, report: Report, watcher: Watcher) -> None:
    """Originals first, so that no row ever speaks of one that is not there."""
    apart = source.folder != target.folder or type(source) is not type(target)
    there = {digest for digest, _ in target.stored()} if apart else set()
    while page := transfer.next_photos():
        for moved in page:
            if apart and moved.digest not in there:
                _copy_original(moved, source, target, report)
                there.add(moved.digest)
            watcher.step()
        transfer.copy_next()
        report.photos += len(page)


def _copy_original(moved: Moved, source: Originals, target: Originals, report: Report) -> None:
    try:
        content = source.read(moved.digest, moved.suffix)
    except CatalogDamaged as error:
        report.lost.append((moved.digest, str(error)))
        return
    target.put(content, moved.digest, moved.suffix, moved.modified)
    report.originals += 1
    report.original_bytes += len(content)


def _sync(catalog: Catalog, index: VectorIndex, pair_id: int, settings: Settings) -> int:
    """Put every vector into an index that is a server; a folder of shards is begun as an ingest would."""
    seal_at = 1 if settings.cluster and settings.cluster.vectors else settings.seal_at
    with catalog.alone():
        return shelving.mend(catalog, index, pair_id) + shelving.shelve(catalog, index, pair_id, seal_at)


class _Near(NamedTuple):
    """The nearest segments of one side, and their cosines by the catalog's own vectors."""

    ids: Ids
    scores: Vectors


class _Side:
    """One of the two archives, asked for neighbours: its index, and what that does not hold."""

    def __init__(self, catalog: Catalog, index: VectorIndex, pair_id: int) -> None:
        self._catalog, self._index, self._pair_id = catalog, index, pair_id
        self._outside = _rows(self._packs_outside(), index.dim)

    def sample(self, count: int) -> Vectors:
        """Vectors of photos spread over the whole archive, one each: a thing, then a whole photo, and so on."""
        ends = [shard.last_pack for shard in self._catalog.shards(self._pair_id)]
        last = max(ends + [span.last_pack for span in self._catalog.unsealed(self._pair_id)], default=0)
        places = np.unique(np.linspace(1, last, count, dtype=np.int64)) if last else ()
        found = (next(self._catalog.packs(self._pair_id, int(place)), None) for place in places)
        rows = [pack.vectors[number % 2 - 1] for number, (_, pack) in enumerate(filter(None, found))]
        return np.stack(rows) if rows else np.empty((0, self._index.dim), np.float32)

    def nearest(self, query: Vectors) -> _Near:
        """The nearest segments to a unit row (1, dim)."""
        matches = self._index.search(query, CANDIDATES)
        packs = self._catalog.packs_of(self._pair_id, {photo_of(match.segment) for match in matches})
        near_ids, near_vectors = _rows(packs.values(), self._index.dim)
        outside_ids, outside_vectors = self._outside
        vectors = np.concatenate((outside_vectors, near_vectors))
        ids, places = np.unique(np.concatenate((outside_ids, near_ids)), return_index=True)
        scores = vectors[places] @ query[0]
        best = np.argsort(-scores, kind="stable")[:NEAREST]
        return _Near(ids[best], scores[best])

    def _packs_outside(self) -> Iterable[Pack]:
        spans = [(span.first_pack, span.last_pack) for span in self._catalog.unsealed(self._pair_id)]
        spans += [(shard.first_pack, shard.last_pack) for shard in self._index.broken]
        for first, last in spans:
            for _, pack in self._catalog.packs(self._pair_id, first, last):
                yield pack


def _compare(source: _Side, target: _Side, report: Report) -> None:
    """How many of the source's nearest neighbours the target has, over a sample of vectors.

    Raises:
        ArchiveError: too few.
    """
    overlaps = []
    for query in source.sample(SAMPLED)[:, np.newaxis]:
        expected, found = source.nearest(query), target.nearest(query)
        overlaps.append(np.count_nonzero(found.scores >= expected.scores[-1] - AS_NEAR) / len(expected.scores))
    report.compared = len(overlaps)
    report.overlap = float(np.mean(overlaps)) if overlaps else 1.0
    if report.overlap < LEAST_OVERLAP:
        raise ArchiveError(
            f"the target finds {report.overlap:.1%} of what the source does, and {LEAST_OVERLAP:.0%} are needed; run "
            "`archive sync` with its configuration, then this again"
        )


def _rows(packs: Iterable[Pack], dim: int) -> tuple[Ids, Vectors]:
    """The segment ids and vectors of packs."""
    held: Sequence[Pack] = list(packs)
    if not held:
        return np.empty(0, np.int64), np.empty((0, dim), np.float32)
    ids = [np.arange(len(pack), dtype=np.int64) | (pack.photo_id << ORDINAL_BITS) for pack in held]
    return np.concatenate(ids), np.concatenate([pack.vectors for pack in held])
