"""Provenance: what photos of the wearable tell besides their pixels, by themselves and by the card that they lie on.

A photo's own note says which photo of which session it is and when, on the session's clock; its digest says whether
it is still what the sensor gave. The card's journals add what there should be, and when the clock was learned.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive.errors import UsageError
from archive.photos import camera_card, clock_code
from archive.photos.camera_card import Condition
from archive.photos.capture_time import capture_time
from archive.sessions import Anchor, AnchorSource, Session, SessionKey, shortest_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from archive.photos.camera_card import CardPhoto, CardSession, Note
    from archive.photos.cards import FoundFile
    from archive.photos.reading import DecodedPhoto, FileContent
    from archive.sessions import SessionPlace
    from archive.timekeeping import Timekeeper
    from archive.types import CaptureTime, Pixels

TYPED_ERROR_MS = 120_000
"""How far a person may be off who says when the camera was switched on."""

CODE_EVERY_MS = 600_000
"""Photos are searched for a clock again after so long: one that lies in view all day need not be read all day."""


@dataclass(frozen=True, slots=True)
class Start:
    """When a person says that a session began; `number` is None for the only one that it can be."""

    number: int | None
    utc_ms: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Which photo of which session a file is, and what became of it."""

    key: SessionKey
    number: int
    mono_ms: int | None
    offset_minutes: int | None
    condition: Condition


@dataclass(frozen=True, slots=True)
class SessionAudit:
    """What should be there of a session, and what is: `missing` are numbers neither on the card nor in the archive.

    `stored` of its `shot` photos are in. `first` and `last` are when it began and ended, and `error_ms` is the most by
    which any moment between them may be wrong; None where that is not known, and on a dry run.
    """

    key: SessionKey
    shot: int
    stored: int
    missing: tuple[int, ...]
    first: datetime | None = None
    last: datetime | None = None
    error_ms: int | None = None


class Card:
    """The sessions of the cards that a walk found files of, or none; `files` are what the walk found below `source`.

    Journals and folders that cannot be read are reported to `on_error` with the reason.
    """

    def __init__(self, source: Path, files: Iterable[FoundFile], on_error: Callable[[Path, str], None]) -> None:
        self._source = source
        is_folder = source.is_dir()
        roots = {root for file in files if is_folder and (root := camera_card.root_of(file.path))}
        if source.is_dir() and camera_card.is_card(source):
            roots.add(source)
        self.sessions = [session for root in sorted(roots) for session in camera_card.read(root, on_error)]
        self._places = {photo.path: (session, photo) for session in self.sessions for photo in session.photos}

    def find(self, path: Path) -> tuple[CardSession, CardPhoto] | None:
        """The session and the photo that a file of the card is."""
        return self._places.get(path)

    def is_unfinished(self, path: Path) -> bool:
        """Whether a file that is no photo never became one: the camera lost power before it could note it down."""
        found = self._places.get(path)
        return found is not None and found[1].is_empty and found[1].number not in found[0].journal.announced

    def is_old(self, path: Path) -> bool:
        """Whether a file is of a card of the first sketch, whose names count local seconds."""
        return camera_card.is_old_photo(path, self._source)


class Provenance:
    """Places and times the photos of one source, as they are read. Sessions of its card are known from the start."""

    def __init__(self, card: Card, keeper: Timekeeper, now: datetime, starts: Sequence[Start] = ()) -> None:
        self.card = card
        self._keeper = keeper
        self._now = now
        self._now_ms = int(now.timestamp() * 1000)
        keeper.learn(session.as_known(self._now_ms) for session in card.sessions if session.key.device)
        for start in starts:
            self._begin(start)

    def trace(self, file: FoundFile, content: bytes) -> Trace | None:
        """Which photo of the wearable the file is; None for any other photo."""
        condition, note = camera_card.examine(content)
        found = self.card.find(file.path)
        if found is None or (note and note.session != found[0].key and condition is Condition.WHOLE):
            return self._by_note(note, condition) if note else None
        session, photo = found
        if not session.key.device:
            return None
        offset = note.offset_minutes if note else None
        return Trace(session.key, photo.number, session.mono_of(photo), offset, condition)

    def look_for_clock(self, trace: Trace, pixels: Pixels) -> bool:
        """Learn the time from a clock that the photo shows; whether it shows a believable one."""
        mono_ms = trace.mono_ms
        if mono_ms is None or self._read_lately(trace.key, mono_ms):
            return False
        shown = clock_code.read(pixels)
        return shown is not None and self._keeper.anchor(
            trace.key, Anchor(mono_ms, shown.utc_ms, shown.error_ms, AnchorSource.CODE)
        )

    def place(self, trace: Trace) -> SessionPlace:
        """Where the photo stands, as the catalog keeps it."""
        return self._keeper.place(trace.key, trace.number, trace.mono_ms)

    def session_time(self, trace: Trace) -> CaptureTime:
        """When the photo was taken, by its session's clock and by that alone: file times of a card prove nothing."""
        return self._keeper.moment(trace.key, trace.mono_ms).capture_time(trace.offset_minutes)

    def capture(self, trace: Trace | None, file: FoundFile, found: FileContent, photo: DecodedPhoto) -> CaptureTime:
        """When a photo was taken, by the best that is known of it."""
        if trace is not None:
            return self.session_time(trace)
        if self.card.is_old(file.path) and not photo.exif:
            return camera_card.old_capture_time(file.path)
        return capture_time(photo.exif, os.fsdecode(file.name), found.modified, self._now)

    def audit(self, numbers: Callable[[SessionKey], set[int]]) -> list[SessionAudit]:
        """What became of each session of the card; `numbers` are those of a session's photos that are in."""
        counted = count(self.card.sessions, numbers)
        return [
            SessionAudit(*counts, *self._span(session))
            for session, counts in zip(self.card.sessions, counted, strict=True)
        ]

    def _span(self, session: CardSession) -> tuple[datetime | None, datetime | None, int | None]:
        """When a session began and ended, and by how much a moment of it may be wrong at the most."""
        noted = {*session.journal.announced.values(), *map(session.mono_of, session.photos)} - {None}
        times = [self._keeper.moment(session.key, mono).capture_time() for mono in (0, *noted, session.last_mono_ms)]
        errors = [time.error_ms for time in times if time.error_ms is not None]
        known = len(errors) == len(times)
        return times[0].at, times[-1].at, max(errors) if known else None

    def _by_note(self, note: Note, condition: Condition) -> Trace:
        """A photo of the wearable away from its card: its own note tells of its session."""
        keeper, anchors = self._keeper, (note.anchor,) if note.anchor else ()
        if not keeper.is_known(note.session):
            before = self._now_ms - shortest_ms(note.mono_ms)
            session = Session(note.session, last_mono_ms=note.mono_ms, anchors=anchors, begun_before_ms=before)
            keeper.learn([session])
        elif note.anchor and note.anchor.mono_ms not in {anchor.mono_ms for anchor in keeper.anchors(note.session)}:
            keeper.anchor(note.session, note.anchor)
        return Trace(note.session, note.number, note.mono_ms, note.offset_minutes, condition)

    def _read_lately(self, key: SessionKey, mono_ms: int) -> bool:
        return any(
            anchor.source is AnchorSource.CODE and abs(anchor.mono_ms - mono_ms) < CODE_EVERY_MS
            for anchor in self._keeper.anchors(key)
        )

    def _begin(self, start: Start) -> None:
        key, anchor = self._meant(start.number), Anchor(0, start.utc_ms, TYPED_ERROR_MS, AnchorSource.TYPED)
        if not self._keeper.fits(key, anchor):
            raise UsageError(
                f"session {key.number} cannot have begun then: its card, or a better clock, says otherwise; "
                "see what is known with `archive ingest SOURCE --json`"
            )
        self._keeper.anchor(key, anchor)

    def _meant(self, number: int | None) -> SessionKey:
        """The session that a person means by its number, or without one.

        Raises:
            UsageError: none, or more than one, can be meant.
        """
        on_card = [session.key for session in self.card.sessions if session.key.device]
        if number is None:
            found = [key for key in on_card if not _told_by_clock(self._keeper.anchors(key))]
        else:
            found = [key for key in on_card if key.number == number] or self._keeper.named(number)
        if len(found) == 1:
            return found[0]
        numbers = ", ".join(str(key.number) for key in found or on_card) or "none"
        raise UsageError(f"say which session began then, as in --starts 7=08:10; those that it can be: {numbers}")


def count(
    sessions: Iterable[CardSession], numbers: Callable[[SessionKey], set[int]]
) -> list[tuple[SessionKey, int, int, tuple[int, ...]]]:
    """Of each session: its key, how many photos it shot, how many are in, and which numbers are nowhere."""
    counted = []
    for session in sessions:
        stored = numbers(session.key)
        missing = tuple(number for number in session.missing if number not in stored)
        begun = [photo for photo in session.photos if photo.note or photo.number in session.journal.announced]
        counted.append((session.key, len(begun) + len(session.missing), len(stored), missing))
    return counted


def _told_by_clock(anchors: Iterable[Anchor]) -> bool:
    return any(anchor.source is not AnchorSource.TYPED for anchor in anchors)
