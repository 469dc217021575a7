"""Aftercare: what a person may ask to be done to the wearable's card once its photos are in, and proved to be in.

Nothing here happens unasked. Only a photo that is whole, by its own digest, and whose original was read back from the
disk and verified, is ever deleted from a card.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from archive.errors import PhotoError, SourceVanished, UsageError
from archive.photos import camera_card, card_writing
from archive.photos.camera_card import Condition
from archive.photos.cards import is_gone
from archive.photos.names import printable
from archive.photos.reading import digest_of, read_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from archive.catalog.writer import Catalog
    from archive.originals import Originals


@dataclass(frozen=True, slots=True)
class Care:
    """What was asked to be done to a card."""

    sync_clock: bool = False
    free: bool = False
    eject: bool = False

    @property
    def is_asked(self) -> bool:
        """Whether anything is to be done."""
        return self.sync_clock or self.free or self.eject


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to a card: `verified` of its photos are in and proved, `left` are not and stay on it.

    `freed` photos of `freed_bytes` were deleted from it; on a dry run, would be.
    """

    verified: int
    left: int
    freed: int = 0
    freed_bytes: int = 0
    synced: bool = False
    ejected: bool = False


class Watcher(Protocol):
    """Is told how a run goes, so that somebody can look at it."""

    def begin(self, files: int) -> None:
        """The run has found so many files."""
        ...

    def step(self) -> None:
        """One more file is done."""
        ...


def refuse_impossible(card: Path, care: Care) -> None:
    """End a run before it has begun where afterwards the card could not be looked after.

    Raises:
        UsageError: this is no card of the wearable, or cannot be ejected.
    """
    shown = printable(str(card))
    if care.free and not camera_card.is_card(card):
        raise UsageError(f"{shown} holds no session of the camera: --free deletes nothing else")
    if care.sync_clock and camera_card.folder_of(card) is None:
        raise UsageError(f"{shown} has no folder ARCHIVE; make one there if it is to be the camera's card")
    if care.eject:
        card_writing.check_ejectable(card)


def look_after(
    card: Path, care: Care, catalog: Catalog, originals: Originals, now: datetime, watcher: Watcher
) -> Outcome:
    """Verify that the photos of a card are in, then do what was asked to it; `now` is aware and local.

    Raises:
        CatalogDamaged: an original of a photo on the card is not what it was; nothing was done to the card.
        SourceVanished: the card went away.
        ArchiveError: the card cannot be written or ejected.
    """

    def is_kept(digest: str) -> bool:
        photo_id = catalog.photo_id(digest)
        if photo_id is None:
            return False
        originals.read_from_disk(digest, catalog.photos([photo_id])[photo_id].suffix)
        return True

    kept, outcome = _verify(card, is_kept, watcher)
    if care.sync_clock:
        card_writing.write_sync(card, now, secrets.token_hex(4))
        outcome = replace(outcome, synced=True)
    if care.free:
        size = sum(photo.stat().st_size for photo in kept)
        outcome = replace(outcome, freed=card_writing.delete(card, kept), freed_bytes=size)
    if care.eject:
        card_writing.eject(card)
        outcome = replace(outcome, ejected=True)
    return outcome


def rehearse(card: Path, care: Care, stays_out: Callable[[str], bool], watcher: Watcher) -> Outcome:
    """What would be done to a card if its whole photos went in, all but those whose digest `stays_out`."""
    kept, outcome = _verify(card, lambda digest: not stays_out(digest), watcher)
    if care.free:
        outcome = replace(outcome, freed=len(kept), freed_bytes=sum(photo.stat().st_size for photo in kept))
    return replace(outcome, synced=care.sync_clock, ejected=care.eject)


def _verify(card: Path, is_kept: Callable[[str], bool], watcher: Watcher) -> tuple[list[Path], Outcome]:
    """The photos of the card that are whole and kept, and how many there are of them and of others."""
    sessions = camera_card.read(card, lambda _place, _reason: None)  # the ingest has named what cannot be read
    photos = [photo.path for session in sessions for photo in session.photos]
    device = card.stat().st_dev
    watcher.begin(len(photos))
    kept = []
    for path in photos:
        if _is_whole_and_kept(path, is_kept):
            kept.append(path)
        watcher.step()
    if is_gone(card, device):
        raise SourceVanished(
            f"{printable(str(card))} went away while it was verified; connect it and run the same command again"
        )
    return kept, Outcome(verified=len(kept), left=len(photos) - len(kept))


def _is_whole_and_kept(path: Path, is_kept: Callable[[str], bool]) -> bool:
    try:
        content = read_file(path).content
    except (PhotoError, OSError):  # whatever cannot be read stays where it is, and is counted as left
        return False
    return camera_card.examine(content)[0] is Condition.WHOLE and is_kept(digest_of(content))
