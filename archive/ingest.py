"""Ingest: photos in; originals, segments and vectors out.

Each photo is one transaction, so any moment is a good one to be interrupted: what was acknowledged is kept, and the
next run goes on from there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from archive import shelving
from archive.catalog.writer import NewPhoto
from archive.errors import PhotoError, SourceVanished, UsageError
from archive.photos.capture_time import capture_time
from archive.photos.cards import FoundFile, find, is_gone
from archive.photos.names import printable
from archive.photos.reading import decode, digest_of, read_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archive.catalog.writer import Catalog
    from archive.observation import Observer
    from archive.originals import Originals
    from archive.photos.reading import FileContent
    from archive.protocols import VectorIndex


SHELVE_EVERY = 1000
"""New photos after which the index is brought up to date, so that a query during a long ingest stays fast."""


class Outcome(StrEnum):
    """What became of one file."""

    NEW = "new"
    KNOWN = "known"
    UNREADABLE = "unreadable"


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
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def files(self) -> int:
        """All files that were looked at."""
        return self.new + self.known + len(self.unreadable)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where photos go: the archive's home, its catalog, originals and index, and the pair that observes them."""

    home: Path
    catalog: Catalog
    originals: Originals
    observer: Observer
    pair_id: int
    index: VectorIndex
    seal_at: int


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

    def step(self, outcome: Outcome) -> None:
        """One more file is done."""
        ...


def ingest(path: Path, destination: Destination, report: Report, watcher: Watcher) -> None:
    """Take in every photo of a card, a folder or a single file.

    Unreadable files are named in `report` and never end the run. The report grows as the run goes, so that an
    interrupted run can still be summed up.

    Raises:
        UsageError: there is nothing at the path.
        SourceVanished: the card went away; what came before is in.
    """

    def take_in(file: FoundFile, found: FileContent) -> Outcome:
        outcome = _take_in(file, found, destination)
        if outcome is Outcome.NEW and report.new % SHELVE_EVERY == SHELVE_EVERY - 1:
            _shelve(destination)
        return outcome

    _each_file(path, destination.home, take_in, report, watcher)
    _shelve(destination)


def rehearse(path: Path, home: Path, is_known: Callable[[str], bool], report: Report, watcher: Watcher) -> None:
    """Find out what `ingest` would do with each file, without writing anything."""
    met: set[str] = set()

    def judge(_file: FoundFile, found: FileContent) -> Outcome:
        digest = digest_of(found.content)
        if digest in met or is_known(digest):
            return Outcome.KNOWN
        decode(found.content)
        met.add(digest)
        return Outcome.NEW

    _each_file(path, home, judge, report, watcher)


def adopt(destination: Destination, report: Report, watcher: Watcher) -> None:
    """Finish what an interrupted run left: originals that are on disk but have no row yet.

    Their names on the card are lost; capture time comes from EXIF or the modification time that the copy kept.
    """
    catalog = destination.catalog
    orphans = [path for digest, path in destination.originals.stored() if catalog.photo_id(digest) is None]
    watcher.begin(len(orphans))
    for path in orphans:
        file = FoundFile(path, os.fsencode(path.name))
        source = Source.at(path.parent)
        watcher.step(_counted(file, source, report, lambda found, content: _take_in(found, content, destination)))
    _shelve(destination)


def _shelve(destination: Destination) -> None:
    shelving.shelve(destination.catalog, destination.index, destination.pair_id, destination.seal_at)


def _each_file(
    path: Path, home: Path, act: Callable[[FoundFile, FileContent], Outcome], report: Report, watcher: Watcher
) -> None:
    def note(place: Path, reason: str) -> None:
        report.unreadable.append(Unreadable(place, reason))

    source = Source.at(path)
    files = list(find(path, exclude=home, on_error=note))
    watcher.begin(len(files))
    for file in files:
        watcher.step(_counted(file, source, report, act))


def _counted(
    file: FoundFile, source: Source, report: Report, act: Callable[[FoundFile, FileContent], Outcome]
) -> Outcome:
    try:
        outcome = act(file, _read(file, source))
    except PhotoError as error:
        report.unreadable.append(Unreadable(file.path, str(error)))
        return Outcome.UNREADABLE
    if outcome is Outcome.NEW:
        report.new += 1
    else:
        report.known += 1
    return outcome


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


def _take_in(file: FoundFile, found: FileContent, destination: Destination) -> Outcome:
    catalog = destination.catalog
    digest = digest_of(found.content)
    known = catalog.photo_id(digest)
    if known is not None:
        catalog.add_source(known, os.fsencode(file.path.name), file.relative, found.modified)
        return Outcome.KNOWN
    photo = decode(found.content)
    # The original is durable before any row speaks of it; a crash in between leaves a file that the next run adopts.
    destination.originals.put(found.content, digest, photo.suffix, found.modified)
    pack = destination.observer.observe(photo.pixels)
    height, width = photo.pixels.shape[:2]
    new = NewPhoto(
        digest=digest,
        suffix=photo.suffix,
        size=len(found.content),
        capture=capture_time(photo.exif, file.path.name, found.modified, datetime.now(UTC)),
        camera=photo.camera,
        width=width,
        height=height,
        name=os.fsencode(file.path.name),
        path=file.relative,
        modified=found.modified,
    )
    catalog.add_photo(new, destination.pair_id, pack)
    return Outcome.NEW
