"""Every row of the failure table: what a waking does when something is wrong, and that it always ends in sleep."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from archive.photos import camera_card
from tests.firmware import fat
from tests.firmware.running import (
    Plan,
    audit,
    from_image,
    journal,
    kinds,
    module,
    on_folder,
    play,
    play_on_micropython,
    sessions_of,
)

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60_000


def numbers(root: Path) -> list[list[int]]:
    """The numbers of the photos of each session."""
    return [[photo.number for photo in session.photos] for session in sessions_of(root)]


def test_photos_follow_one_another_at_the_interval(tmp_path: Path) -> None:
    result = on_folder(tmp_path, [{"wake": 20}], "interval = 30\n")
    shutters = [entry["true_ms"] for entry in result["stored"]]
    gaps = [after - before for before, after in pairwise(shutters[2:])]
    assert all(abs(gap - 30_000) < 300 for gap in gaps)
    assert numbers(tmp_path) == [list(range(20))]
    assert len(audit(tmp_path).whole) == 20


def test_without_sleep_the_camera_stays_open_and_stale_frames_are_thrown_away(tmp_path: Path) -> None:
    spoil = {str(shot): "none" for shot in (16, 17, 18)}
    on_folder(tmp_path, [{"wake": 1}], "interval = 2\nsleep = none\n", spoil=spoil)
    lines = kinds(journal(tmp_path), "P")
    assert len(lines) == 5
    assert all(" st=2 " in line for line in lines)
    mono = [int(line.split()[2]) for line in lines]
    assert all(abs(after - before - 2000) < 50 for before, after in pairwise(mono[2:]))


def test_no_card_means_two_blinks_half_a_minute_and_no_power_for_the_camera(tmp_path: Path) -> None:
    result = play({"card": None, "steps": [{"wake": 2}]})
    assert result["naps"] == [30_000, 30_000]
    assert result["blinks"] == 1 + 2 + 2  # the power-on window, then the code twice
    assert "camera" not in result["calls"]
    assert not list(tmp_path.iterdir())


def test_a_card_taken_out_and_put_back_goes_on_with_its_session(tmp_path: Path) -> None:
    card = {"folder": str(tmp_path)}
    play({"card": card, "steps": [{"wake": 3}, {"card": None}, {"wake": 2}, {"card": card}, {"wake": 3}]})
    assert numbers(tmp_path) == [[0, 1, 2, 3, 4, 5]]


def test_another_card_begins_another_session_even_if_it_has_a_folder_of_that_name(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    on_folder(other, [{"wake": 4}], device="ffffffffffff")
    play({"card": {"folder": str(mine)}, "steps": [{"wake": 3}, {"card": {"folder": str(other)}}, {"wake": 2}]})
    assert numbers(mine) == [[0, 1, 2]]
    assert numbers(other) == [[0, 1, 2, 3], [0, 1]]
    assert [session.key.device for session in sessions_of(other)] == ["ffffffffffff", "a0b1c2d3e4f5"]


def test_a_full_card_keeps_what_it_has_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    card = {"folder": str(tmp_path)}
    result = play({
        "card": card,
        "steps": [{"wake": 3}, {"card": card | {"free": 7 << 20}}, {"wake": 3}, {"card": card}, {"wake": 2}],
    })  # fmt: skip
    assert result["naps"][3:6] == [10 * MINUTE] * 3
    assert numbers(tmp_path) == [[0, 1, 2, 3, 4]]
    assert [line.split()[2] for line in kinds(journal(tmp_path), "Z")] == ["full", "room"]


def test_a_small_card_fills_to_its_reserve_without_one_broken_photo(tmp_path: Path) -> None:
    image = fat.make(tmp_path / "card.img", 16, 6)
    card = {"image": str(image), "config": "reserve_mb = 2\nsettle_ms = 0\n"}
    result = play_on_micropython({"card": card, "steps": [{"wake": 90}], "shot_sizes": [60_000]}, tmp_path)
    root = from_image(image, tmp_path / "card")
    found = audit(root)
    assert 50 < len(found.whole) < 90
    assert not found.others
    assert len(found.whole) == len(result["stored"])
    assert len(kinds(journal(root), "Z")) == 1


@pytest.mark.parametrize("content", [b"\0" * 512, b"\xeb\x76\x90EXFAT   ".ljust(510, b"\0") + b"\x55\xaa"])
def test_a_card_in_another_format_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    image = tmp_path / "card.img"
    image.write_bytes(content + b"\0" * 512 * 4000)
    before = image.read_bytes()
    result = play_on_micropython({"card": {"image": str(image)}, "steps": [{"wake": 2}]}, tmp_path)
    assert result["naps"] == [30_000, 30_000]
    assert image.read_bytes() == before


def test_damage_of_the_card_leaves_the_session_and_three_in_a_row_rest_ten_minutes(tmp_path: Path) -> None:
    image = fat.make(tmp_path / "card.img", 16, 40, cluster=4)
    broken = list(range(110, 5000))
    steps = [{"wake": 2}, *[{"faults": broken}, {"wake": 1}] * 4, {"faults": []}, {"wake": 2}]
    result = play_on_micropython({"card": {"image": str(image)}, "steps": steps}, tmp_path)
    assert result["naps"][2:6] == [30_000, 30_000, 10 * MINUTE, 10 * MINUTE]
    assert result["naps"][-1] < MINUTE
    root = from_image(image, tmp_path / "card")
    assert {entry["path"] for entry in result["stored"]} <= set(audit(root).whole)
    assert numbers(root)[-1] == [0, 1]
    assert " faults=4" in journal(root, sessions_of(root)[-1].key.number)[0]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_failure_of_any_single_sector_operation_loses_no_stored_photo(tmp_path: Path, first: int) -> None:
    for index in range(first * 7, 420, 21):
        image = fat.make(tmp_path / "card.img", 16, 12, cluster=4)
        card = {"image": str(image), "config": "reserve_mb = 2\nsettle_ms = 0\n"}
        result = play_on_micropython({"card": card, "steps": [{"faults": [index]}, {"wake": 4}]}, tmp_path)
        root = tmp_path / f"card{index}"
        whole = audit(from_image(image, root)).whole
        assert len(result["naps"]) == 4
        assert {entry["path"] for entry in result["stored"]} <= set(whole), f"operation {index}"
        assert len(whole) >= 3, f"operation {index}"


@pytest.mark.parametrize("how", ["none", "raise", "cut"])
def test_one_bad_frame_is_shot_again(tmp_path: Path, how: str) -> None:
    on_folder(tmp_path, [{"wake": 3}], "settle_ms = 0\n", spoil={"4": how})
    assert numbers(tmp_path) == [[0, 1, 2]]
    assert len(audit(tmp_path).whole) == 3


def test_a_camera_that_gives_nothing_is_left_alone_for_longer_and_longer(tmp_path: Path) -> None:
    spoil = {str(number): "none" for number in range(1, 10_000)}
    result = on_folder(tmp_path, [{"wake": 7}, {"set": {"frames": FakeFrames()}}, {"wake": 2}], spoil=spoil)
    assert result["naps"][:6] == [minutes * MINUTE for minutes in (1, 2, 4, 8, 10, 10)]
    assert numbers(tmp_path) == [[0, 1]]
    assert kinds(journal(tmp_path), "E")[-1].endswith("7 in a row")


class FakeFrames:
    """A camera that works again."""

    quality = 85

    def next(self, number: int) -> bytes:
        return b"\xff\xd8\xff" + bytes([number % 250]) * 500 + b"\xff\xd9"


def test_a_camera_that_does_not_open_gets_its_power_cycled(tmp_path: Path) -> None:
    result = on_folder(tmp_path, [{"wake": 2}], faults={"camera": [0, 1]})
    assert numbers(tmp_path) == [[0, 1]]
    assert result["calls"]["cam_power"] == (3 + 2 + 1) + (1 + 1)  # on, off after a failure, off at the end


def test_a_frame_that_outgrew_its_buffer_is_shot_again_more_coarsely(tmp_path: Path) -> None:
    on_folder(tmp_path, [{"wake": 1}], too_big_above=80)
    ((content,),) = [list(audit(tmp_path).whole.values())]
    assert b" q=70\0" in content


def test_sizes_that_never_settle_are_given_up_after_settle_ms(tmp_path: Path) -> None:
    on_folder(tmp_path, [{"wake": 1}], "settle_ms = 1500\n", shot_sizes=[1000, 3000])
    (line,) = kinds(journal(tmp_path), "P")
    assert " st=12 " in line


def test_the_exposure_settles_before_a_photo_is_kept(tmp_path: Path) -> None:
    on_folder(tmp_path, [{"wake": 1}], shot_sizes=[1000, 1500, 2000, 2500, 3000, 3010, 3000, 3000])
    (line,) = kinds(journal(tmp_path), "P")
    assert line.split()[3] == "3010"


def test_three_boots_without_a_photo_let_the_battery_recover(tmp_path: Path) -> None:
    off = {"power_off": 1000}
    result = play({
        "card": None,
        "steps": [{"wake": 1}, off, {"wake": 1}, off, {"wake": 1}, {"card": {"folder": str(tmp_path)}}, {"wake": 2}],
    })  # fmt: skip
    assert result["naps"][2] == MINUTE
    assert result["nvs"]["boots"] == 0
    assert "boots=0" in journal(tmp_path)[0]
    assert numbers(tmp_path) == [[0, 1]]


@pytest.mark.parametrize("cause", ["power", "wdt", "crash", "soft"])
def test_every_reset_but_sleep_begins_a_session(tmp_path: Path, cause: str) -> None:
    on_folder(tmp_path, [{"wake": 2}, {"set": {"cause": cause}}, {"wake": 2}])
    assert numbers(tmp_path) == [[0, 1], [0, 1]]
    assert f" cause={cause} " in journal(tmp_path, 2)[0]


def test_any_flipped_bit_of_the_sleep_memory_begins_a_session(tmp_path: Path) -> None:
    state = module("archivecam.state")
    whole = state.State().pack()
    for bit in range(len(whole) * 8):
        block = bytearray(whole)
        block[bit // 8] ^= 1 << bit % 8
        assert state.unpack(bytes(block)) is None
    assert state.unpack(whole) is not None
    on_folder(tmp_path, [{"wake": 2}, {"flip": 301}, {"wake": 2}])
    assert numbers(tmp_path) == [[0, 1], [0, 1]]


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_jumps_in_sleep_begins_a_session(tmp_path: Path, years: int) -> None:
    jumped = 1_260_000_000_000 + years * 31_536_000_000
    on_folder(tmp_path, [{"wake": 2}, {"set": {"raw_ms": jumped}}, {"wake": 2}], raw_ms=1_260_000_000_000)
    assert numbers(tmp_path) == [[0, 1], [0, 1]]


def test_setting_the_clock_leaves_mono_as_it_was(tmp_path: Path) -> None:
    steps: list[Plan] = [{"wake": 3}, {"set": {"network": True}}, {"wake": 80}]
    on_folder(tmp_path, steps, "wifi_ssid = home\ninterval = 30\n")
    mono = [int(line.split()[2]) for line in kinds(journal(tmp_path), "P")]
    assert mono == sorted(mono)
    assert max(after - before for before, after in pairwise(mono)) < 34_000
    assert len(kinds(journal(tmp_path), "T")) == 1
    first, *_, last = audit(tmp_path).whole.values()
    assert b" clk=none utc=- age=- " in first
    assert b" clk=ntp utc=17900" in last


def test_chip_memory_that_was_erased_never_reuses_a_session(tmp_path: Path) -> None:
    for _ in range(3):
        on_folder(tmp_path, [{"wake": 2}])
    assert numbers(tmp_path) == [[0, 1]] * 3


def test_a_number_that_is_taken_is_passed_over_and_journaled(tmp_path: Path) -> None:
    on_folder(tmp_path, [{"wake": 1}])
    steps: list[Plan] = [{"wake": 1}, {"wake": 1}]
    (tmp_path / "ARCHIVE" / "S0000002" / "000").mkdir(parents=True)
    (tmp_path / "ARCHIVE" / "S0000003" / "000").mkdir(parents=True)
    on_folder(tmp_path, steps)
    assert numbers(tmp_path)[-1] == [0, 1]
    result = on_folder(tmp_path, [{"wake": 3}], faults={"rtc_save": [3, 4]})
    assert len(result["stored"]) == 3
    assert len(audit(tmp_path).whole) == 6


def test_the_privacy_switch_keeps_the_camera_without_power(tmp_path: Path) -> None:
    steps: list[Plan] = [
        {"wake": 2},
        {"set": {"switched": True}},
        {"wake": 5},
        {"set": {"switched": False}},
        {"wake": 1},
    ]
    result = on_folder(tmp_path, steps, "privacy_pin = 3\n")
    assert result["calls"]["camera"] == 3
    assert [line.split()[2] for line in kinds(journal(tmp_path), "V")] == ["on", "off"]
    assert numbers(tmp_path) == [[0, 1, 2]]


def test_an_empty_battery_stops_photos_until_it_recovered(tmp_path: Path) -> None:
    steps: list[Plan] = [{"wake": 1}]
    for millivolts in (3390, 3450, 3510):
        steps += [{"set": {"millivolts": millivolts}}, {"wake": 1}]
    result = on_folder(tmp_path, steps, "battery_pin = 13\n")
    assert result["naps"][1:3] == [10 * MINUTE] * 2
    assert [line.split()[2] for line in kinds(journal(tmp_path), "Z")] == ["lowbat", "charged"]
    assert kinds(journal(tmp_path), "B")[0].endswith(" 3900")
    assert numbers(tmp_path) == [[0, 1]]


def test_a_bad_setting_is_journaled_once_and_shown_by_five_blinks(tmp_path: Path) -> None:
    result = on_folder(tmp_path, [{"wake": 3}], "interval = 1\nled = 0\nflash = on\n")
    assert [line.split(" ", 2)[2] for line in kinds(journal(tmp_path), "E")] == [
        "config line 1: interval=1, uses 30",
        "config line 3: no setting flash",
    ]
    assert result["blinks"] == 1 + 5


METHODS = [
    "wake", "now_ms", "step_ms", "ticks", "ticks_since", "sleep_ms", "deepsleep", "reset_cause", "rtc_load", "rtc_save",
    "nvs_get", "nvs_set", "device_id", "random32", "card", "camera", "cam_power", "led", "switch", "battery_mv", "ntp",
    "feed", "shot", "quality", "close",
]  # fmt: skip
BUSY = "settle_ms = 0\nwifi_ssid = home\nprivacy_pin = 3\nbattery_pin = 13\nbad = 1\n"


@pytest.mark.parametrize("method", METHODS)
def test_any_call_to_the_hardware_may_fail_once_and_photos_go_on(tmp_path: Path, method: str) -> None:
    settings = {"network": True, "spoil": {"4": "cut", "8": "cut"}}
    plain = on_folder(tmp_path / "plain", [{"wake": 3}], BUSY, **settings)
    calls = min(plain["calls"].get(method, 0), 40)
    assert calls
    for index in range(calls):
        root = tmp_path / str(index)
        result = on_folder(root, [{"wake": 6}], BUSY, faults={method: [index]}, **settings)
        found = audit(root)
        assert len(result["naps"]) == 6
        assert len(found.whole) == len(result["stored"]) >= 4, f"{method} failing at call {index}"
        assert set(found.others.values()) <= {camera_card.Condition.INCOMPLETE}
