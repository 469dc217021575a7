"""CONFIG.TXT: a person's hand wrote it, so anything may be in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.firmware.running import module

config = module("archivecam.config")
clock = module("archivecam.clock")


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        (b"interval = 60", "interval", 60),
        (b"\xef\xbb\xbfinterval=60\r\n", "interval", 60),
        (b"INTERVAL =60 # a minute", "interval", 60),
        (b"frame = svga", "frame", "SVGA"),
        (b"sleep = None", "sleep", "none"),
        (b"rotate = 270", "rotate", 270),
        (b"tz_min = -210", "tz_min", -210),
        (b"tz_min = sync", "tz_min", "sync"),
        (b"wifi_ssid = caf\xc3\xa9 #2", "wifi_ssid", "café #2"),
        (b"wifi_pass = a=b # c", "wifi_pass", "a=b # c"),
        (b"brightness = -2", "brightness", -2),
    ],
)
def test_a_setting_is_read_as_a_person_would(line: bytes, key: str, value: object) -> None:
    read, complaints = config.parse(line)
    assert read == config.DEFAULTS | {key: value}
    assert complaints == []


@pytest.mark.parametrize(
    "line",
    [
        b"interval = 1", b"interval = 3601", b"interval = soon", b"interval =", b"interval", b"rotate = 45",
        b"frame = 4K", b"quality = 85.5", b"flash = 1", b"privacy_pin = 4", b"gainceiling = 3", b"tz_min = 841",
        b"interval = 5",
        b"\xff\xfe\x00 = 1", b"reserve_mb = 1", b"sleep = light",
    ],
)  # fmt: skip
def test_a_bad_line_keeps_the_default_and_is_complained_about_once(line: bytes) -> None:
    read, complaints = config.parse(b"# mine\n" + line + b"\nquality = 70\n")
    assert read == config.DEFAULTS | {"quality": 70} | ({"interval": 8} if line == b"interval = 5" else {})
    assert len(complaints) == 1


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_no_bytes_break_the_settings(content: bytes) -> None:
    read, _ = config.parse(content)
    assert read.keys() == config.DEFAULTS.keys()
    config.parse_sync(content)


@given(st.integers(0, 4_102_444_799_999))
@settings(deadline=None)
def test_a_civil_date_is_the_date_of_its_milliseconds(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    expected = (*moment.timetuple()[:6], moment.microsecond // 1000)
    assert clock.civil(ms) == expected
