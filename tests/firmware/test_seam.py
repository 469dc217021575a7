"""The seam to the chip, on recorded pins: the order of what it does is what a board depends on."""

from __future__ import annotations

import importlib
import struct
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.firmware.running import module

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT, IN, PULL_UP = "out", "in", "up"


class Recorder:
    """Every call to the stubs of the image's modules, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.cause = 4
        self.levels = {3: 0}

    def note(self, *words: Any) -> None:  # noqa: ANN401
        self.calls.append(words)


def pins(record: Recorder) -> type:
    class Pin:
        OUT, IN, PULL_UP = OUT, IN, PULL_UP

        def __init__(self, pin: int, mode: str, pull: str | None = None, **settings: object) -> None:
            self.pin = pin
            record.note("pin", pin, mode, pull, settings)

        def value(self, level: int | None = None) -> int:
            record.note("value", self.pin, level)
            return record.levels.get(self.pin, 1)

    return Pin


def parts(record: Recorder, name: str) -> type:
    """A part that is opened with settings and closed with deinit."""

    class Part:
        def __init__(self, **settings: object) -> None:
            record.note(name, settings)

        def deinit(self) -> None:
            record.note(f"{name} off")

    return Part


def flash_memory(record: Recorder) -> type:
    class NVS:
        def __init__(self, space: str) -> None:
            self.kept: dict[str, int] = {}

        def get_i32(self, name: str) -> int:
            if name not in self.kept:
                raise OSError(-4354)
            return self.kept[name]

        def set_i32(self, name: str, value: int) -> None:
            self.kept[name] = value

        def commit(self) -> None:
            record.note("commit")

    return NVS


def mount(record: Recorder) -> str:
    record.note("mount")
    return "fat"


def stubs(record: Recorder) -> dict[str, ModuleType]:
    rtc = SimpleNamespace(datetime=lambda moment: record.note("datetime", moment), memory=lambda *block: b"")
    machine = {
        "Pin": pins(record), "SDCard": parts(record, "sdcard"), "RTC": lambda: rtc, "PWRON_RESET": 1, "HARD_RESET": 2,
        "WDT_RESET": 3, "DEEPSLEEP_RESET": 4, "SOFT_RESET": 5, "reset_cause": lambda: record.cause,
        "unique_id": lambda: b"\xa0\xb1\xc2\xd3\xe4\xf5", "deepsleep": lambda ms: record.note("deepsleep", ms),
        "reset": lambda: record.note("reset"),
        "WDT": lambda timeout: SimpleNamespace(feed=lambda: record.note("feed", timeout)),
    }  # fmt: skip
    sizes = {name: name for name in ("UXGA", "SXGA", "HD", "XGA", "SVGA", "VGA")}
    gains = {f"X{gain}": gain for gain in (2, 4, 8, 16, 32, 64, 128)}
    camera = {
        "Camera": parts(record, "camera"), "FrameSize": SimpleNamespace(**sizes),
        "GainCeiling": SimpleNamespace(**gains), "GrabMode": SimpleNamespace(WHEN_EMPTY=0, LATEST=1),
        "PixelFormat": SimpleNamespace(JPEG=4),
    }  # fmt: skip
    contents: dict[str, dict[str, Any]] = {
        "machine": machine, "camera": camera, "esp32": {"NVS": flash_memory(record)}, "network": {},
        "vfs": {"VfsFat": lambda _: mount(record)},
    }  # fmt: skip
    made = {}
    for name, content in contents.items():
        made[name] = ModuleType(name)
        made[name].__dict__.update(content)
    return made


@pytest.fixture
def record() -> Recorder:
    return Recorder()


@pytest.fixture
def hal(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module("archivecam")
    for name, made in stubs(record).items():
        monkeypatch.setitem(sys.modules, name, made)
    monkeypatch.delitem(sys.modules, "archivecam.hal_esp32", raising=False)
    loaded = importlib.import_module("archivecam.hal_esp32")
    ticks = iter(range(0, 100_000, 40))
    stub = SimpleNamespace(
        sleep_ms=lambda ms: record.note("wait", ms), time_ns=lambda: 5_000_000_000, ticks_ms=lambda: next(ticks),
        ticks_diff=lambda after, before: after - before,
    )  # fmt: skip
    monkeypatch.setattr(loaded, "time", stub)
    yield loaded
    sys.modules.pop("archivecam.hal_esp32", None)


def test_holds_are_released_before_the_camera_is_opened(hal: ModuleType, record: Recorder) -> None:
    board = hal.Board()
    board.wake()
    board.cam_power(True)
    board.camera(module("archivecam.config").DEFAULTS)
    pins = [call for call in record.calls if call[:2] == ("pin", 32)]
    assert pins[0][4] == {"value": 1, "hold": False}
    assert pins[1][4] == {"value": 0, "hold": False}
    assert record.calls.index(pins[1]) < next(index for index, call in enumerate(record.calls) if call[0] == "camera")


def test_the_card_is_opened_in_one_bit_mode_and_the_flash_light_stays_dark(hal: ModuleType, record: Recorder) -> None:
    board = hal.Board()
    assert board.card(20) == "fat"
    assert ("sdcard", {"slot": 1, "width": 1, "freq": 20_000_000}) in record.calls
    assert record.calls[-1] == ("pin", 4, OUT, None, {"value": 0})
    board.card(4)
    assert record.calls.count(("sdcard off",)) == 1


def test_pins_are_held_before_sleep(hal: ModuleType, record: Recorder) -> None:
    board = hal.Board()
    board.card(20)
    board.cam_power(False)
    board.deepsleep(28_000)
    assert record.calls[-5:] == [
        ("pin", 32, OUT, None, {"value": 1, "hold": True}),
        ("sdcard off",),
        ("pin", 4, OUT, None, {"value": 0, "hold": True}),
        ("pin", 33, OUT, None, {"value": 1, "hold": True}),
        ("deepsleep", 28_000),
    ]


@pytest.mark.parametrize(
    ("code", "cause"), [(1, "power"), (2, "crash"), (3, "wdt"), (4, "deepsleep"), (5, "soft"), (0, "crash")]
)
def test_each_reset_has_its_name(hal: ModuleType, record: Recorder, code: int, cause: str) -> None:
    record.cause = code
    assert hal.Board().reset_cause() == cause


def test_the_raw_clock_is_in_unix_milliseconds_and_can_be_set(
    hal: ModuleType, record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = hal.Board()
    monkeypatch.setattr(hal, "_EPOCH_MS", 946_684_800_000)
    assert board.now_ms() == 946_684_805_000
    board.step_ms(1_790_000_000_123 - board.now_ms())
    assert record.calls[-1] == ("datetime", (2026, 9, 21, 0, 14, 13, 20, 123_000))


def test_numbers_are_kept_in_flash_and_zero_where_none_was(hal: ModuleType, record: Recorder) -> None:
    board = hal.Board()
    assert board.nvs_get("session") == 0
    board.nvs_set("session", 7)
    assert board.nvs_get("session") == 7
    assert record.calls[-1] == ("commit",)


def test_the_watchdog_starts_with_the_first_feeding(hal: ModuleType, record: Recorder) -> None:
    board = hal.Board()
    board.feed()
    board.feed()
    assert record.calls == [("feed", 60_000)] * 2


def test_a_switch_to_ground_is_on(hal: ModuleType, record: Recorder) -> None:
    assert hal.Board().switch(3)
    assert not hal.Board().switch(13)
    assert record.calls[0] == ("pin", 3, IN, PULL_UP, {})


def test_the_device_is_named_by_its_mac(hal: ModuleType) -> None:
    assert hal.Board().device_id() == "a0b1c2d3e4f5"


def test_awake_the_camera_keeps_two_fresh_buffers(hal: ModuleType, record: Recorder) -> None:
    settings = module("archivecam.config").DEFAULTS
    hal.Board().camera(settings)
    hal.Board().camera(settings | {"sleep": "none", "frame": "SVGA"})
    asleep, awake = (call[1] for call in record.calls if call[0] == "camera")
    assert (asleep["fb_count"], asleep["grab_mode"], asleep["frame_size"]) == (1, 0, "UXGA")
    assert (awake["fb_count"], awake["grab_mode"], awake["frame_size"]) == (2, 1, "SVGA")


def test_the_time_of_a_server_is_taken_with_half_of_the_way(hal: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = bytes(40) + struct.pack("!II", 1_790_000_000 + 2_208_988_800, 1 << 31)
    link = SimpleNamespace(
        settimeout=lambda _: None, sendto=lambda *_: None, recv=lambda size: answer[:size], close=lambda: None
    )
    stub = SimpleNamespace(
        AF_INET=2, SOCK_DGRAM=2, socket=lambda *_: link, getaddrinfo=lambda *_: [(0, 0, 0, "", ("", 123))]
    )
    monkeypatch.setattr(hal, "socket", stub)
    assert hal._ask_time("host") == (1_790_000_000_500 + 20, 30)
