"""The words of an ingest's report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archive.cli import arrivals
from archive.provenance import SessionAudit
from archive.sessions import SessionKey

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC).astimezone()
MORNING = NOW.replace(hour=8, minute=10)


def session(number: int, missing: tuple[int, ...] = (), begun: datetime | None = MORNING) -> SessionAudit:
    ended = None if begun is None else begun + timedelta(hours=2)
    return SessionAudit(
        SessionKey("a0b1c2d3e4f5", number, "00000001"), 8641, 8641 - len(missing), missing, begun, ended,
        None if begun is None else 185_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "said"),
    [((), ""), ((4,), "4"), ((4, 5), "4-5"), ((1, 3, 4, 5, 9), "1, 3-5, 9"), (tuple(range(0, 50, 2)), "(25 in all)")],
)
def test_missing_numbers_are_said_as_runs(missing: tuple[int, ...], said: str) -> None:
    assert arrivals.numbers(missing).endswith(said)
    assert len(arrivals.numbers(missing)) < 200


def test_a_session_says_what_it_shot_what_is_in_and_how_well_its_time_is_known() -> None:
    (line,) = arrivals.session_words([session(123, (4711,))], NOW)
    assert line == "session 123: 8,641 shot, 8,640 in, missing 4711; today 08:10 to 10:10, ± 4 min"


def test_a_session_of_unknown_time_says_how_to_tell_it() -> None:
    (line,) = arrivals.session_words([session(7, begun=None)], NOW)
    assert line.endswith("time unknown, tell it with --starts 7=TIME")


def test_of_many_sessions_only_those_with_something_to_say_are_listed() -> None:
    many = [session(number, (3,) if number == 5 else ()) for number in range(1, 60)]
    lines = list(arrivals.session_words(many, NOW))
    assert [line[:10] for line in lines] == ["session 5:", "and 58 mor"]
