"""Ingest: photos in; originals, segments and vectors out.

Each photo is one transaction, so any moment is a good one to be interrupted: what was acknowledged is kept, and the
next run goes on from there.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from archive import shelving
from archive.arrivals import Arrival
from archive.catalog.writer import NewPhoto
from archive.errors import ArchiveError, PhotoError, SourceVanished, UsageError
from archive.photos import quality
from archive.photos.capture_time import capture_time
from archive.photos.cards import FoundFile, find, is_gone
from archive.photos.names import printable
from archive.photos.reading import digest_of, read_file
from archive.room import require_room
from archive.types import Mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from archive.arrivals import Arrivals
    from archive.catalog.writer import Catalog
    from archive.observation import Observer
    from archive.originals import Originals
    from archive.photos.quality import Glance
    from archive.photos.reading import DecodedPhoto, FileContent
    from archive.protocols import VectorIndex
    from archive.types import Pack, Pixels

    Decode: TypeAlias = Callable[[bytes], DecodedPhoto]


SHELVE_EVERY = 1000
"""New photos after which the index is brought up to date, so that a query during a long ingest stays fast."""


Standing: TypeAlias = Literal["new", "known", "forgotten"]
"""What a photo is to the archive before it is taken in; a forgotten one is left where it is."""

MISNAMED = "is not the photo that its name says; `archive repair` sets it aside"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not become a photo, and why. It was left as it was."""

    path: Path
    reason: str


@dataclass(slots=True)
class Report:
    """What an ingest did; on a dry run, what it would do."""

    new: int = 0
    known: int = 0
    forgotten: int = 0
    marked: Counter[Mark] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def files(self) -> int:
        """All files that were looked at."""
        return self.new + self.known + self.forgotten + len(self.unreadable)


class Look:
    """Looks at each photo that is kept, and remembers the one before it, to tell a near duplicate."""

    def __init__(self) -> None:
        self._before: Glance | None = None

    def marks(self, photo: DecodedPhoto) -> tuple[Mark, ...]:
        """What may keep this photo from showing a thing."""
        marks = quality.marks_of(photo.pixels)
        if photo.damage is not None:
            marks.insert(0, Mark.DAMAGED)
        glance = quality.glance(photo.pixels)
        if self._before is not None and quality.is_near_duplicate(glance, self._before):
            return (*marks, Mark.DUPLICATE)
        self._before = glance  # of a run of duplicates the first is compared with, so that slow change is seen
        return tuple(marks)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where photos go: the archive's home, its catalog, originals and index, and the pair that observes them.

    `workers` photos are observed side by side; the index is sealed where `seal_at` vectors lie outside its shards.
    With `even_forgotten`, a photo that was forgotten and is still on the card is taken in again.
    """

    home: Path
    catalog: Catalog
    originals: Originals
    arrivals: Arrivals
    observer: Observer
    pair_id: int
    decode: Decode
    index: VectorIndex
    seal_at: int
    workers: int
    even_forgotten: bool = False
    look: Look = field(default_factory=Look)

    def leaves_out(self, digest: str) -> bool:
        """Whether a photo of that sha256 in hex is to stay on its card because it was forgotten."""
        return not self.even_forgotten and self.catalog.is_forgotten(digest)


@dataclass(frozen=True, slots=True)
class Source:
    """A card, folder or file, and the device that it was on when the run began."""

    path: Path
    device: int

    @classmethod
    def at(cls, path: Path) -> Source:
        """The source as it is now.

        Raises:
            UsageError: there is nothing at the path.
        """
        try:
            return cls(path, path.stat().st_dev)
        except OSError as error:
            raise UsageError(f"{printable(os.fsencode(path))} cannot be read: {error.strerror}") from error


class Watcher(Protocol):
    """Is told how a run goes, so that somebody can look at it."""

    def begin(self, files: int) -> None:
        """The run has found so many files."""
        ...

    def step(self) -> None:
        """One more file is done."""
        ...


def ingest(path: Path, destination: Destination, report: Report, watcher: Watcher) -> None:
    """Take in every photo of a card, a folder or a single file.

    Unreadable files are named in `report` and never end the run. The report grows as the run goes, so that an
    interrupted run can still be summed up.

    Raises:
        UsageError: there is nothing at the path.
        ArchiveError: the photos cannot fit on the archive's disk; nothing was begun.
        SourceVanished: the card went away; what came before is in.
    """
    source, files = _files(path, destination.home, report)
    require_room(files, destination.home, lambda file, size: destination.catalog.is_known_at(file.relative, size))
    watcher.begin(len(files))
    _take_in(_candidates(files, source, destination, report, watcher), destination, report, watcher)


def adopt(destination: Destination, report: Report, watcher: Watcher) -> None:
    """Finish what an interrupted run left: originals that are on disk but have no row yet.

    Their names on the card are those that the run wrote down before it kept them.
    """
    catalog, source = destination.catalog, Source.at(destination.home)
    orphans = [(digest, path) for digest, path in destination.originals.stored() if catalog.photo_id(digest) is None]
    watcher.begin(len(orphans))
    known = destination.arrivals.all()
    files = []
    for digest, path in orphans:
        if digest == destination.originals.digest_at(path):
            files.append(FoundFile(path, known[digest].path if digest in known else os.fsencode(path.name)))
        else:
            report.unreadable.append(Unreadable(path, MISNAMED))
            watcher.step()
    _take_in(_candidates(files, source, destination, report, watcher), destination, report, watcher)


def rehearse(
    path: Path, home: Path, standing: Callable[[str], Standing], decode: Decode, report: Report, watcher: Watcher
) -> None:
    """Find out what `ingest` would do with each file, without writing anything."""
    source, files = _files(path, home, report)
    watcher.begin(len(files))
    met: set[str] = set()
    for file in files:
        try:
            found = _read(file, source)
            digest = digest_of(found.content)
            stands = "known" if digest in met else standing(digest)
            if stands == "new":
                decode(found.content)
        except PhotoError as error:
            report.unreadable.append(Unreadable(file.path, str(error)))
        else:
            if stands == "forgotten":
                report.forgotten += 1
            else:
                met.add(digest)
                report.known += stands == "known"
                report.new += stands == "new"
        watcher.step()


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A file whose photo is not in the catalog yet, decoded."""

    file: FoundFile
    found: FileContent
    digest: str
    photo: DecodedPhoto

    @property
    def pixels(self) -> Pixels:
        return self.photo.pixels


def _files(path: Path, home: Path, report: Report) -> tuple[Source, list[FoundFile]]:
    def note(place: Path, reason: str) -> None:
        report.unreadable.append(Unreadable(place, reason))

    source = Source.at(path)
    return source, list(find(path, exclude=home, on_error=note))


def _candidates(
    files: Iterable[FoundFile], source: Source, destination: Destination, report: Report, watcher: Watcher
) -> Iterator[_Candidate]:
    """The files that hold a new photo; known and unreadable ones are settled on the way."""
    for file in files:
        try:
            found = _read(file, source)
            digest = digest_of(found.content)
            known = destination.catalog.photo_id(digest)
            if known is None and not destination.leaves_out(digest):
                yield _Candidate(file, found, digest, destination.decode(found.content))
                continue
        except PhotoError as error:
            report.unreadable.append(Unreadable(file.path, str(error)))
        else:
            if known is None:
                report.forgotten += 1
            else:
                _found_again(known, digest, file, found, destination, report)
        watcher.step()


def _read(file: FoundFile, source: Source) -> FileContent:
    try:
        return read_file(file.path)
    except (PhotoError, OSError) as error:
        if is_gone(source.path, source.device):
            place = printable(os.fsencode(source.path))
            message = f"{place} went away while it was read; connect it and run the same command again"
            raise SourceVanished(message) from error
        if isinstance(error, PhotoError):
            raise
        raise PhotoError(error.strerror or type(error).__name__) from error


def _take_in(candidates: Iterable[_Candidate], destination: Destination, report: Report, watcher: Watcher) -> None:
    for candidate, pack in destination.observer.observe_all(candidates, destination.workers):
        _keep(candidate, pack, destination, report)
        watcher.step()
        if report.new and report.new % SHELVE_EVERY == 0:
            with suppress(
                ArchiveError
            ):  # the card goes first; what keeps the index from being written is said at the end
                _shelve(destination)
    destination.arrivals.keep(lambda digest: _is_waiting(digest, destination))
    _shelve(destination)


def _is_waiting(digest: str, destination: Destination) -> bool:
    return destination.catalog.photo_id(digest) is None and bool(destination.originals.named(digest))


def _keep(candidate: _Candidate, pack: Pack, destination: Destination, report: Report) -> None:
    catalog, file, found = destination.catalog, candidate.file, candidate.found
    known = catalog.photo_id(candidate.digest)
    if known is not None:
        # A copy of it stood a few files before, and was not in yet when this one was read.
        _found_again(known, candidate.digest, file, found, destination, report)
        return
    photo = candidate.photo
    # The original is durable before any row speaks of it; a crash in between leaves a file that the next run adopts.
    destination.arrivals.note(Arrival(candidate.digest, file.relative, found.modified))
    destination.originals.put(found.content, candidate.digest, photo.suffix, found.modified)
    height, width = photo.pixels.shape[:2]
    new = NewPhoto(
        digest=candidate.digest,
        suffix=photo.suffix,
        size=len(found.content),
        capture=capture_time(photo.exif, os.fsdecode(file.name), found.modified, datetime.now(UTC)),
        camera=photo.camera,
        width=width,
        height=height,
        name=file.name,
        path=file.relative,
        modified=found.modified,
        marks=destination.look.marks(photo),
    )
    catalog.add_photo(new, destination.pair_id, pack)
    report.marked.update(new.marks)
    report.new += 1


def _found_again(
    photo_id: int, digest: str, file: FoundFile, found: FileContent, destination: Destination, report: Report
) -> None:
    """Remember where a known photo stands too; if its original is gone or cut short, here are its bytes."""
    catalog, originals = destination.catalog, destination.originals
    suffix = catalog.photos([photo_id])[photo_id].suffix
    original = originals.path(digest, suffix)
    if not original.is_file() or original.stat().st_size != len(found.content):
        originals.put(found.content, digest, suffix, found.modified)
    catalog.add_source(photo_id, file.name, file.relative, found.modified)
    report.known += 1


def _shelve(destination: Destination) -> None:
    shelving.shelve(destination.catalog, destination.index, destination.pair_id, destination.seal_at)
