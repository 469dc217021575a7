"""When a photo was taken: what it says itself, else its name, else the file's time, else honestly unknown."""

from __future__ import annotations

import re
from datetime import MAXYEAR, UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

from archive.types import CaptureSource, CaptureTime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

EARLIEST = datetime(2000, 1, 2, 12, tzinfo=UTC)
"""Clocks that lost their battery restart in 1970, in 1980 or on the first day of 2000, which ends here everywhere."""

CLOCK_AHEAD = timedelta(days=1)
"""How far a camera's clock may run ahead of this computer's."""

_EXIF_MOMENT = re.compile(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d+))?", re.ASCII)
_EXIF_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_EPOCH_SECONDS = re.compile(r"(\d{10})(?:\.(\d{1,9}))?", re.ASCII)
_EPOCH_MILLISECONDS = re.compile(r"(\d{10})(\d{3})", re.ASCII)
_DATE_IN_NAME = re.compile(
    r"""(?<!\d)
    (20\d\d) (?P<date>[-_.:\ ]?) (\d\d) (?P=date) (\d\d)      # 20240131, 2024-01-31
    (?:[-_.T\ ]|\ at\ )?
    (\d\d|\d(?=[-_.:\ ])) (?P<time>[-_.:\ ]?) (\d\d) (?P=time) (\d\d)     # 140211, 14.02.11, 2.02.11 PM
    (?: [-_.]? (?P<fraction>\d{3}) )? (?!\d)
    (?: [\ \u202f]? (?P<half>[AaPp]) [Mm] \b )?""",
    re.ASCII | re.VERBOSE,
)
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
_UTC_PREFIX = "PXL_"
"""Pixel phones name their photos in UTC; all others in local time."""


class ExifStamp(NamedTuple):
    """A moment as the EXIF text has it: date and time, the digits below a second, the distance from UTC."""

    moment: str
    fraction: str = ""
    offset: str = ""


def capture_time(
    exif: Sequence[ExifStamp], name: str, modified: float | None, now: datetime, zone: tzinfo | None = None
) -> CaptureTime:
    """The first plausible of: EXIF stamps in order, the file's name, its modification time (epoch seconds).

    Plausible is what lies between the clocks that were never set and a day after `now`, an aware moment. Times
    without an offset are local ones of `zone`, by default the system's.
    """
    for candidate in _candidates(exif, name, modified, zone):
        if candidate.at is not None and EARLIEST <= candidate.at <= now + CLOCK_AHEAD:
            return candidate
    return CaptureTime(None, CaptureSource.UNKNOWN)


def _candidates(
    exif: Sequence[ExifStamp], name: str, modified: float | None, zone: tzinfo | None
) -> Iterator[CaptureTime]:
    for stamp in exif:
        yield _from_exif(stamp, zone)
    yield CaptureTime(_from_name(name, zone), CaptureSource.NAME)
    if modified is not None:
        yield CaptureTime(_from_epoch(modified), CaptureSource.MTIME)


def _from_exif(stamp: ExifStamp, zone: tzinfo | None) -> CaptureTime:
    found = _EXIF_MOMENT.fullmatch(stamp.moment.strip(" \0"))
    if found is None:
        return CaptureTime(None, CaptureSource.EXIF)
    *parts, inline = found.groups()
    local = _moment(parts, stamp.fraction.strip(" \0") or inline)
    offset = _offset(stamp.offset.strip(" \0"))
    if offset is None:
        return CaptureTime(_to_utc(local, zone), CaptureSource.EXIF)
    minutes = offset // timedelta(minutes=1)
    return CaptureTime(_to_utc(local, timezone(offset)), CaptureSource.EXIF, minutes)


def _offset(text: str) -> timedelta | None:
    if text == "Z":
        return timedelta(0)
    found = _EXIF_OFFSET.fullmatch(text)
    if found is None:
        return None
    size = timedelta(hours=int(found[2]), minutes=int(found[3]))
    if size > timedelta(hours=14) or int(found[3]) >= 60:  # no place is further from UTC
        return None
    return -size if found[1] == "-" else size


def _from_name(name: str, zone: tzinfo | None) -> datetime | None:
    stem = _SUFFIX.sub("", name)
    epoch = _EPOCH_SECONDS.fullmatch(stem) or _EPOCH_MILLISECONDS.fullmatch(stem)
    if epoch is not None:
        return datetime.fromtimestamp(int(epoch[1]), UTC) + timedelta(microseconds=_microseconds(epoch[2]))
    found = _DATE_IN_NAME.search(stem)
    if found is None:
        return None
    year, _, month, day, hour, _, minute, second, fraction, half = found.groups()
    if half:
        if not 1 <= int(hour) <= 12:
            return None
        hour = str(int(hour) % 12 + 12 * (half in "Pp"))
    moment = _moment((year, month, day, hour, minute, second), fraction)
    return _to_utc(moment, UTC if stem.startswith(_UTC_PREFIX) else zone)


def _from_epoch(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a damaged file system can claim any number
        return None


def _moment(parts: Sequence[str], fraction: str | None) -> datetime | None:
    """The naive local moment, None where there is no such one."""
    year, month, day, hour, minute, second = map(int, parts)
    try:
        return datetime(year, month, day, hour, minute, second, _microseconds(fraction))  # noqa: DTZ001 (local)
    except ValueError:
        return None


def _microseconds(fraction: str | None) -> int:
    """The digits after a decimal point, as a whole number; anything else is no fraction."""
    if not fraction or not (fraction.isascii() and fraction.isdigit()):
        return 0
    return int(f"{fraction:0<6}"[:6])


def _to_utc(local: datetime | None, zone: tzinfo | None) -> datetime | None:
    """Local to UTC, with the daylight saving time of that day; None keeps the system's own zone."""
    if local is None or not EARLIEST.year <= local.year < MAXYEAR:
        return None
    return (local.replace(tzinfo=zone) if zone else local).astimezone(UTC)
