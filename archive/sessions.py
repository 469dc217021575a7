"""Sessions of the wearable: one uninterrupted life of a clock that counts milliseconds and knows no date.

Plain, immutable values that the card's reader, the catalog and the reckoning of true time share. Nothing here does
I/O. Times are whole milliseconds: `mono` since the session began, `utc` since 1970.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

MILLION = 1_000_000

UNLEARNED_PPM = 50_000
"""How wrong the chip's clock may run in deep sleep: 5 %, by its data sheet."""


class SessionKey(NamedTuple):
    """Names a session among all sessions of all cameras; `nonce` tells sessions apart after numbers began anew."""

    device: str
    number: int
    nonce: str


class AnchorSource(StrEnum):
    """Who told the time: the network, a computer by cable, a photo's own note, a clock that a photo shows, a person."""

    NTP = "ntp"
    USB = "usb"
    NOTE = "note"
    CODE = "code"
    TYPED = "typed"


class Anchor(NamedTuple):
    """A moment at which the session's clock (`mono_ms`) and the world's (`utc_ms`) are both known, within an error."""

    mono_ms: int
    utc_ms: int
    error_ms: int
    source: AnchorSource


class Session(NamedTuple):
    """What is known of a session. It began after `begun_after_ms` and before `begun_before_ms`, where these are known.

    `sleep` is `deep` or `none`: a chip that sleeps between photos counts with another clock than one that does not.
    `last_mono_ms` is the latest moment that it is known to have lived.
    """

    key: SessionKey
    sleep: str = "deep"
    last_mono_ms: int = 0
    anchors: tuple[Anchor, ...] = ()
    begun_after_ms: int | None = None
    begun_before_ms: int | None = None

    def allows(self, anchor: Anchor) -> bool:
        """Whether the session can have begun when the anchor says, by what is known of its beginning."""
        earliest = anchor.utc_ms - anchor.error_ms - anchor.mono_ms * (MILLION + UNLEARNED_PPM) // MILLION
        latest = anchor.utc_ms + anchor.error_ms - shortest_ms(anchor.mono_ms)
        return not (
            (self.begun_after_ms is not None and latest < self.begun_after_ms)
            or (self.begun_before_ms is not None and earliest > self.begun_before_ms)
        )

    def merged(self, newer: Session) -> Session:
        """The session with what somebody learned later; a start that is typed again replaces the earlier one."""
        anchors = {(anchor.source, anchor.mono_ms): anchor for anchor in (*self.anchors, *newer.anchors)}
        afters = [bound for bound in (self.begun_after_ms, newer.begun_after_ms) if bound is not None]
        befores = [bound for bound in (self.begun_before_ms, newer.begun_before_ms) if bound is not None]
        return Session(
            key=self.key,
            sleep=newer.sleep,
            last_mono_ms=max(self.last_mono_ms, newer.last_mono_ms),
            anchors=tuple(sorted(anchors.values())),
            begun_after_ms=max(afters, default=None),
            begun_before_ms=min(befores, default=None),
        )


class SessionPlace(NamedTuple):
    """Where a photo stands: its session's id in the catalog, its number there, and the session's clock at its shutter.

    `mono_ms` is None where neither the photo nor the journal can say.
    """

    session_id: int
    number: int
    mono_ms: int | None


def shortest_ms(mono_ms: int) -> int:
    """The least that can have passed while the session's clock ran so far."""
    return mono_ms * MILLION // (MILLION + UNLEARNED_PPM)
