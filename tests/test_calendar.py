"""The calendar of `archive status`."""

from __future__ import annotations

from datetime import date, timedelta

from archive.cli.calendar import SHADES, WEEKS, drawn

TUESDAY = date(2026, 11, 24)


def cell(lines: list[str], day: date) -> str:
    """The character of a day: its weekday's line, its week's column."""
    weeks_back = ((TUESDAY - timedelta(days=TUESDAY.weekday())) - (day - timedelta(days=day.weekday()))).days // 7
    return lines[1 + day.weekday()][10 + 2 * (WEEKS - 1 - weeks_back)]


def test_days_with_more_photos_are_darker() -> None:
    days = {TUESDAY: 100, TUESDAY - timedelta(days=1): 1, TUESDAY - timedelta(days=40): 60}
    lines = list(drawn(days, TUESDAY))
    assert [cell(lines, day) for day in days] == ["█", "░", "▓"]
    assert cell(lines, TUESDAY - timedelta(days=2)) == SHADES[0]


def test_no_day_is_drawn_that_has_not_come() -> None:
    lines = list(drawn({TUESDAY: 1}, TUESDAY))
    assert [len(line) for line in lines[3:]] == [len(lines[3])] * 5
    assert len(lines[3]) == len(lines[1]) - 2


def test_where_no_photo_is_that_young_nothing_is_drawn() -> None:
    assert list(drawn({}, TUESDAY)) == []
    assert list(drawn({TUESDAY - timedelta(weeks=WEEKS + 1): 5}, TUESDAY)) == []


def test_each_month_is_named_above_its_weeks() -> None:
    (months, *_) = drawn({TUESDAY: 1}, TUESDAY)
    assert months.split() == ["Jun", "Jul", "Aug", "Sep", "Oct", "Nov"]
