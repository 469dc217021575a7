"""The block before a photo's own bytes: who took it, when, and how to tell whether it is whole.

A stored photo is `FF D8`, this APP1 block, and the sensor's frame from its third byte on. Block and first two bytes
fill whole sectors, so the frame is written straight from the camera's buffer, and a photo can be found on a card
whose directories are lost. Taking the block out again gives the frame back, byte for byte.

Tags: Exif 2.32 (CIPA DC-008-2019), tables 4 to 9.
"""

import struct

from archivecam import VERSION
from archivecam.clock import civil

SECTOR = 512

_ASCII = 2
_SHORT = 3
_LONG = 4
_UNDEFINED = 7

ORIENTATIONS = {0: 1, 90: 6, 180: 3, 270: 8}
"""Degrees clockwise that make the photo upright, and what EXIF calls them."""

_TIFF_AT = 12
"""Bytes of SOI, marker, length and `Exif\\0\\0` before the TIFF structure."""


def block(note, unique, serial, size, rotate, local_ms, tz_minutes):
    """SOI and APP1, filled up to whole sectors.

    `note` goes to UserComment, `size` is (width, height); `local_ms` is local time in Unix milliseconds, or None
    where the clock is unknown, and then no date is written at all.
    """
    main = [
        (0x010F, _ASCII, _text("archive")),
        (0x0110, _ASCII, _text("ESP32-CAM OV2640")),
        (0x0112, _SHORT, struct.pack("<H", ORIENTATIONS[rotate])),
        (0x0131, _ASCII, _text("archive-fw " + VERSION)),
    ]
    inner = [
        (0x9286, _UNDEFINED, b"ASCII\0\0\0" + note.encode()),
        (0xA002, _LONG, struct.pack("<I", size[0])),
        (0xA003, _LONG, struct.pack("<I", size[1])),
        (0xA420, _ASCII, _text(unique)),
        (0xA431, _ASCII, _text(serial)),
    ]
    if local_ms is not None:
        _add_dates(main, inner, local_ms, tz_minutes)
    return _fill(_tiff(main, inner))


def _add_dates(main, inner, local_ms, tz_minutes):
    year, month, day, hour, minute, second, milli = civil(local_ms)
    date = _text("%04d:%02d:%02d %02d:%02d:%02d" % (year, month, day, hour, minute, second))
    sign = "-" if tz_minutes < 0 else "+"
    offset = _text("%s%02d:%02d" % (sign, abs(tz_minutes) // 60, abs(tz_minutes) % 60))
    part = _text("%03d" % milli)
    main.append((0x0132, _ASCII, date))
    for tag, value in (
        (0x9003, date), (0x9004, date),
        (0x9010, offset), (0x9011, offset), (0x9012, offset),
        (0x9290, part), (0x9291, part), (0x9292, part),
    ):  # fmt: skip
        inner.append((tag, _ASCII, value))


def _tiff(main, inner):
    """A little-endian TIFF structure: the main directory, its values, the Exif directory, its values."""
    main.append((0x8769, _LONG, b"\0\0\0\0"))
    inner_at = 8 + _directory_size(main)
    main[-1] = (0x8769, _LONG, struct.pack("<I", inner_at))
    return struct.pack("<2sHI", b"II", 42, 8) + _directory(main, 8) + _directory(inner, inner_at)


def _directory_size(entries):
    return 6 + 12 * len(entries) + sum([_room(value) for _, _, value in entries])


def _room(value):
    return (len(value) + 1) // 2 * 2 if len(value) > 4 else 0


def _directory(entries, at):
    """A directory and the values that do not fit in it; `at` is where it stands in the TIFF structure."""
    entries = sorted(entries)
    values_at = at + 6 + 12 * len(entries)
    head = [struct.pack("<H", len(entries))]
    values = []
    for tag, kind, value in entries:
        count = len(value) // {_SHORT: 2, _LONG: 4}.get(kind, 1)
        if _room(value):
            head.append(struct.pack("<HHII", tag, kind, count, values_at))
            values.append(value + b"\0" * (_room(value) - len(value)))
            values_at += _room(value)
        else:
            head.append(struct.pack("<HHI", tag, kind, count) + value + b"\0" * (4 - len(value)))
    return b"".join(head) + b"\0\0\0\0" + b"".join(values)


def _fill(tiff):
    total = (_TIFF_AT + len(tiff) + SECTOR - 1) // SECTOR * SECTOR
    head = b"\xff\xd8\xff\xe1" + struct.pack(">H", total - 4) + b"Exif\0\0"
    return head + tiff + b"\0" * (total - _TIFF_AT - len(tiff))


def _text(value):
    return value.encode() + b"\0"
