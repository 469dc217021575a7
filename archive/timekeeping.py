"""Timekeeping: what the archive knows of the wearable's clocks, and the true time of each photo by it.

Everything that is learned later (a card, an anchor, a start that a person types) can move the time of photos that are
in already. They move in the same transaction in which it is kept, so stored times always follow from stored anchors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.photos.session_clock import NEVER_KNOWN, agreeing, clocks
from archive.sessions import Session, SessionPlace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archive.catalog.writer import Catalog
    from archive.photos.session_clock import Moment, SessionClock
    from archive.sessions import Anchor, SessionKey
    from archive.types import CaptureTime


class Timekeeper:
    """The clocks of all sessions that a catalog knows; the catalog's one writer has one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        stored = catalog.sessions()
        self._sessions = {session.key: session for session in stored.values()}
        self._ids = {session.key: session_id for session_id, session in stored.items()}
        self._clocks: Mapping[SessionKey, SessionClock] = clocks(self._sessions.values())
        self.retimed = 0
        """Photos whose time was moved since this was made."""

    def learn(self, sessions: Iterable[Session]) -> None:
        """Keep what a card or a photo tells of sessions, and move the photos whose time it changes: all or nothing."""
        told: dict[SessionKey, Session] = {}
        for session in sessions:
            known = told.get(session.key) or self._sessions.get(session.key)
            told[session.key] = known.merged(session) if known else session
        news = {key: session for key, session in told.items() if self._sessions.get(key) != session}
        if not news:
            return
        every = self._sessions | news
        found = clocks(every.values())
        times = self._moved(found)
        ids = self._catalog.keep_sessions(news.values(), times)
        self._sessions, self._clocks = every, found
        self._ids.update(zip(news, ids, strict=True))
        self.retimed += len(times)

    def fits(self, key: SessionKey, anchor: Anchor) -> bool:
        """Whether an anchor of a known session agrees with all that is known better."""
        session = self._sessions[key]
        return session.allows(anchor) and anchor in agreeing(
            session.merged(session._replace(anchors=(anchor,))).anchors
        )

    def anchor(self, key: SessionKey, anchor: Anchor) -> bool:
        """Keep an anchor of a known session; False where what is known better contradicts it.

        One that contradicts another is kept all the same: which of the two is wrong may be known later.
        """
        session = self._sessions[key]
        if not session.allows(anchor):
            return False
        self.learn([session._replace(anchors=(anchor,))])
        return anchor in self._clocks[key].anchors

    def is_known(self, key: SessionKey) -> bool:
        """Whether anything was told of the session."""
        return key in self._sessions

    def named(self, number: int) -> list[SessionKey]:
        """The sessions of that number, of whatever camera."""
        return [key for key in self._sessions if key.number == number]

    def anchors(self, key: SessionKey) -> tuple[Anchor, ...]:
        """Every anchor of a known session, whether it was believed or not."""
        return self._sessions[key].anchors

    def place(self, key: SessionKey, number: int, mono_ms: int | None) -> SessionPlace:
        """Where the photo of that number stands. The session must be known."""
        return SessionPlace(self._ids[key], number, mono_ms)

    def moment(self, key: SessionKey, mono_ms: int | None) -> Moment:
        """When the session's clock stood there."""
        clock = self._clocks.get(key)
        return NEVER_KNOWN if clock is None else clock.moment(mono_ms)

    def _moved(self, found: Mapping[SessionKey, SessionClock]) -> dict[int, CaptureTime]:
        """The new times of the stored photos whose session's clock is not what it was."""
        times = {}
        for key, clock in found.items():
            if key in self._ids and self._clocks.get(key) != clock:
                for photo_id, mono_ms in self._catalog.session_photos(self._ids[key]).items():
                    times[photo_id] = clock.moment(mono_ms).capture_time()
        return times
