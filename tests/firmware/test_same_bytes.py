"""One scenario, two interpreters, the same bytes on the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.firmware import fat
from tests.firmware.running import Plan, play, play_on_micropython

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "interval = 20\nquality = nonsense\nrotate = 90\nwifi_ssid = home\nprivacy_pin = 3\nbattery_pin = 13\n"
SYNC = "utc_ms=1789990000000 tz_min=120 sync=0badcafe\r\n"
STEPS: list[Plan] = [
    {"wake": 3},
    {"set": {"network": True}},
    {"wake": 100},
    {"set": {"switched": True}},
    {"wake": 3},
    {"set": {"switched": False, "millivolts": 3300}},
    {"wake": 2},
    {"set": {"millivolts": 3900}},
    {"wake": 2},
    {"power_off": 3_600_000},
    {"wake": 3},
    {"flip": 77},
    {"wake": 2},
    {"told": True},
    {"wake": 3},
]


def test_cpython_and_micropython_write_the_same_card(tmp_path: Path) -> None:
    settings: Plan = {
        "steps": STEPS, "shot_sizes": [900, 1400, 1500, 1505, 1777], "drift_ppm": 9000,
        "spoil": {"9": "none", "21": "cut", "22": "raise"}, "faults": {"camera": [4], "card": [6]},
    }  # fmt: skip
    image = fat.make(tmp_path / "card.img", 16, 40, cluster=4)
    words = {"config": CONFIG, "sync": SYNC}
    there = play_on_micropython({"card": {"image": str(image), **words}, **settings}, tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    here = play({"card": {"folder": str(folder), **words}, **settings})

    card = dict(fat.Image(image.read_bytes()).files())
    files = {f"/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert card == files
    assert len(card) > 100
    for name in ("naps", "calls", "nvs", "true_ms", "raw_ms"):
        assert there[name] == here[name]
    assert [entry["path"] for entry in there["stored"]] == [entry["path"] for entry in here["stored"]]
