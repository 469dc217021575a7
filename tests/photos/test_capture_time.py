from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.photos.capture_time import EARLIEST, ExifStamp, capture_time
from archive.types import CaptureSource, CaptureTime

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
NOTHING = CaptureTime(None, CaptureSource.UNKNOWN)
MTIME = datetime(2024, 5, 1, 8, tzinfo=UTC)


def from_exif(*stamps: ExifStamp) -> CaptureTime:
    return capture_time(stamps, "IMG_0001.jpg", None, NOW, BERLIN)


def from_name(name: str) -> CaptureTime:
    return capture_time((), name, None, NOW, BERLIN)


def test_exif_with_offset_and_fraction_is_exact() -> None:
    found = from_exif(ExifStamp("2024:01:31 14:02:11", "0425", "+05:30"))
    assert found == CaptureTime(datetime(2024, 1, 31, 8, 32, 11, 42_500, tzinfo=UTC), CaptureSource.EXIF, 330)


def test_exif_without_offset_is_local_time_of_that_season() -> None:
    winter, summer = from_exif(ExifStamp("2024:01:31 14:00:00")), from_exif(ExifStamp("2023:07:31 14:00:00"))
    assert winter == CaptureTime(datetime(2024, 1, 31, 13, tzinfo=UTC), CaptureSource.EXIF)
    assert summer == CaptureTime(datetime(2023, 7, 31, 12, tzinfo=UTC), CaptureSource.EXIF)


def test_without_a_zone_the_systems_own_is_meant() -> None:
    found = capture_time((ExifStamp("2024:01:31 14:00:00"),), "a.jpg", None, NOW)
    assert found.at == datetime(2024, 1, 31, 14).astimezone(UTC)


def test_the_first_plausible_exif_stamp_wins() -> None:
    broken = ExifStamp("0000:00:00 00:00:00")
    unset = ExifStamp("2000:01:01 00:00:10")
    good, later = ExifStamp("2024:01:31 14:00:00"), ExifStamp("2024:02:01 14:00:00")
    assert from_exif(broken, unset, good, later) == from_exif(good)


@pytest.mark.parametrize("offset", ["Z", "+00:00", "-00:00", "+0000"])
def test_an_offset_of_zero_is_an_offset(offset: str) -> None:
    found = from_exif(ExifStamp("2024:01:31 14:00:00", "", offset))
    assert found == CaptureTime(datetime(2024, 1, 31, 14, tzinfo=UTC), CaptureSource.EXIF, 0)


@pytest.mark.parametrize("offset", ["+99:00", "+02:75", "   :  ", "CET", "+2"])
def test_a_senseless_offset_counts_as_none(offset: str) -> None:
    assert from_exif(ExifStamp("2024:01:31 14:00:00", "", offset)) == from_exif(ExifStamp("2024:01:31 14:00:00"))


@pytest.mark.parametrize("fraction", ["", "   ", "abc", "²", "-5"])
def test_a_senseless_fraction_counts_as_none(fraction: str) -> None:
    assert from_exif(ExifStamp("2024:01:31 14:00:00", fraction)) == from_exif(ExifStamp("2024:01:31 14:00:00"))


@pytest.mark.parametrize(
    "moment",
    [
        "2024:01:31 14:00:00\0",
        "2024-01-31 14:00:00",
        "2024:01:31T14:00:00",
    ],
)
def test_common_spellings_of_exif_are_understood(moment: str) -> None:
    assert from_exif(ExifStamp(moment)) == from_exif(ExifStamp("2024:01:31 14:00:00"))


@pytest.mark.parametrize(
    "moment",
    [
        "",
        "    :  :     :  :  ",
        "0000:00:00 00:00:00",
        "2024:13:01 00:00:00",
        "2024:02:30 10:00:00",
        "2024:01:31 24:00:00",
        "0001:01:01 00:00:00",
        "9999:12:31 23:59:59",
        "1970:01:01 00:00:00",
        "1980:01:01 00:00:00",
        "2000:01:01 00:00:00",
        "2000:01:01 23:59:59",
        "2099:01:01 00:00:00",
        "yesterday",
    ],
)
def test_a_clock_that_was_never_set_is_not_believed(moment: str) -> None:
    assert from_exif(ExifStamp(moment)) == NOTHING
    assert from_exif(ExifStamp(moment, "", "-12:00")) == NOTHING


def test_an_implausible_source_gives_way_to_the_next() -> None:
    unset = ExifStamp("1980:01:01 00:00:00")
    name = "IMG_20240131_140211.jpg"
    assert capture_time((unset,), name, MTIME.timestamp(), NOW, BERLIN).source is CaptureSource.NAME
    assert capture_time((unset,), "IMG_20991231_140211.jpg", MTIME.timestamp(), NOW, BERLIN) == CaptureTime(
        MTIME, CaptureSource.MTIME
    )
    assert capture_time((unset,), "IMG_19800101_000000.jpg", 315_532_800.0, NOW, BERLIN) == NOTHING


def test_a_clock_may_run_a_day_ahead_and_no_more() -> None:
    near, far = NOW + timedelta(days=1), NOW + timedelta(days=1, seconds=1)
    assert capture_time((), "a.jpg", near.timestamp(), NOW).at == near
    assert capture_time((), "a.jpg", far.timestamp(), NOW) == NOTHING


@pytest.mark.parametrize("modified", [None, math.nan, math.inf, -1e300, -1.0, 0.0, 1e15])
def test_an_impossible_file_time_is_unknown(modified: float | None) -> None:
    assert capture_time((), "a.jpg", modified, NOW) == NOTHING


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("1305031229.528748.jpg", datetime(2011, 5, 10, 12, 40, 29, 528_748, tzinfo=UTC)),
        ("1305031229.jpg", datetime(2011, 5, 10, 12, 40, 29, tzinfo=UTC)),
        ("1305031229.5", datetime(2011, 5, 10, 12, 40, 29, 500_000, tzinfo=UTC)),
        ("1305031229528.jpg", datetime(2011, 5, 10, 12, 40, 29, 528_000, tzinfo=UTC)),
        ("PXL_20240131_140211123.jpg", datetime(2024, 1, 31, 14, 2, 11, 123_000, tzinfo=UTC)),
        ("PXL_20240131_140211123.MP.jpg", datetime(2024, 1, 31, 14, 2, 11, 123_000, tzinfo=UTC)),
    ],
)
def test_names_that_are_moments_of_utc(name: str, at: datetime) -> None:
    assert from_name(name) == CaptureTime(at, CaptureSource.NAME)


@pytest.mark.parametrize(
    ("name", "millisecond"),
    [
        ("IMG_20240131_140211.jpg", 0),
        ("20240131_140211_123.jpg", 123),
        ("20240131_140211.jpg", 0),
        ("20240131140211.jpg", 0),
        ("20240131T140211.jpg", 0),
        ("2024-01-31 14.02.11.jpg", 0),
        ("2024-01-31 14.02.11", 0),
        ("2024-01-31_14-02-11_edited.png", 0),
        ("WhatsApp Image 2024-01-31 at 14.02.11.jpeg", 0),
        ("WhatsApp Image 2024-01-31 at 2.02.11 PM.jpeg", 0),
        ("WhatsApp Image 2024-01-31 at 14.02.11 (1).jpeg", 0),
        ("Screenshot 2024-01-31 at 2.02.11\u202fPM.png", 0),
        ("Screenshot_20240131-140211.png", 0),
        ("Screenshot_20240131-140211_Maps.png", 0),
        ("signal-2024-01-31-140211.jpeg", 0),
        ("signal-2024-01-31-14-02-11-123.jpg", 123),
        ("IMG_20240131_140211_1.jpg", 0),
    ],
)
def test_names_that_are_local_moments(name: str, millisecond: int) -> None:
    at = datetime(2024, 1, 31, 13, 2, 11, millisecond * 1000, tzinfo=UTC)
    assert from_name(name) == CaptureTime(at, CaptureSource.NAME)


@pytest.mark.parametrize(
    ("name", "hour"),
    [("2024-01-31 at 12.02.11 AM.png", 0), ("2024-01-31 at 12.02.11 PM.png", 12), ("2024-01-31 at 1.02.11 am.png", 1)],
)
def test_twelve_hour_clocks_are_understood(name: str, hour: int) -> None:
    assert from_name(name).at == datetime(2024, 1, 31, hour, 2, 11, tzinfo=BERLIN)


@pytest.mark.parametrize(
    "name",
    [
        "IMG_0042.jpg",
        "DSC01234.JPG",
        "12345.jpg",
        "IMG-20240131-WA0012.jpg",
        "20240131.jpg",
        "20240131_14021.jpg",
        "20240131_1920x1080.jpg",
        "99999999999999.jpg",
        "20241331_140211.jpg",
        "20240131_250211.jpg",
        "2024-01-31 at 14.02.11 PM.png",
        "٢٠٢٤٠١٣١_١٤٠٢١١.jpg",
        "",
        ".jpg",
        "\udcff\x1b.jpg",
    ],
)
def test_names_that_tell_no_moment(name: str) -> None:
    assert from_name(name) == NOTHING


@given(
    st.datetimes(datetime(2000, 1, 3), datetime(2024, 6, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_any_exif_moment_comes_back_to_the_microsecond(at: datetime, minutes: int) -> None:
    offset = timedelta(minutes=minutes)
    local = at.astimezone(timezone(offset))
    sign = "-" if minutes < 0 else "+"
    stamp = ExifStamp(
        local.strftime("%Y:%m:%d %H:%M:%S"),
        f"{local.microsecond:06}",
        f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}",
    )
    assert from_exif(stamp) == CaptureTime(at, CaptureSource.EXIF, minutes)


@given(st.text(), st.text(), st.text(), st.text(), st.none() | st.floats())
def test_whatever_it_is_given_the_answer_is_plausible(
    moment: str, fraction: str, offset: str, name: str, modified: float | None
) -> None:
    found = capture_time((ExifStamp(moment, fraction, offset),), name, modified, NOW, BERLIN)
    assert found == NOTHING or (found.at is not None and EARLIEST <= found.at <= NOW + timedelta(days=1))


@given(st.from_regex(r"\A[0-9:+ -]{19}\Z"), st.from_regex(r"\A[0-9_.-]{8,20}\.jpg\Z"))
def test_whatever_the_digits_are_the_answer_is_plausible(moment: str, name: str) -> None:
    found = capture_time((ExifStamp(moment),), name, None, NOW, BERLIN)
    assert found == NOTHING or (found.at is not None and EARLIEST <= found.at <= NOW + timedelta(days=1))
