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
from typing import TYPE_CHECKING, Protocol, TypeAlias

from archive import shelving
from archive.arrivals import Arrival
from archive.catalog.new_photo import NewPhoto, PhotoIsKnown
from archive.errors import ArchiveError, PhotoError, SourceVanished, UsageError
from archive.photos.camera_card import Condition, examine
from archive.photos.cards import FoundFile, find, is_gone
from archive.photos.names import printable
from archive.photos.quality import Look
from archive.photos.reading import digest_of, read_file
from archive.provenance import Card, Provenance, SessionAudit, count
from archive.room import require_room
from archive.timekeeping import Timekeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from archive.arrivals import Arrivals
    from archive.catalog.writer import Catalog
    from archive.originals import Originals
    from archive.photos.reading import DecodedPhoto, FileContent
    from archive.protocols import Executor, VectorIndex
    from archive.provenance import Start, Trace
    from archive.sessions import SessionKey
    from archive.types import Mark, Pack, Pixels

    Decode: TypeAlias = Callable[[bytes], DecodedPhoto]


SHELVE_EVERY = 1000
"""New photos after which the index is brought up to date, so that a query during a long ingest stays fast."""


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
    damaged: list[Path] = field(default_factory=list)
    """Photos of the wearable that are in, and marked, although their bytes are not what the sensor gave."""
    unfinished: list[Path] = field(default_factory=list)
    """Files of the wearable that never became a photo, since it lost power."""
    sessions: list[SessionAudit] = field(default_factory=list)
    retimed: int = 0
    """Photos that were in already and whose time is known better now."""
    clocks: int = 0
    """Photos that show a clock, from which their session's time was learned."""

    @property
    def files(self) -> int:
        """All files that were looked at."""
        return self.new + self.known + self.forgotten + len(self.unreadable) + len(self.unfinished)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where photos go: the archive's home, its catalog, originals and index, and the pair that observes them.

    The executor says where they are observed; the index is sealed where `seal_at` vectors lie outside its shards.
    With `even_forgotten`, a photo that was forgotten and is still on the card is taken in again.
    """

    home: Path
    catalog: Catalog
    originals: Originals
    arrivals: Arrivals
    executor: Executor
    pair_id: int
    decode: Decode
    index: VectorIndex
    seal_at: int
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


class Known(Protocol):
    """What the archive holds already."""

    def photo(self, digest: str) -> bool:
        """Whether the photo of that sha256 in hex is in."""
        ...

    def forgotten(self, digest: str) -> bool:
        """Whether the photo of that sha256 in hex was forgotten, and is to stay out."""
        ...

    def numbers(self, key: SessionKey) -> set[int]:
        """The numbers of a session's photos that are in."""
        ...


class Watcher(Protocol):
    """Is told how a run goes, so that somebody can look at it."""

    def begin(self, files: int) -> None:
        """The run has found so many files."""
        ...

    def step(self) -> None:
        """One more file is done."""
        ...


def ingest(
    path: Path, destination: Destination, report: Report, watcher: Watcher, starts: Sequence[Start] = ()
) -> None:
    """Take in every photo of a card, a folder or a single file. `starts` say when sessions of the wearable began.

    Unreadable files are named in `report` and never end the run. The report grows as the run goes, so that an
    interrupted run can still be summed up.

    Raises:
        UsageError: there is nothing at the path, or a start that cannot be.
        ArchiveError: the photos cannot fit on the archive's disk; nothing was begun.
        SourceVanished: the card went away; what came before is in.
    """
    source, files = _files(path, destination.home, report)
    require_room(files, destination.home, lambda file, size: destination.catalog.is_known_at(file.relative, size))
    watcher.begin(len(files))
    keeper = Timekeeper(destination.catalog)
    provenance = Provenance(Card(path, files, _noting(report)), keeper, datetime.now(UTC), starts)
    _take_in(_Walk(source, destination, provenance, report, watcher), files)
    report.sessions += provenance.audit(destination.catalog.session_numbers)
    report.retimed += keeper.retimed


def adopt(destination: Destination, report: Report, watcher: Watcher, starts: Sequence[Start] = ()) -> None:
    """Finish what an interrupted run left: originals that are on disk but have no row yet.

    Their names on the card are those that the run wrote down before it kept them; capture time comes from the
    wearable's own note, from EXIF, from such a name, or from the modification time that the copy kept. `starts` say
    when sessions began that are in already.
    """
    catalog, source = destination.catalog, Source.at(destination.home)
    noted = destination.arrivals.all()
    left = destination.originals.adoptable(noted)
    unheld = ((digest, path, noted.get(digest)) for digest, path in left if not catalog.is_held(digest))
    # What another wearer's run left is his.
    orphans = [(digest, path) for digest, path, one in unheld if (one.wearer if one else 0) == catalog.wearer]
    watcher.begin(len(orphans))
    files = []
    for digest, path in orphans:
        if digest == destination.originals.digest_at(path):
            files.append(FoundFile(path, noted[digest].path if digest in noted else os.fsencode(path.name)))
        else:
            report.unreadable.append(Unreadable(path, MISNAMED))
            watcher.step()
    keeper = Timekeeper(destination.catalog)
    provenance = Provenance(Card(destination.home, (), _noting(report)), keeper, datetime.now(UTC), starts)
    _take_in(_Walk(source, destination, provenance, report, watcher), files)
    report.retimed += keeper.retimed


def rehearse(path: Path, home: Path, known: Known, decode: Decode, report: Report, watcher: Watcher) -> None:
    """Find out what `ingest` would do with each file, without writing anything."""
    source, files = _files(path, home, report)
    watcher.begin(len(files))
    card = Card(path, files, _noting(report))
    met: set[str] = set()
    for file in files:
        try:
            found = _read(file, source)
            digest = digest_of(found.content)
            is_known = digest in met or known.photo(digest)
            is_forgotten = not is_known and known.forgotten(digest)
            if not is_known and not is_forgotten:
                decode(found.content)
                if examine(found.content)[0] is Condition.DAMAGED:
                    report.damaged.append(file.path)
        except PhotoError as error:
            _give_up(file, error, card, report)
        else:
            met.update(() if is_forgotten else (digest,))
            report.known += is_known
            report.forgotten += is_forgotten
            report.new += not is_known and not is_forgotten
        watcher.step()
    report.sessions += [SessionAudit(*counted) for counted in count(card.sessions, known.numbers)]


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A file whose photo is not in the catalog yet, decoded."""

    file: FoundFile
    found: FileContent
    digest: str
    photo: DecodedPhoto
    trace: Trace | None

    @property
    def content(self) -> bytes:
        return self.found.content

    @property
    def pixels(self) -> Pixels:
        return self.photo.pixels


@dataclass(frozen=True, slots=True)
class _Walk:
    """One source on its way in."""

    source: Source
    destination: Destination
    provenance: Provenance
    report: Report
    watcher: Watcher


def _noting(report: Report) -> Callable[[Path, str], None]:
    def note(place: Path, reason: str) -> None:
        report.unreadable.append(Unreadable(place, reason))

    return note


def _files(path: Path, home: Path, report: Report) -> tuple[Source, list[FoundFile]]:
    source = Source.at(path)
    return source, list(find(path, exclude=home, on_error=_noting(report)))


def _candidates(files: Iterable[FoundFile], walk: _Walk) -> Iterator[_Candidate]:
    """The files that hold a new photo; known and unreadable ones are settled on the way."""
    for file in files:
        try:
            found = _read(file, walk.source)
            digest = digest_of(found.content)
            known = walk.destination.catalog.photo_id(digest)
            is_forgotten = known is None and walk.destination.leaves_out(digest)
            trace = None if is_forgotten else walk.provenance.trace(file, found.content)
            if known is None and not is_forgotten:
                photo = walk.destination.decode(found.content)
                walk.report.clocks += trace is not None and walk.provenance.look_for_clock(trace, photo.pixels)
                yield _Candidate(file, found, digest, photo, trace)
                continue
        except PhotoError as error:
            _give_up(file, error, walk.provenance.card, walk.report)
        else:
            if known is None:
                walk.report.forgotten += 1
            else:
                _found_again(known, digest, file, found, trace, walk)
        walk.watcher.step()


def _give_up(file: FoundFile, error: PhotoError, card: Card, report: Report) -> None:
    if card.is_unfinished(file.path):
        report.unfinished.append(file.path)
    else:
        report.unreadable.append(Unreadable(file.path, str(error)))


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


def _take_in(walk: _Walk, files: Iterable[FoundFile]) -> None:
    destination, report = walk.destination, walk.report
    for candidate, pack in destination.executor.observe_all(_candidates(files, walk)):
        if isinstance(pack, PhotoError):
            _give_up(candidate.file, pack, walk.provenance.card, report)
        else:
            _keep(candidate, pack, walk)
        walk.watcher.step()
        if report.new and report.new % SHELVE_EVERY == 0:
            with suppress(
                ArchiveError
            ):  # the card goes first; what keeps the index from being written is said at the end
                _shelve(destination)
    destination.arrivals.keep(lambda digest: _is_waiting(digest, destination))
    _shelve(destination)


def _is_waiting(digest: str, destination: Destination) -> bool:
    return not destination.catalog.is_held(digest) and destination.originals.is_there(digest)


def _keep(candidate: _Candidate, pack: Pack, walk: _Walk) -> None:
    catalog, file, found, trace = walk.destination.catalog, candidate.file, candidate.found, candidate.trace
    known = catalog.photo_id(candidate.digest)
    if known is not None:
        # A copy of it stood a few files before, and was not in yet when this one was read.
        _found_again(known, candidate.digest, file, found, trace, walk)
        return
    photo = candidate.photo
    # The original is durable before any row speaks of it; a crash in between leaves a file that the next run adopts.
    walk.destination.arrivals.note(Arrival(candidate.digest, file.relative, found.modified, catalog.wearer))
    walk.destination.originals.put(found.content, candidate.digest, photo.suffix, found.modified)
    height, width = photo.pixels.shape[:2]
    new = NewPhoto(
        digest=candidate.digest,
        suffix=photo.suffix,
        size=len(found.content),
        capture=walk.provenance.capture(trace, file, found, photo),
        camera=photo.camera,
        width=width,
        height=height,
        name=file.name,
        path=file.relative,
        modified=found.modified,
        place=walk.provenance.place(trace) if trace else None,
        condition=trace.condition.value if trace else None,
        marks=walk.destination.look.marks(photo.pixels, damaged=photo.damage is not None),
    )
    try:
        catalog.add_photo(new, walk.destination.pair_id, pack)
    except PhotoIsKnown as there:
        _found_again(there.photo_id, candidate.digest, file, found, trace, walk)
        return
    if catalog.is_shared:  # another machine may have erased the same file, another wearer's, before the row was in
        walk.destination.originals.ensure(found.content, candidate.digest, photo.suffix, found.modified)
    walk.report.marked.update(new.marks)
    walk.report.new += 1
    if trace and trace.condition is Condition.DAMAGED:
        walk.report.damaged.append(file.path)


def _found_again(
    photo_id: int, digest: str, file: FoundFile, found: FileContent, trace: Trace | None, walk: _Walk
) -> None:
    """Remember where a known photo stands too; if its original is gone or cut short, here are its bytes."""
    catalog, originals = walk.destination.catalog, walk.destination.originals
    suffix = catalog.photos([photo_id])[photo_id].suffix
    originals.ensure(found.content, digest, suffix, found.modified)
    catalog.add_source(photo_id, file.name, file.relative, found.modified)
    if trace and not catalog.is_placed(photo_id):
        place, capture = walk.provenance.place(trace), walk.provenance.session_time(trace)
        catalog.place_photo(photo_id, place, capture, trace.condition.value)
        walk.report.retimed += 1
    walk.report.known += 1


def _shelve(destination: Destination) -> None:
    with destination.catalog.alone():
        shelving.shelve(destination.catalog, destination.index, destination.pair_id, destination.seal_at)
