"""Times as people speak of the past."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import spoken

MONDAY = datetime(2026, 11, 23, 15, 30)  # noqa: DTZ001  (a wall clock has no zone)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("today", "23T00:00"),
        ("yesterday", "22T00:00"),
        ("the day before yesterday", "21T00:00"),
        ("day before yesterday evening", "21T18:00"),
        ("this morning", "23T05:00"),
        ("this afternoon", "23T12:00"),
        ("this evening", "23T18:00"),
        ("tonight", "23T21:00"),
        ("last night", "22T21:00"),
        ("noon", "23T12:00"),
        ("yesterday noon", "22T12:00"),
        ("14:02", "23T14:02"),
        ("at 9am", "23T09:00"),
        ("12 am", "23T00:00"),
        ("12:30pm", "23T12:30"),
        ("yesterday at 7:15 pm", "22T19:15"),
        ("monday", "23T00:00"),
        ("monday 14:00", "23T14:00"),
        ("monday 16:00", "16T16:00"),
        ("last monday", "16T00:00"),
        ("tuesday", "17T00:00"),
        ("last tuesday", "17T00:00"),
        ("on sunday evening", "22T18:00"),
        ("sat 8:00", "21T08:00"),
        ("this week", "23T00:00"),
        ("last week", "16T00:00"),
        ("this month", "01T00:00"),
    ],
)
def test_words_name_a_moment_of_november(words: str, expected: str) -> None:
    assert spoken.parse(words, MONDAY) == datetime.fromisoformat(f"2026-11-{expected}")


@pytest.mark.parametrize(
    ("words", "expected"), [("last month", "2026-10-01"), ("this year", "2026-01-01"), ("last year", "2025-01-01")]
)
def test_longer_periods_begin_on_their_first_day(words: str, expected: str) -> None:
    assert spoken.parse(words, MONDAY) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "words",
    ["", "this", "last", "week", "soon", "mondays", "mond", "tomorrow", "24:00", "13pm", "0am", "7", "today 7",
     "yesterday soon", "this week morning", "last yesterday", "morning"],
)  # fmt: skip
def test_what_names_no_moment_is_none(words: str) -> None:
    assert spoken.parse(words, MONDAY) is None


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@given(
    st.datetimes(min_value=datetime(2000, 1, 9), max_value=datetime(2099, 1, 1)),  # noqa: DTZ001
    st.integers(0, 6),
    st.booleans(),
)
def test_a_weekday_is_the_latest_that_has_begun(now: datetime, day: int, last: bool) -> None:
    found = spoken.parse(f"last {WEEKDAYS[day]}" if last else WEEKDAYS[day], now)
    assert found is not None
    assert found.weekday() == day
    week = timedelta(days=7)
    assert now - week - timedelta(days=1) < found <= now
    assert found.date() < now.date() if last else found + week > now
