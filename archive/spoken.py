"""Times as people speak of the past: `this morning`, `last tuesday`, `yesterday evening`, `monday 14:00`, `last week`.

What takes a while, as a morning does, is named by its first moment. All of it is wall-clock time without a zone: where
the clocks change, the caller's zone decides.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

PARTS = {
    "midnight": time(0),
    "morning": time(5),
    "noon": time(12),
    "afternoon": time(12),
    "evening": time(18),
    "night": time(21),
}
"""When the parts of a day begin."""

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS_AGO = {"today": 0, "this": 0, "yesterday": 1, "day before yesterday": 2}
_WHOLE = {"tonight": "this night", "last night": "yesterday night", "noon": "today noon", "midnight": "today midnight"}
_CLOCK = re.compile(r"(?:at )?(\d{1,2})(?::(\d{2}))? ?(am|pm)?")
_DAY = re.compile(rf"(?:the )?({'|'.join(sorted(_DAYS_AGO, key=len, reverse=True))})")
_WEEKDAY = re.compile(rf"(last |this |on )?({'|'.join(day[:3] for day in _WEEKDAYS)})([a-z]*)")
_PERIOD = re.compile(r"(this|last) (week|month|year)")


def parse(words: str, now: datetime) -> datetime | None:
    """The wall-clock moment that lower-case words name, as seen at the wall-clock time `now`; None if they name none.

    A weekday is the latest one that has begun, today included; `last` before it leaves today out.
    """
    words = _WHOLE.get(words, words)
    if period := _PERIOD.fullmatch(words):
        return datetime.combine(_beginning(period[2], now.date(), back=period[1] == "last"), time())
    if clock := _clock(words):
        return datetime.combine(now.date(), clock)
    if day := _DAY.match(words):
        begins = _part_of_day(words[day.end() :].strip(), named=day[1] != "this")
        return None if begins is None else datetime.combine(now.date() - timedelta(days=_DAYS_AGO[day[1]]), begins)
    if weekday := _WEEKDAY.match(words):
        return _on_weekday(weekday, words[weekday.end() :].strip(), now)
    return None


def _on_weekday(found: re.Match[str], rest: str, now: datetime) -> datetime | None:
    which = next(number for number, name in enumerate(_WEEKDAYS) if name.startswith(found[2]))
    begins = _part_of_day(rest, named=True)
    if begins is None or found[3] not in {"", _WEEKDAYS[which][3:]}:
        return None
    back = (now.weekday() - which) % 7
    if back == 0 and (found[1] == "last " or begins > now.time()):
        back = 7
    return datetime.combine(now.date() - timedelta(days=back), begins)


def _part_of_day(words: str, *, named: bool) -> time | None:
    """When a part of a day begins, or the time on the clock; `named` days may stand alone, and begin at midnight."""
    if not words:
        return time() if named else None
    return PARTS[words] if words in PARTS else _clock(words)


def _clock(words: str) -> time | None:
    found = _CLOCK.fullmatch(words)
    if found is None or not (found[2] or found[3]):  # a number alone is no time
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found[3] == "pm")
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _beginning(period: str, today: date, *, back: bool) -> date:
    """The first day of this week, month or year, or of the one before."""
    first = {"week": today - timedelta(days=today.weekday()), "month": today.replace(day=1)}.get(period)
    if first is None:
        return date(today.year - back, 1, 1)
    if not back:
        return first
    return first - timedelta(days=7) if period == "week" else (first - timedelta(days=1)).replace(day=1)
