"""True time end to end: the firmware writes a card with a wrong clock, and each stored time is within its error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from archive.photos import camera_card, session_clock
from archive.photos.session_clock import How, Moment, SessionClock
from archive.sessions import Anchor, AnchorSource, Session, SessionKey
from archive.types import CaptureSource
from tests.firmware import running
from tests.firmware.running import Plan, on_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOUR = 3_600_000
FAST = 10_000  # ppm: 36 seconds in an hour, as others measured it
NTP = "interval = 60\nsettle_ms = 0\nwifi_ssid = home\nntp_every_min = 120\n"
PLAIN = "interval = 60\nsettle_ms = 0\n"
NETWORK: Plan = {"set": {"network": True}}
NO_NETWORK: Plan = {"set": {"network": False}}


def timed(root: Path, result: Plan, told: dict[SessionKey, Sequence[Anchor]] | None = None) -> list[tuple[int, Moment]]:
    """(truth, moment) of each photo, in capture order."""
    truth = {entry["path"]: entry["true_ms"] for entry in result["stored"]}
    sessions = running.sessions_of(root)
    known = [session.as_known(result["true_ms"]) for session in sessions]
    clocks = session_clock.clocks(
        session.merged(Session(session.key, anchors=tuple((told or {}).get(session.key, ())))) for session in known
    )
    return [
        (truth["/" + photo.path.relative_to(root).as_posix()], clocks[session.key].moment(session.mono_of(photo)))
        for session in sessions
        for photo in session.photos
    ]


def assert_true(moments: list[tuple[int, Moment]]) -> None:
    for truth, moment in moments:
        assert moment.utc_ms is not None
        assert moment.error_ms is not None
        assert abs(moment.utc_ms - truth) <= moment.error_ms
    order = [moment.utc_ms for _, moment in moments]
    assert order == sorted(order, key=lambda utc: utc or 0)


def worst(moments: list[tuple[int, Moment]]) -> int:
    return max(moment.error_ms or 0 for _, moment in moments)


@pytest.mark.parametrize("drift", [-FAST, 0, FAST])
def test_between_two_anchors_times_are_interpolated(tmp_path: Path, drift: int) -> None:
    result = on_folder(tmp_path, [NETWORK, {"wake": 360}], NTP, drift_ppm=drift)
    moments = timed(tmp_path, result)
    assert_true(moments)
    inside = [moment for _, moment in moments if moment.how is How.INTERPOLATED]
    assert len(inside) > 200
    assert max(moment.error_ms or 0 for moment in inside) < 20_000


@pytest.mark.parametrize("drift", [-FAST, FAST])
def test_one_anchor_carries_its_session_within_five_percent(tmp_path: Path, drift: int) -> None:
    result = on_folder(tmp_path, [{"wake": 90}, NETWORK, {"wake": 60}, NO_NETWORK, {"wake": 60}], NTP, drift_ppm=drift)
    moments = timed(tmp_path, result)
    assert_true(moments)
    assert {moment.how for _, moment in moments} <= {How.EXTRAPOLATED, How.ANCHORED}


def test_a_camera_whose_drift_is_known_needs_one_anchor(tmp_path: Path) -> None:
    steps = [NETWORK, {"wake": 200}, {"power_off": 600_000}, {"wake": 30}, NO_NETWORK, {"wake": 200}]
    result = on_folder(tmp_path, steps, NTP, drift_ppm=FAST)
    moments = timed(tmp_path, result)
    assert_true(moments)
    assert worst(moments[200:]) < 40_000
    drifts = session_clock.usual_rates(session.as_known(result["true_ms"]) for session in running.sessions_of(tmp_path))
    assert drifts == {"a0b1c2d3e4f5 deep": pytest.approx(FAST, abs=1000)}


@pytest.mark.parametrize("drift", [-FAST, FAST])
def test_without_any_anchor_a_session_lies_between_its_neighbours(tmp_path: Path, drift: int) -> None:
    (tmp_path / "ARCHIVE").mkdir()
    (tmp_path / "ARCHIVE" / "SYNC.TXT").write_text("utc_ms=1789999000000 tz_min=120 sync=0badcafe\r\n")
    reset: Plan = {"power_off": 300_000}
    result = on_folder(tmp_path, [{"wake": 60}, reset, {"wake": 60}, reset, {"wake": 30}], PLAIN, drift_ppm=drift)
    moments = timed(tmp_path, result)
    assert_true(moments)
    assert {moment.how for _, moment in moments} == {How.ESTIMATED}
    assert worst(moments) < HOUR


def test_without_anchor_and_without_bounds_nothing_is_claimed(tmp_path: Path) -> None:
    result = on_folder(tmp_path, [{"wake": 5}], PLAIN)
    assert {moment for _, moment in timed(tmp_path, result)} == {session_clock.NEVER_KNOWN}
    assert session_clock.NEVER_KNOWN.capture_time().source is CaptureSource.UNKNOWN


def test_a_reset_in_the_middle_of_the_day_leaves_both_halves_true(tmp_path: Path) -> None:
    steps = [NETWORK, {"wake": 100}, {"power_off": 90_000}, NO_NETWORK, {"wake": 100}, {"power_off": 90_000}, NETWORK]
    result = on_folder(tmp_path, [*steps, {"wake": 100}], NTP, drift_ppm=FAST)
    moments = timed(tmp_path, result)
    assert_true(moments)
    middle = [moment.how for _, moment in moments[100:200]]
    assert set(middle) == {How.ESTIMATED}
    assert worst(moments[100:200]) < HOUR


def test_a_start_that_a_person_typed_times_the_session(tmp_path: Path) -> None:
    start = 1_790_000_000_000
    result = on_folder(tmp_path, [{"wake": 100}], PLAIN, drift_ppm=FAST, true_ms=start)
    (session,) = running.sessions_of(tmp_path)
    assert_true(timed(tmp_path, result, {session.key: [Anchor(0, start + 20_000, 60_000, AnchorSource.TYPED)]}))


def test_a_clock_set_over_usb_is_an_anchor(tmp_path: Path) -> None:
    result = on_folder(tmp_path, [{"told": True}, {"wake": 30}], PLAIN, drift_ppm=FAST)
    assert_true(timed(tmp_path, result))


def test_anchors_survive_in_photos_where_the_journal_is_lost(tmp_path: Path) -> None:
    result = on_folder(tmp_path, [NETWORK, {"wake": 40}], NTP, drift_ppm=FAST)
    (tmp_path / "ARCHIVE" / "S0000001" / "LOG.TXT").unlink()
    assert_true(timed(tmp_path, result))


def test_a_wrong_anchor_is_left_out_where_a_better_one_contradicts_it() -> None:
    good = Anchor(0, 1_790_000_000_000, 50, AnchorSource.NTP)
    wrong = Anchor(HOUR, 1_790_000_000_000 + 3 * HOUR, 1000, AnchorSource.CODE)
    assert session_clock.agreeing([wrong, good]) == (good,)


def test_a_new_time_zone_moves_no_photo(tmp_path: Path) -> None:
    first = on_folder(tmp_path, [NETWORK, {"wake": 130}], NTP + "tz_min = 120\n", drift_ppm=FAST)
    assert_true(timed(tmp_path, first))
    settings = NTP + "tz_min = -300\n"
    second = on_folder(tmp_path, [NETWORK, {"wake": 5}], settings, drift_ppm=FAST, true_ms=first["true_ms"])
    second["stored"] = first["stored"] + second["stored"]
    assert_true(timed(tmp_path, second))
    offsets = [
        photo.note.offset_minutes for session in running.sessions_of(tmp_path) for photo in session.photos if photo.note
    ]
    assert set(offsets) == {120, -300}


def test_a_moment_that_is_off_by_half_a_day_is_no_capture_time() -> None:
    assert Moment(0, 12 * HOUR, How.ESTIMATED).capture_time().at is None
    known = Moment(1_790_000_000_123, 1000, How.INTERPOLATED).capture_time(60)
    assert known.at == datetime(2026, 9, 21, 14, 13, 20, 123_000, tzinfo=UTC)
    assert known.offset_minutes == 60
    assert SessionClock(()).moment(5) == session_clock.NEVER_KNOWN


def test_a_name_of_an_old_card_counts_local_seconds(tmp_path: Path) -> None:
    folder = tmp_path / "Pictures"
    folder.mkdir()
    local = datetime(2024, 6, 1, 12, 30, tzinfo=UTC)
    names = [str(int(local.timestamp())), "17", "notes"]
    for name in names:
        (folder / f"{name}.jpg").write_bytes(b"\xff\xd8\xff")
    assert not camera_card.is_card(tmp_path)
    taken, never, other = (folder / f"{name}.jpg" for name in names)
    assert [camera_card.is_old_photo(path, tmp_path) for path in (taken, never, other)] == [True, True, False]
    zone = timezone(timedelta(hours=2))
    assert camera_card.old_capture_time(never, zone).at is None
    found = camera_card.old_capture_time(taken, zone)
    assert found.at == local - timedelta(hours=2)
    assert (found.source, found.offset_minutes) == (CaptureSource.NAME, 120)
