"""Photos of each day as a small calendar of characters: a column for each week, darker where there are more."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WEEKS = 26
SHADES = "·░▒▓█"
WEEKDAYS = ("Mon", "", "Wed", "", "Fri", "", "")
_WEEK = timedelta(days=7)


def drawn(counts: Mapping[date, int], today: date) -> Iterator[str]:
    """The lines of the last half year, the newest week at the right; nothing where no photo is that young."""
    monday = today - timedelta(days=today.weekday())
    weeks = [monday - _WEEK * back for back in range(WEEKS - 1, -1, -1)]
    most = max((count for day, count in counts.items() if weeks[0] <= day <= today), default=0)
    if not most:
        return
    yield f"{'':10}{_months(weeks)}".rstrip()
    for weekday, name in enumerate(WEEKDAYS):
        days = [first + timedelta(days=weekday) for first in weeks]
        yield f"  {name:<8}{''.join(_cell(counts.get(day, 0), most) for day in days if day <= today)}".rstrip()


def _months(weeks: list[date]) -> str:
    """The months' names, each above the first week that begins in it, where there is room."""
    line = ""
    for number, first in enumerate(weeks):
        is_new = number == 0 or first.month != weeks[number - 1].month
        if is_new and len(line) <= 2 * number and 2 * number + 3 <= 2 * len(weeks):
            line = line.ljust(2 * number) + f"{first:%b} "
    return line


def _cell(count: int, most: int) -> str:
    return SHADES[-(-count * (len(SHADES) - 1) // most)] + " "
