"""A card as the wearable's firmware leaves it: sessions, photos and their journal.

Contract `archive-cam/1`, drawn in `firmware/README.md`. Everything here only reads. A photo proves itself: its note
(EXIF UserComment) holds the length and the digest of the frame that the sensor gave. The journal adds which photos
there should be and when the clock was learned; without it photos are still read and placed in order.
`session_clock` tells their true time.
"""

from __future__ import annotations

import re
from binascii import crc32
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from archive.errors import SourceVanished
from archive.photos.cards import is_gone
from archive.sessions import Anchor, AnchorSource, Session, SessionKey, shortest_ms
from archive.types import CaptureSource, CaptureTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

NOTE_ERROR_MS = 2_000
"""The error of an anchor that only photos remember, where its journal line is lost."""

HEAD_BYTES = 2_048
"""Enough of a photo to hold its note."""

_SESSION = re.compile(r"S(\d{7})", re.IGNORECASE)
_PHOTO = re.compile(r"(\d{8})\.JPG", re.IGNORECASE)
_OLD_PHOTO = re.compile(r"(\d{1,10})\.jpe?g", re.IGNORECASE)
_NOTE = re.compile(
    rb"archive-cam/1 dev=([0-9a-f]{12}) ses=(\d+) rnd=([0-9a-f]{8}) seq=(\d+) mono=(\d+) "
    rb"clk=(none|ntp|usb) utc=(-|\d+) age=(-|-?\d+) tz=(-?\d+) len=(\d+) sha=([0-9a-f]{16}) "
)
_EARLIEST_OLD_NAME = 1_577_836_800  # 2020: the first boards kept counting from 1970 where nobody set their clock


@dataclass(frozen=True, slots=True)
class Note:
    """What a photo says about itself. `length` and `digest` (16 hex digits of sha256) are those of the bare frame."""

    session: SessionKey
    number: int
    mono_ms: int
    anchor: Anchor | None
    offset_minutes: int
    length: int
    digest: str


class Condition(StrEnum):
    """What became of a photo: as the sensor gave it, changed since, never finished, or not written by the firmware."""

    WHOLE = "whole"
    DAMAGED = "damaged"
    INCOMPLETE = "incomplete"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class CardPhoto:
    """A photo file of a session; `note` is None where its head cannot be read, or where it `is_empty`."""

    path: Path
    number: int
    note: Note | None
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A journal line that is neither a photo nor a time: E failure, V private, B millivolts, Z no photos."""

    kind: str
    mono_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Journal:
    """LOG.TXT, as far as its lines are whole; `announced` maps photo numbers to their mono time."""

    header: Mapping[str, str]
    announced: Mapping[int, int]
    anchors: tuple[Anchor, ...]
    events: tuple[Event, ...]
    bad_lines: int


@dataclass(frozen=True, slots=True)
class CardSession:
    """A session folder. `missing` are numbers without a file, announced by the journal or proved by a later photo."""

    key: SessionKey
    folder: Path
    photos: tuple[CardPhoto, ...]
    missing: tuple[int, ...]
    journal: Journal

    def mono_of(self, photo: CardPhoto) -> int | None:
        """When the shutter opened, on the session's clock; None where neither journal nor photo can say.

        The journal goes first: each of its lines has a checksum, and a photo's note has none.
        """
        if photo.number in self.journal.announced:
            return self.journal.announced[photo.number]
        return photo.note.mono_ms if photo.note and photo.note.session == self.key else None

    @property
    def last_mono_ms(self) -> int:
        """The latest moment that the session is known to have lived."""
        own = (mono_ms for photo in self.photos if (mono_ms := self.mono_of(photo)) is not None)
        return max(
            [*own, *self.journal.announced.values(), *(event.mono_ms for event in self.journal.events)], default=0
        )

    def as_known(self, read_ms: int) -> Session:
        """What a card that is read at `read_ms` (Unix milliseconds) tells of the session."""
        synced = self.journal.header.get("synced", "-")
        return Session(
            key=self.key,
            sleep=self.journal.header.get("sleep", "deep"),
            last_mono_ms=self.last_mono_ms,
            anchors=self.anchors,
            begun_after_ms=int(synced) if synced.isdigit() else None,
            begun_before_ms=read_ms - shortest_ms(self.last_mono_ms),
        )

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        """Every anchor of the card for this session, by mono time; the journal's own before what photos remember.

        A note has no checksum, so an anchor that photos remember counts where two agree, or where nothing else tells.
        """
        notes = (photo.note for photo in self.photos)
        told = Counter(note.anchor for note in notes if note and note.anchor and note.session == self.key)
        agreed = [anchor for anchor, photos in told.items() if photos > 1]
        remembered = agreed or (() if self.journal.anchors else told)
        return tuple(sorted({anchor.mono_ms: anchor for anchor in (*remembered, *self.journal.anchors)}.values()))


def is_card(root: Path) -> bool:
    """Whether the wearable's firmware has written to this card."""
    return next(_session_folders(root), None) is not None


def root_of(path: Path) -> Path | None:
    """The card that a file lies on, by its place alone: ROOT/ARCHIVE/S0000123/000/00000000.JPG."""
    if len(path.parents) < 4 or not _PHOTO.fullmatch(path.name) or not _SESSION.fullmatch(path.parents[1].name):
        return None
    return path.parents[3] if path.parents[2].name.upper() == "ARCHIVE" else None


def is_old_photo(path: Path, root: Path) -> bool:
    """Whether a file of the card at `root` is a photo of the first sketch: /Pictures/<seconds>.jpg."""
    folder = path.parent
    return folder.parent == root and folder.name.upper() == "PICTURES" and bool(_OLD_PHOTO.fullmatch(path.name))


def read(root: Path, on_error: Callable[[Path, str], None]) -> list[CardSession]:
    """Every session of a card, in the order of their numbers; reads journals and the heads of photos.

    What cannot be read is reported to `on_error` with the reason. A session without its journal is read all the same,
    and one whose folder cannot be listed is left out.

    Raises:
        SourceVanished: the card is there no longer.
    """
    sessions = []
    try:
        device = root.stat().st_dev
        folders = sorted(_session_folders(root))
    except OSError as error:
        raise _vanished(root, error) from error
    for number, folder in folders:
        try:
            sessions.append(_read_session(number, folder, on_error))
        except OSError as error:
            if is_gone(root, device):
                raise _vanished(root, error) from error
            on_error(folder, error.strerror or type(error).__name__)
    return sessions


def examine(content: bytes) -> tuple[Condition, Note | None]:
    """What became of a photo, from all its bytes."""
    found = _find_note(content)
    if found is None:
        begins_and_ends = content.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in content[-32:]
        return (Condition.FOREIGN if begins_and_ends else Condition.INCOMPLETE), None
    note, frame_at = found
    digest = sha256(content[:2])
    digest.update(memoryview(content)[frame_at:])
    same = len(content) - frame_at + 2 == note.length and digest.hexdigest().startswith(note.digest)
    return (Condition.WHOLE if same else Condition.DAMAGED), note


def frame_of(content: bytes) -> bytes:
    """The sensor's own bytes of a stored photo, without the block that the firmware put in; else all bytes."""
    found = _find_note(content)
    return content if found is None else content[:2] + content[found[1] :]


def old_capture_time(path: Path, zone: tzinfo | None = None) -> CaptureTime:
    """When a photo of the first sketch was taken: its name counts seconds of **local** time.

    That is the time of `zone`, by default this machine's own.
    """
    named = _OLD_PHOTO.fullmatch(path.name)
    if named is None or int(named[1]) < _EARLIEST_OLD_NAME:
        return CaptureTime(None, CaptureSource.UNKNOWN)
    local = datetime.fromtimestamp(int(named[1]), UTC).replace(tzinfo=zone)
    local = local if zone else local.astimezone()
    offset = local.utcoffset() or timedelta()
    return CaptureTime(local.astimezone(UTC), CaptureSource.NAME, int(offset.total_seconds()) // 60)


def sync_text(now: datetime, sync: str) -> bytes:
    """SYNC.TXT for a card that was ingested at `now` (aware, local): bounds of the sessions to come, and their zone."""
    offset = int((now.utcoffset() or timedelta()).total_seconds()) // 60
    return f"utc_ms={int(now.timestamp() * 1000)} tz_min={offset} sync={sync}\r\n".encode()


def folder_of(root: Path) -> Path | None:
    """The folder ARCHIVE of a card, None where it has none."""
    return _child(root, "ARCHIVE")


def _session_folders(root: Path) -> Iterator[tuple[int, Path]]:
    archive = folder_of(root)
    for folder in archive.iterdir() if archive else ():
        named = _SESSION.fullmatch(folder.name)
        if named and folder.is_dir():
            yield int(named[1]), folder


def _child(folder: Path, name: str) -> Path | None:
    """A folder by its name in either case: some systems show the card's names in small letters."""
    if not folder.is_dir():
        return None
    return next((path for path in folder.iterdir() if path.name.upper() == name.upper() and path.is_dir()), None)


def _vanished(root: Path, error: OSError) -> SourceVanished:
    return SourceVanished(f"cannot read the card at {root} ({error.strerror}): put it back and run this again")


def _read_session(number: int, folder: Path, on_error: Callable[[Path, str], None]) -> CardSession:
    journal = _read_journal(_journal_lines(folder, on_error))
    files = (path for group in folder.iterdir() if group.is_dir() for path in group.iterdir())
    named = sorted((int(match[1]), path) for path in files if (match := _PHOTO.fullmatch(path.name)))
    photos = tuple(_read_head(path, index) for index, path in named)
    # A file proves that there were photos before it only where its own note says so: anything can be named 99999999.
    proved = {photo.number for photo in photos if photo.note and photo.note.number == photo.number}
    expected = set(range(max(proved | journal.announced.keys(), default=-1) + 1))
    present = {photo.number for photo in photos}
    return CardSession(_key(number, journal, photos), folder, photos, tuple(sorted(expected - present)), journal)


def _key(number: int, journal: Journal, photos: Sequence[CardPhoto]) -> SessionKey:
    """A session's key by its journal, else by its first photo that has a note."""
    if {"dev", "rnd"} <= journal.header.keys():
        return SessionKey(journal.header["dev"], number, journal.header["rnd"])
    return next((photo.note.session for photo in photos if photo.note), SessionKey("", number, ""))


def _read_head(path: Path, number: int) -> CardPhoto:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return CardPhoto(path, number, None)  # one file that cannot be read; `examine` will not get its bytes either
    found = _find_note(head)
    return CardPhoto(path, number, found and found[0], is_empty=not head)


def _find_note(content: bytes) -> tuple[Note, int] | None:
    """A photo's note, and where the frame goes on behind the block that holds it."""
    if not content.startswith(b"\xff\xd8\xff\xe1"):
        return None
    frame_at = 4 + int.from_bytes(content[4:6], "big")
    match = _NOTE.search(content, 6, frame_at)
    if match is None:
        return None
    device, session, nonce, number, mono, _, utc, age, offset, length, digest = (
        part.decode() for part in match.groups()
    )
    anchor = None
    if utc != "-" and age != "-":
        anchor = Anchor(int(mono) - int(age), int(utc) - int(age), NOTE_ERROR_MS, AnchorSource.NOTE)
    key = SessionKey(device, int(session), nonce)
    return Note(key, int(number), int(mono), anchor, int(offset), int(length), digest), frame_at


def _journal_lines(folder: Path, on_error: Callable[[Path, str], None]) -> list[bytes]:
    path = next((path for path in folder.iterdir() if path.name.upper() == "LOG.TXT"), None)
    try:
        return path.read_bytes().splitlines() if path else []
    except OSError as error:
        if not folder.is_dir():
            raise
        on_error(path or folder, error.strerror or type(error).__name__)
        return []


def _read_journal(lines: Iterable[bytes]) -> Journal:
    header: dict[str, str] = {}
    announced: dict[int, int] = {}
    anchors: list[Anchor] = []
    events: list[Event] = []
    bad = 0
    for line in lines:
        kind, _, rest = _unseal(line).partition(" ")
        words = rest.split(" ")
        if kind == "H" and not header:
            header = dict(word.split("=", 1) for word in words if "=" in word)
        elif kind == "P" and _whole_numbers(words[:2]):
            announced[int(words[0])] = int(words[1])
        elif kind == "T" and _whole_numbers(words[:3]) and words[3:] in (["ntp"], ["usb"]):
            anchors.append(Anchor(int(words[0]), int(words[1]), int(words[2]), AnchorSource(words[3])))
        elif kind in {"E", "V", "B", "Z"} and _whole_numbers(words[:1]):
            events.append(Event(kind, int(words[0]), " ".join(words[1:])))
        else:
            bad += 1
    return Journal(header, announced, tuple(anchors), tuple(events), bad)


def _unseal(line: bytes) -> str:
    """The text of a journal line; nothing where its CRC32 is wrong."""
    body, _, crc = line.rpartition(b"*")
    return body.decode("ascii", "replace") if crc == b"%08x" % crc32(body) else ""


def _whole_numbers(words: Iterable[str]) -> bool:
    return all(re.fullmatch(r"-?\d+", word) for word in words)
