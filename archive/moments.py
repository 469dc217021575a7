"""Moments as people say them: parsing what they type, and saying when something was."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from archive.errors import UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

_AGO = (
    r"(\d{1,6}|an?|half an|one|two|three|four|five|six|ten)\s*"
    r"(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)(?:\s+ago)?"
)
_LENGTH = r"(\d{1,6})\s*(s|sec|m|min|h|d)"
_NUMBERS = {"a": 1, "an": 1, "half an": 0.5, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def parse(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """The UTC moment that `text` names, as seen at `now` (aware) in `zone` (default: this machine's).

    Understood: ISO 8601 dates and times (local unless they carry an offset), `now`, spans back from now such as `90s`,
    `2h` or `three days ago`, and what `archive.spoken` understands: `14:02`, `yesterday evening`, `last tuesday`.
    Of a clock time that comes twice, because the clocks were put back, the first is meant.

    Raises:
        UsageError: it is none of these.
    """
    try:
        moment = _spoken(text.strip().lower(), now, zone) or _iso(text.strip(), zone)
        if moment is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # beyond the years that a calendar has
        pass
    raise UsageError(
        f"{text!r} is not a time; write it like 2026-11-23T14:02, 14:02, 2h, yesterday evening or last tuesday"
    )


def duration(text: str) -> float:
    """Seconds of a length of time such as `90s`, `30m` or `2h`.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(_LENGTH, text.strip().lower())
    if found is None or not int(found[1]):
        raise UsageError(f"{text!r} is not a length of time; write it like 90s, 30m or 2h")
    return float(int(found[1]) * _SECONDS[found[2][0]])


def length(seconds: float) -> str:
    """A length of time in a unit that reads well: `40 s`, `25 min`, `3 h`, `5 days`."""
    for size, unit in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"


def describe(moment: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """A moment in local words, with its distance: `today 14:02, 2 h ago`."""
    return f"{calendar(moment, now, zone)}, {distance(moment, now)}"


def calendar(moment: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """A moment on the local calendar and clock: `today 14:02`, `yesterday 09:15`, `Mon 16 Nov 14:02`."""
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    clock = f"{local:%H:%M}"
    days = (today - local.date()).days
    if days == 0:
        return f"today {clock}"
    if days == 1:
        return f"yesterday {clock}"
    day = f"{local:%a} {local.day} {local:%b}"
    return f"{day} {clock}" if local.year == today.year else f"{day} {local.year} {clock}"


def distance(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, in its largest unit: `2 h ago`, `3 days ago`."""
    seconds = (now - moment).total_seconds()
    if seconds < -_MINUTE:
        return "in the future"
    if seconds < _MINUTE:
        return "just now"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min ago"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h ago"
    days = int(seconds // _DAY)
    if days < 60:
        return _counted(days, "day")
    if days < 730:
        return _counted(int(days / 30.44), "month")
    return _counted(int(days / 365.25), "year")


def span(first: str, last: str) -> str:
    """Two moments of `calendar` as one span; a day that they share is said once: `today 14:02 to 17:40`."""
    day, _, clock = last.rpartition(" ")
    return f"{first} to {clock if first.startswith(f'{day} ') else last}"


def within(error_ms: int) -> str:
    """The most by which a moment is wrong, rounded up, in a unit that reads well: `± 2 s`, `± 4 min`, `± 3 h`."""
    seconds = max(-(-error_ms // 1000), 1)
    if seconds < 2 * _MINUTE:
        return f"± {seconds} s"
    if seconds < 2 * _HOUR:
        return f"± {-(-seconds // _MINUTE)} min"
    return f"± {-(-seconds // _HOUR)} h"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'} ago"


def _spoken(words: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    words = " ".join(words.split())
    if words == "now":
        return now
    if ago := re.fullmatch(_AGO, words):
        number = _NUMBERS[ago[1]] if ago[1] in _NUMBERS else int(ago[1])
        # Elapsed time, taken in UTC: no hour is lost when the clocks change.
        return now.astimezone(UTC) - timedelta(seconds=number * _SECONDS[ago[2][0]])
    from archive import spoken

    naive = spoken.parse(words, now.astimezone(zone).replace(tzinfo=None))
    return None if naive is None else _local(naive, zone)


def _iso(text: str, zone: tzinfo | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _local(moment, zone) if moment.tzinfo is None else moment


def _local(naive: datetime, zone: tzinfo | None) -> datetime:
    """A wall-clock time as a moment. Python's own `astimezone` knows the system's summer time for that very day."""
    return naive.replace(tzinfo=zone) if zone else naive.astimezone()
