"""Re-embedding: giving every photo the vectors of the chosen pair, a little at a time, beside everything else.

It goes in turns of a few seconds. Reading originals and looking at them, which is nearly all of a turn, needs no lock;
at its end what was seen is added under the writer lock, a transaction for each photo. So another writer waits for
moments only, and a turn that is cut off loses seconds. A photo that was forgotten meanwhile is not brought back, one
that came in meanwhile is looked at in a later turn.

The pair answers from one transaction on: when it has seen every photo and every taught picture, and its shards are
written. Until then nothing that answers reads any of its vectors.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from archive import shelving
from archive.errors import ArchiveError
from archive.examples import Looking
from archive.reindex import may_answer, reread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from archive.catalog.reader import CatalogReader
    from archive.catalog.writer import Catalog
    from archive.observation import Observer
    from archive.originals import Originals
    from archive.photos.reading import DecodedPhoto
    from archive.progress import Watcher
    from archive.protocols import VectorIndex
    from archive.types import Pack, Pair, Photo

TURN_SECONDS = 4.0
TURN_PHOTOS = 64


@dataclass(slots=True)
class Report:
    """What a re-embedding did. `failed` names photos whose original could not be read; `pending` ones are to go.

    `answers` says whether the pair answers now; `switched`, whether it began to just now.
    """

    pair: str = ""
    embedded: int = 0
    failed: list[tuple[Photo, str]] = field(default_factory=list)
    pending: int = 0
    seconds: float = 0.0
    answers: bool = False
    switched: bool = False


class Access(Protocol):
    """The catalog, opened for as long as a `with` block runs."""

    def reading(self) -> AbstractContextManager[CatalogReader]:
        """As it is now."""

    def writing(self) -> AbstractContextManager[Catalog]:
        """For its one writer; waits for another."""


@dataclass(slots=True)
class Reembedding:
    """The chosen pair at work on the photos that it lacks; `index` makes its index over what the catalog names."""

    access: Access
    pair_id: int
    pair: Pair
    observer: Observer
    originals: Originals
    decode: Callable[[bytes], DecodedPhoto]
    index: Callable[[Catalog], VectorIndex]
    seal_at: int
    workers: int
    after: int = 0
    """The id of the last photo that was looked at."""
    failed: set[int] = field(default_factory=set)

    def turn(self, most: int, report: Report, watcher: Watcher) -> bool:
        """Embed at most so many photos, for a few seconds; False where no photo is left.

        Raises:
            ArchiveError: another pair was chosen meanwhile.
        """
        with self.access.reading() as reader:
            photos = list(islice(reader.photos_without_pack(self.pair_id, self.after), min(most, TURN_PHOTOS)))
        if not photos:
            return False
        began = monotonic()
        seen = list(self._look(photos, report, watcher))
        with self.access.writing() as catalog, catalog.alone():
            self._keep(catalog, seen)
        report.embedded += len(seen)
        report.seconds += monotonic() - began
        for _ in seen:
            watcher.step()
        return True

    def finish(self, report: Report) -> bool:
        """Let the pair answer, unless too many originals cannot be read; False where something new came meanwhile.

        Raises:
            ArchiveError: another pair was chosen meanwhile.
        """
        self._look_at_taught_pictures()
        with self.access.writing() as catalog, catalog.alone():
            self._refuse_superseded(catalog)
            report.pending = catalog.pending(self.pair_id)
            new = (photo for photo in catalog.photos_without_pack(self.pair_id) if photo.id not in self.failed)
            if next(new, None) is not None or catalog.exemplars_without_vector(self.pair.space):
                self.after = 0
                return False
            answering = catalog.answering()
            report.answers = answering is not None and answering[0] == self.pair_id
            if not report.answers and may_answer(catalog.photo_count(), report.pending):
                shelving.shelve(catalog, self.index(catalog), self.pair_id, self.seal_at)
                catalog.set_answering(self.pair_id)
                report.answers = report.switched = True
        return True

    def _look(self, photos: Sequence[Photo], report: Report, watcher: Watcher) -> Iterator[tuple[Photo, Pack]]:
        def fail(photo: Photo, reason: str) -> None:
            if photo.id not in self.failed:
                self.failed.add(photo.id)
                report.failed.append((photo, reason))
                watcher.step()

        def until(deadline: float) -> Iterator[Photo]:
            for photo in photos:
                if monotonic() > deadline:
                    return
                self.after = photo.id
                yield photo

        pixels = reread(until(monotonic() + TURN_SECONDS), self.originals, self.decode, fail)
        for one, pack in self.observer.observe_all(pixels, self.workers):
            yield one.photo, replace(pack, photo_id=one.photo.id)

    def _keep(self, catalog: Catalog, seen: Sequence[tuple[Photo, Pack]]) -> None:
        self._refuse_superseded(catalog)
        ids = [photo.id for photo, _ in seen]
        stored, done = catalog.photos(ids), catalog.packs_of(self.pair_id, ids)
        for photo, pack in seen:
            is_there = photo.id in stored and stored[photo.id].digest == photo.digest
            if is_there and photo.id not in done:
                catalog.add_pack(pack, self.pair_id)
        shelving.shelve(catalog, self.index(catalog), self.pair_id, self.seal_at)

    def _look_at_taught_pictures(self) -> None:
        """What was taught must be known in the new space before anybody asks in it."""
        with self.access.reading() as reader:
            missing = reader.exemplars_without_vector(self.pair.space)
        looking = Looking(self.observer.embedder, self.observer.context)
        vectors = [(number, looking.vector(self.decode(jpeg).pixels, box)) for number, jpeg, box in missing]
        if not vectors:
            return
        with self.access.writing() as catalog:
            still = {number for number, _, _ in catalog.exemplars_without_vector(self.pair.space)}
            for number, vector in vectors:
                if number in still:
                    catalog.add_exemplar_vector(number, self.pair.space, vector)

    def _refuse_superseded(self, catalog: Catalog) -> None:
        wanted = catalog.wanted()
        if wanted is not None and wanted[0] != self.pair_id:
            raise ArchiveError("another pair was chosen meanwhile; run: archive reembed")
