"""Times as people type and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive import moments
from archive.errors import UsageError

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("today", datetime(2026, 11, 22, 23, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 11, 21, 23, tzinfo=UTC)),
        ("14:02", datetime(2026, 11, 23, 13, 2, tzinfo=UTC)),
        ("2h", NOW - timedelta(hours=2)),
        ("90 min ago", NOW - timedelta(minutes=90)),
        ("3 days", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(weeks=1)),
        ("an hour ago", NOW - timedelta(hours=1)),
        ("half an hour", NOW - timedelta(minutes=30)),
        ("three  days ago", NOW - timedelta(days=3)),
        ("yesterday evening", datetime(2026, 11, 22, 17, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 19, 23, tzinfo=UTC)),
        ("2026-07-20", datetime(2026, 7, 19, 22, tzinfo=UTC)),
        ("2026-11-20T08:15", datetime(2026, 11, 20, 7, 15, tzinfo=UTC)),
        ("2026-11-20T08:15:00Z", datetime(2026, 11, 20, 8, 15, tzinfo=UTC)),
        ("2026-11-20T08:15+05:30", datetime(2026, 11, 20, 2, 45, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_the_local_zone(text: str, expected: datetime) -> None:
    assert moments.parse(text, NOW, BERLIN) == expected


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "12:61", "2h30", "2026-13-01", "-2h", "0001-01-01", "999999w", "9999-12-31T23:59-23:00"],
)
def test_what_is_no_time_is_a_usage_error_that_shows_examples(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time; write it like"):
        moments.parse(text, NOW, BERLIN)


def test_today_begins_at_local_midnight_on_the_day_the_clocks_change() -> None:
    afternoon = datetime(2026, 10, 25, 14, tzinfo=BERLIN)
    assert moments.parse("today", afternoon, BERLIN) == datetime(2026, 10, 24, 22, tzinfo=UTC)


def test_a_clock_time_that_comes_twice_is_the_first_and_one_that_never_comes_an_hour_later() -> None:
    evening = datetime(2026, 10, 25, 20, tzinfo=BERLIN)
    assert moments.parse("today 02:30", evening, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    spring = datetime(2026, 3, 29, 20, tzinfo=BERLIN)
    assert moments.parse("today 02:30", spring, BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_the_day_before_the_clocks_change_is_a_day_on_the_calendar_and_24_hours_ago_is_elapsed_time() -> None:
    noon = datetime(2026, 10, 25, 12, tzinfo=BERLIN)
    assert moments.parse("yesterday 12:00", noon, BERLIN) == datetime(2026, 10, 24, 10, tzinfo=UTC)
    assert moments.parse("24h", noon, BERLIN) == datetime(2026, 10, 24, 11, tzinfo=UTC)


def test_without_a_zone_the_machine_s_own_is_used() -> None:
    assert moments.parse("2026-11-20T08:15", NOW) == datetime(2026, 11, 20, 8, 15).astimezone(UTC)


@given(st.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2099, 1, 1)))  # noqa: DTZ001
def test_a_moment_written_as_iso_comes_back(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    assert moments.parse(moment.isoformat(), NOW, BERLIN) == moment


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=5), "today 16:29, just now"),
        (timedelta(minutes=59), "today 15:31, 59 min ago"),
        (timedelta(hours=2), "today 14:30, 2 h ago"),
        (timedelta(hours=23), "yesterday 17:30, 23 h ago"),
        (timedelta(days=1), "yesterday 16:30, 1 day ago"),
        (timedelta(days=7), "Mon 16 Nov 16:30, 7 days ago"),
        (timedelta(days=400), "Sun 19 Oct 2025 17:30, 13 months ago"),
        (timedelta(days=1100), "Sun 19 Nov 2023 16:30, 3 years ago"),
        (timedelta(days=-1), "Tue 24 Nov 16:30, in the future"),
    ],
)
def test_a_moment_is_told_on_the_local_clock_with_its_distance(ago: timedelta, words: str) -> None:
    assert moments.describe(NOW - ago, NOW, BERLIN) == words


@pytest.mark.parametrize(
    ("error_ms", "said"),
    [
        (0, "± 1 s"), (1, "± 1 s"), (1001, "± 2 s"), (119_000, "± 119 s"), (120_000, "± 2 min"),
        (120_001, "± 3 min"), (7_199_000, "± 120 min"), (7_200_000, "± 2 h"), (7_200_001, "± 3 h"),
    ],
)  # fmt: skip
def test_an_error_is_rounded_up_never_down(error_ms: int, said: str) -> None:
    assert moments.within(error_ms) == said


def test_a_span_says_its_day_once() -> None:
    assert moments.span("today 14:02", "today 17:40") == "today 14:02 to 17:40"
    assert moments.span("Mon 16 Nov 23:50", "Tue 17 Nov 00:10") == "Mon 16 Nov 23:50 to Tue 17 Nov 00:10"
