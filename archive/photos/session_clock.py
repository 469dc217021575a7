"""The true time of a session's photos, from a clock that only counts.

The camera has no battery for its clock. Each session counts milliseconds from its own start; here and there the count
meets the world's time (an anchor). Between anchors the time is interpolated, beyond them the chip's usual drift
carries on, and without any the session still lies between its neighbours. Each moment comes with its greatest error.

All arithmetic is in whole milliseconds and parts per million.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from archive.sessions import MILLION, UNLEARNED_PPM, shortest_ms
from archive.types import CaptureSource, CaptureTime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from archive.sessions import Anchor, Session, SessionKey

LEARNED_PPM = 2_000
"""How far it strays from its own usual rate: units that others measured kept theirs to 5 s in an hour."""

USELESS_ERROR = timedelta(hours=12)
"""A moment that is known no better than this is as good as unknown."""


class How(StrEnum):
    """How a moment was found, the best first."""

    ANCHORED = "anchored"
    INTERPOLATED = "interpolated"
    EXTRAPOLATED = "extrapolated"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class Rate(NamedTuple):
    """By how much a clock runs fast, and how far that may be wrong; both in parts per million."""

    ppm: int
    error_ppm: int

    def true(self, ran_ms: int) -> int:
        """What really passed while the clock ran `ran_ms`."""
        return ran_ms * MILLION // (MILLION + self.ppm)

    def error(self, ran_ms: int) -> int:
        """How wrong that may be."""
        return abs(ran_ms) * self.error_ppm // MILLION + 1


UNLEARNED = Rate(0, UNLEARNED_PPM)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in Unix milliseconds, and the most by which it is wrong; None where nothing is known."""

    utc_ms: int | None
    error_ms: int | None
    how: How

    def capture_time(self, offset_minutes: int | None = None) -> CaptureTime:
        """The moment as the catalog keeps it; one that is off by half a day or more counts as unknown."""
        if self.utc_ms is None or self.error_ms is None or timedelta(milliseconds=self.error_ms) >= USELESS_ERROR:
            return CaptureTime(None, CaptureSource.UNKNOWN, offset_minutes)
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.utc_ms)
        return CaptureTime(at, CaptureSource.JOURNAL, offset_minutes, self.error_ms)


NEVER_KNOWN = Moment(None, None, How.UNKNOWN)


@dataclass(frozen=True, slots=True)
class SessionClock:
    """What is known of one session's time. `start` is the moment of mono 0 as its neighbours bound it."""

    anchors: tuple[Anchor, ...]
    rate: Rate = UNLEARNED
    start: Moment = NEVER_KNOWN

    def moment(self, mono_ms: int | None) -> Moment:
        """When the session's count stood at `mono_ms`."""
        if mono_ms is None:
            return NEVER_KNOWN
        if self.anchors:
            return self._from_anchors(mono_ms)
        if self.start.utc_ms is None or self.start.error_ms is None:
            return NEVER_KNOWN
        error = self.start.error_ms + self.rate.error(mono_ms)
        return Moment(self.start.utc_ms + self.rate.true(mono_ms), error, How.ESTIMATED)

    def _from_anchors(self, mono_ms: int) -> Moment:
        after = bisect_right(self.anchors, mono_ms, key=lambda anchor: anchor.mono_ms)
        if 0 < after < len(self.anchors):
            return _between(self.anchors[after - 1], self.anchors[after], mono_ms)
        nearest = self.anchors[max(after - 1, 0)]
        ran = mono_ms - nearest.mono_ms
        if ran == 0:
            return Moment(nearest.utc_ms, nearest.error_ms, How.ANCHORED)
        rate = measured_rate(self.anchors) or self.rate
        return Moment(nearest.utc_ms + rate.true(ran), nearest.error_ms + rate.error(ran), How.EXTRAPOLATED)


def measured_rate(anchors: Sequence[Anchor]) -> Rate | None:
    """The clock's rate by a session's first and last anchor; None where they are too close to tell."""
    if len(anchors) < 2:
        return None
    first, last = anchors[0], anchors[-1]
    ran, passed = last.mono_ms - first.mono_ms, last.utc_ms - first.utc_ms
    if ran <= 0 or passed <= 0:
        return None
    blur = (first.error_ms + last.error_ms) * MILLION // passed
    return Rate((ran - passed) * MILLION // passed, LEARNED_PPM + blur) if blur <= LEARNED_PPM else None


def agreeing(anchors: Iterable[Anchor]) -> tuple[Anchor, ...]:
    """The anchors that can be true together, by mono time; the more exact one stays where two contradict."""
    kept: list[Anchor] = []
    for anchor in sorted(anchors, key=lambda anchor: (anchor.error_ms, anchor.mono_ms)):
        if all(_agree(anchor, other) for other in kept):
            kept.append(anchor)
    return tuple(sorted(kept))


def usual_rates(sessions: Iterable[Session]) -> dict[str, int]:
    """Each camera's usual drift in ppm, by `rate_name`, from its session whose anchors lie furthest apart."""
    longest: dict[str, tuple[int, int]] = {}
    for session in sessions:
        anchors = agreeing(session.anchors)
        rate = measured_rate(anchors)
        if rate is not None:
            found = (anchors[-1].mono_ms - anchors[0].mono_ms, rate.ppm)
            longest[rate_name(session)] = max(longest.get(rate_name(session), found), found)
    return {name: ppm for name, (_, ppm) in longest.items()}


def rate_name(session: Session) -> str:
    """What a drift belongs to: a camera, and whether it sleeps between photos, for awake it follows a crystal."""
    return f"{session.key.device} {session.sleep}"


def clocks(sessions: Iterable[Session]) -> dict[SessionKey, SessionClock]:
    """The clock of each session, by all that is known of all of them; they stand in the order they were met in."""
    known = list(sessions)
    rates = usual_rates(known)
    found: dict[SessionKey, SessionClock] = {}
    for line in _lines(known):
        plain = [SessionClock(agreeing(session.anchors), _rate(session, rates)) for session in line]
        lows, highs = _lows(line, plain), _highs(line, plain)
        reached = None
        for session, clock, low, high in zip(line, plain, lows, highs, strict=True):
            placed = SessionClock(clock.anchors, clock.rate, _start(low, high, reached))
            reached = placed.moment(session.last_mono_ms).utc_ms or reached
            found[session.key] = placed
    return found


def _lines(sessions: Iterable[Session]) -> Iterator[list[Session]]:
    """Sessions of one camera that followed one another.

    A number that comes again means that the camera's memory was erased and its counting began anew: another line.
    """
    lines: dict[str, list[dict[int, Session]]] = {}
    for session in sessions:
        line = lines.setdefault(session.key.device, [{}])
        if session.key.number in line[-1]:
            line.append({})
        line[-1][session.key.number] = session
    for line in lines.values():
        for life in line:
            yield [life[number] for number in sorted(life)]


def _start(low: int | None, high: int | None, reached: int | None) -> Moment:
    """The middle of what is possible, but not before the session before it ended: sessions keep their order."""
    if low is None or high is None or low > high:
        return NEVER_KNOWN
    guess = min(max((low + high) // 2, reached or low), high)
    return Moment(guess, max(guess - low, high - guess) + 1, How.ESTIMATED)


def _between(before: Anchor, after: Anchor, mono_ms: int) -> Moment:
    """Drift may change on the way, but not by more than it usually does; the nearer anchor bounds that."""
    ran, whole = mono_ms - before.mono_ms, after.mono_ms - before.mono_ms
    utc = before.utc_ms + (after.utc_ms - before.utc_ms) * ran // whole
    error = max(before.error_ms, after.error_ms) + min(ran, whole - ran) * LEARNED_PPM // MILLION + 1
    return Moment(utc, error, How.INTERPOLATED) if ran else Moment(utc, before.error_ms, How.ANCHORED)


def _agree(one: Anchor, other: Anchor) -> bool:
    ran, passed = one.mono_ms - other.mono_ms, one.utc_ms - other.utc_ms
    slack = one.error_ms + other.error_ms + abs(ran) * UNLEARNED_PPM // MILLION
    return ran != 0 and abs(ran - passed) <= slack


def _rate(session: Session, rates: Mapping[str, int]) -> Rate:
    ppm = rates.get(rate_name(session))
    return UNLEARNED if ppm is None else Rate(ppm, LEARNED_PPM)


def _lows(line: Sequence[Session], plain: Sequence[SessionClock]) -> list[int | None]:
    """The earliest that each session can have begun: after the card was last synchronised, and after the one before."""
    lows: list[int | None] = []
    before: int | None = None
    for session, clock in zip(line, plain, strict=True):
        low = max((bound for bound in (before, session.begun_after_ms) if bound is not None), default=None)
        lows.append(low)
        end = _edge(clock, session.last_mono_ms, -1)
        if end is None and low is not None:
            end = low + shortest_ms(session.last_mono_ms)
        before = end if end is not None else before
    return lows


def _highs(line: Sequence[Session], plain: Sequence[SessionClock]) -> list[int | None]:
    """The latest that each session can have begun: it was over before the next one began, and before it was read."""
    highs: list[int | None] = []
    after: int | None = None
    for session, clock in zip(reversed(line), reversed(plain), strict=True):
        over = None if after is None else after - shortest_ms(session.last_mono_ms)
        high = min((bound for bound in (over, session.begun_before_ms) if bound is not None), default=None)
        highs.append(high)
        start = _edge(clock, 0, 1)
        after = min((bound for bound in (high, start) if bound is not None), default=None)
    return highs[::-1]


def _edge(clock: SessionClock, mono_ms: int, side: int) -> int | None:
    """The latest (side 1) or earliest (side -1) that an anchored moment can be."""
    moment = clock.moment(mono_ms)
    return None if moment.utc_ms is None or moment.error_ms is None else moment.utc_ms + side * moment.error_ms
